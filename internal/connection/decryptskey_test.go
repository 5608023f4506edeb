package connection

import (
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// Whatever is refused or read without a derivation must not wait for those that need one.
func TestDecryptsKey_OnlyWhereADerivationIsMade(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		key, passphrase string
		want            bool
	}{
		"encrypted":               {"keys/scrypt.pem", "correct horse", true},
		"with a wrong passphrase": {"keys/pbkdf2-sha512.pem", "wrong", true},
		"without a passphrase":    {"keys/scrypt.pem", "", false},
		"in the clear":            {"p256.key", "correct horse", false},
		"over the bound":          {"keys/pbkdf2-hostile.pem", "correct horse", false},
		"not PBES2":               {"keys/pbes1.pem", "correct horse", false},
		"a certificate":           {"p256.pem", "correct horse", false},
	} {
		c := Connection{PrivateKey: secret.New(vector(t, tt.key)), Passphrase: secret.New(tt.passphrase)}
		if got := c.DecryptsKey(); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
	if none := New(); none.DecryptsKey() {
		t.Error("a connection without a key: true, want false")
	}
}
