package s3conn

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// assertProblems holds how many things an error names against the number that are wrong.
func assertProblems(t *testing.T, text string, want int) {
	t.Helper()
	named := max(strings.Count(text, "\n  - "), 1)
	if counted := strings.Contains(text, fmt.Sprintf(": %d things are wrong:", want)); named != want || counted != (want > 1) {
		t.Errorf("the error names %d things, want %d: %s", named, want, text)
	}
}

// The other fields are not judged by a type that nobody asked for.
func TestConfigWrite_UnknownAuthTypeIsTheOneProblem(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	text := m.refused(logical.UpdateOperation, "config/x", map[string]any{"auth_type": "iam", "access_key": "A", "secret_key": "B"})
	assertRefused(t, text, "auth_type", `auth_type: "iam" is unknown`)
	assertProblems(t, text, 1)
	for _, before := range []map[string]any{accessKeyFields(), rolesAnywhereFields(t)} {
		m.write("orders", before)
		text := m.refused(logical.PatchOperation, "config/orders", with("auth_type", "rolesanywhere"))
		assertRefused(t, text, "auth_type", `auth_type: "rolesanywhere" is unknown`)
		assertProblems(t, text, 1)
	}
}

func TestConfigWrite_TellsEverythingThatIsWrongAtOnce(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	text := m.refused(logical.UpdateOperation, "config/orders", rolesAnywhereFields(t,
		with("region", "EU-WEST-1"), with("duration", 1), with("session_name", absent), with("private_key", []any{"CANARY"}),
		with("certificate", "garbage"), with("s3_endpoint", "x"), with("proxy", "y"), with("access_key", "AKIA")))
	for _, field := range []string{"region", "duration", "session_name", "private_key", "certificate", "s3_endpoint", `"proxy"`, "access_key",
		"profile_arn", "trust_anchor_arn"} {
		if strings.Count(text, "- "+field+": ") != 1 {
			t.Errorf("%s is not named once in:\n%s", field, text)
		}
	}
}

func TestConfigWrite_TellsOfCertificateAndKeyAtOnce(t *testing.T) {
	t.Parallel()
	authority, err := newAuthority(t).Intermediate(rolesanywheretest.AuthorityOptions{NotBefore: testTime.Add(-time.Hour), NotAfter: testTime.Add(-time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	ended := issue(t, authority, rolesanywheretest.IssueOptions{NotBefore: testTime.Add(-time.Hour), NotAfter: testTime.Add(-time.Second)})
	m := newMount(t)
	for name, test := range map[string]struct {
		key         any
		field, says string
	}{
		"missing":   {absent, "private_key", "is required"},
		"garbage":   {"garbage", "private_key", "no PEM block found"},
		"encrypted": {encryptedKey(t, ended, "CANARY"), "private_key_passphrase", "encrypted"},
		"another's": {vector(t, "p256.key"), "private_key", "not the key of the certificate"},
	} {
		text := m.refused(logical.UpdateOperation, "config/orders", changed(identityFields(t, ended), []map[string]any{with("private_key", test.key)}))
		for _, says := range []string{"the leaf ended 2026-11-23T11:59:59Z", "intermediate 1 ended 2026-11-23T11:59:00Z", test.says} {
			if strings.Count(text, says) != 1 {
				t.Errorf("%s: %q is not said once", name, says)
			}
		}
		assertRefused(t, text, "\n  - "+test.field+": ", test.says)
		assertProblems(t, text, 3)
	}
}
