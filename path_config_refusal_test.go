package s3conn

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

// The rules of each field are tested with package connection. Here is what a refused request leaves behind.
func TestConfigWrite_RefusesBadInputAndChangesNothing(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]struct {
		fields      map[string]any
		field, says string
	}{
		"a missing field": {accessKeyFields(with("secret_key", "")), "secret_key: ", "is required"},
		"a field of another type": {accessKeyFields(with("role_arn", "arn:aws:iam::123456789012:role/app")),
			"role_arn: ", "belongs to auth_type"},
		"an unknown auth_type": {accessKeyFields(with("auth_type", "iam")), "auth_type: ",
			`"access_key" or "roles_anywhere"`},
		"a secret as an object": {accessKeyFields(with("secret_key", map[string]any{"a": "CANARY"})), "secret_key: ",
			"is an object"},
		"a text for a boolean": {accessKeyFields(with("s3_path_style", "CANARY")), "s3_path_style: ",
			"true or false"},
		"an unknown field":   {accessKeyFields(with("regoin", "CANARY")), `"regoin": `, "did you mean region?"},
		"an identity's half": {rolesAnywhereFields(t, with("private_key", "garbage")), "private_key: ", "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			text := m.refused(logical.UpdateOperation, "config/x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			if m.stored("x") != "" || !strings.HasSuffix(text, "nothing was stored") {
				t.Errorf("the refusal %q left %q in storage", text, m.stored("x"))
			}
			m.write("x", accessKeyFields())
			before := m.stored("x")
			text = m.refused(logical.PatchOperation, "config/x", bad.fields)
			assertRefused(t, text, bad.field, bad.says)
			if m.stored("x") != before || !strings.HasSuffix(text, "the stored connection is unchanged") {
				t.Errorf("the refusal %q changed what is stored", text)
			}
			assertRefused(t, m.refused(logical.UpdateOperation, "test", bad.fields), bad.field, bad.says)
		})
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
	if len(text) > 4000 || !strings.Contains(text, "and 99990 more that do not exist") ||
		strings.Contains(text, "CANARY") {
		t.Errorf("the error has %d bytes: %.500s", len(text), text)
	}
	if text := m.refused(logical.UpdateOperation, "test", fields); len(text) > 4000 {
		t.Errorf("the error of test has %d bytes", len(text))
	}
	if text := m.refused(logical.UpdateOperation, "config/reports",
		accessKeyFields(with(strings.Repeat("y", 1<<20), 1))); len(text) > 4000 {
		t.Errorf("a field's name of 1 MiB causes an error of %d bytes", len(text))
	}
}

func assertRefused(t *testing.T, text, field, says string) {
	t.Helper()
	if !strings.Contains(text, field) || !strings.Contains(text, says) {
		t.Errorf("the error %q names not field %q or says not %q", text, field, says)
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("the error quotes a secret: %s", text)
	}
	if len(text) > 1000 {
		t.Errorf("the error is %d bytes long", len(text))
	}
}
