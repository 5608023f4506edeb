package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

func TestKeyTypeOf_KeysThatAreNotMadeHereHaveNoType(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.PublicKey{
		"RSA of another size": &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537},
		"another curve":       &ecdsa.PublicKey{Curve: elliptic.P224()},
		"Ed25519":             ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)),
		"none":                nil,
	} {
		if got := KeyTypeOf(key); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestNewKey_OfAnUnknownTypeIsAnError(t *testing.T) {
	t.Parallel()
	key, err := NewKey("dsa")
	if key != nil || err == nil || !strings.Contains(err.Error(), `making a private key: "dsa" is not a type of key`) {
		t.Errorf("made %v, %v", key, err)
	}
}
