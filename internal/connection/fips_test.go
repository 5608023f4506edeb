package connection

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// TestFIPS_RefusesWhatGoWouldPanicAt runs itself again where Go enforces FIPS 140-3.
func TestFIPS_RefusesWhatGoWouldPanicAt(t *testing.T) {
	t.Parallel()
	if !fips140.Enforced() {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPS_RefusesWhatGoWouldPanicAt$")
		command.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("with FIPS 140-3 enforced: %v\n%s", err, out)
		}
		return
	}
	m := newDesk(t)
	assertRefused(t, m.refused("keys", accessKeyFields(with("secret_key", "123456789"))), "secret_key: ",
		"is shorter than 10 characters, and this program enforces FIPS 140-3")
	m.write("keys", accessKeyFields(with("secret_key", "1234567890")))
	assertRefused(t, m.refused("orders", pkcs12Fields(t, "openssl3.p12")), "pkcs12: ", "enforces FIPS 140-3")
	m.write("orders", rolesAnywhereFields(t))
	issued := issue(t, newAuthority(t), rolesanywheretest.IssueOptions{})
	fields := identityFields(t, issued) // PBKDF2 with SHA-256, a salt of 16 bytes and AES are allowed
	fields["private_key"], fields["private_key_passphrase"] = encryptedKey(t, issued, "pass"), "pass"
	m.write("encrypted", fields)
}
