package s3conn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/field"
)

func TestConfigWrite_BoundsEveryText(t *testing.T) {
	t.Parallel()
	limits := map[string]int{"certificate": 65536, "private_key": 65536, "ca_cert": 65536}
	for _, f := range connection.Table().Rows() {
		if f.Type == field.Bool {
			continue
		}
		limit := limits[f.Name]
		if limit == 0 {
			limit = 2048
		}
		fields := accessKeyFields()
		if f.BelongsTo == connection.AuthRolesAnywhere {
			fields = rolesAnywhereFields(t)
		}
		write := func(length int) string {
			fields[f.Name] = strings.Repeat("7", length)
			resp, err := newMount(t).do(t.Context(), logical.UpdateOperation, "config/x", fields)
			if err != nil {
				t.Fatal(err)
			}
			if !resp.IsError() {
				return ""
			}
			return resp.Error().Error()
		}
		if f.Name == "duration" { // a number; what is longer than any is refused as no number
			assertRefused(t, write(limit+1), "duration: ", "positive number of seconds")
			continue
		}
		assertRefused(t, write(limit+1), f.Name+": ", fmt.Sprintf("is %d bytes long; at most %d are accepted", limit+1, limit))
		if text := write(limit); strings.Contains(text, "bytes long") {
			t.Errorf("%s of %d bytes is refused for its length: %s", f.Name, limit, text)
		}
	}
}

func TestConfigWrite_BoundsTheName(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write(strings.Repeat("n", 128), accessKeyFields())
	long := strings.Repeat("n", 129)
	assertRefused(t, m.refused(logical.UpdateOperation, "config/"+long, accessKeyFields()), "name: ", "at most 128")
	if m.stored(long) != "" {
		t.Error("it was stored")
	}
}

// A request of Vault's own maximum of 32 MiB must not become an error of that size, in the audit log too.
func TestConfigWrite_ManyUnknownFieldsGiveAShortError(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	fields := accessKeyFields()
	for i := range 100_000 {
		fields[fmt.Sprintf("field-%06d-%s", i, strings.Repeat("x", 100))] = "CANARY"
	}
	text := m.refused(logical.UpdateOperation, "config/reports", fields)
	if len(text) > 4000 || !strings.Contains(text, "and 99990 more that do not exist") || strings.Contains(text, "CANARY") {
		t.Errorf("told in %d bytes: %.500s", len(text), text)
	}
	if text := m.refused(logical.UpdateOperation, "test", fields); len(text) > 4000 {
		t.Errorf("test tells it in %d bytes", len(text))
	}
	if text := m.refused(logical.UpdateOperation, "config/reports", accessKeyFields(with(strings.Repeat("y", 1<<20), 1))); len(text) > 4000 {
		t.Errorf("a field's name of 1 MiB is told in %d bytes", len(text))
	}
}

func TestConfigWrite_MisspeltFieldIsNamedWithItsNeighbour(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for given, want := range map[string]string{
		"Secret-Key": "did you mean secret_key?", "role_arm": "did you mean role_arn?", "session_nam": "did you mean session_name?",
		"verify-connection": "did you mean verify_connection?", "completely_different": "vault path-help", "\nx\x1b[31m": `"\nx\x1b[31m"`,
	} {
		assertRefused(t, m.refused(logical.UpdateOperation, "config/x", accessKeyFields(with(given, "CANARY"))), "there is no such field", want)
	}
}
