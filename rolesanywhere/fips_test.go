package rolesanywhere

import (
	"crypto/fips140"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFIPS_RefusesInWords runs itself again where Go enforces FIPS 140-3: what that forbids is an error and not a
// panic.
func TestFIPS_RefusesInWords(t *testing.T) {
	t.Parallel()
	if !fips140.Enforced() {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestFIPS_RefusesInWords$")
		command.Env = append(os.Environ(), "GODEBUG=fips140=only")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("with FIPS 140-3 enforced: %v\n%s", err, out)
		}
		return
	}
	for _, name := range []string{"scrypt", "pbkdf2-sha1-aes128", "pbkdf2-des3", "pbkdf2-sha256-aes256"} {
		// OpenSSL 3.0, which wrote them, takes salts of 8 bytes.
		key, err := ParsePrivateKey(readTestdata(t, "keys/"+name+".pem"), []byte(keysPassphrase))
		if key != nil || !errors.Is(err, ErrUnsupportedKey) || !strings.Contains(err.Error(), "enforces FIPS 140-3") {
			t.Errorf("%s: error = %v", name, err)
		}
	}
	for _, name := range []string{"rsa", "p256", "p521", "ml-dsa-65"} {
		r, body := readVector(t, name)
		if err := vectorIdentity(t, name).SignHTTP(t.Context(), r, hashOf(body), "us-east-1", vectorTime); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
