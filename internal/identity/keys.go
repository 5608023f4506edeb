package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"filippo.io/mldsa"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// DefaultKeyType is made where nothing else is asked for.
const DefaultKeyType = "ec-p256"

// keyType is one kind of key that is made here.
type keyType struct {
	name string
	make func() (crypto.Signer, error)
}

func keyTypes() []keyType {
	ec := func(curve elliptic.Curve) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return ecdsa.GenerateKey(curve, rand.Reader) }
	}
	rsaOf := func(bits int) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, bits) }
	}
	mldsaOf := func(params mldsa.Parameters) func() (crypto.Signer, error) {
		return func() (crypto.Signer, error) { return mldsa.GenerateKey(params) }
	}
	return []keyType{
		{"ec-p256", ec(elliptic.P256())}, {"ec-p384", ec(elliptic.P384())}, {"ec-p521", ec(elliptic.P521())},
		{"rsa-2048", rsaOf(2048)}, {"rsa-3072", rsaOf(3072)}, {"rsa-4096", rsaOf(4096)},
		{
			"ml-dsa-44",
			mldsaOf(mldsa.MLDSA44()),
		}, {"ml-dsa-65", mldsaOf(mldsa.MLDSA65())}, {"ml-dsa-87", mldsaOf(mldsa.MLDSA87())},
	}
}

// KeyTypes returns the names of every type of key that is made here.
func KeyTypes() []string {
	var names []string
	for _, one := range keyTypes() {
		names = append(names, one.name)
	}
	return names
}

// KeyTypeOf returns the name of a public key's type, or "" when no key of its type is made here.
func KeyTypeOf(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if name := fmt.Sprintf("rsa-%d", key.N.BitLen()); slices.Contains(KeyTypes(), name) {
			return name
		}
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return "ec-p256"
		case elliptic.P384():
			return "ec-p384"
		case elliptic.P521():
			return "ec-p521"
		}
	case *mldsa.PublicKey:
		return strings.ToLower(key.Parameters().String())
	}
	return ""
}

// IsMLDSA says whether a type of key is one of ML-DSA, for which no issuer that is known here issues certificates.
func IsMLDSA(name string) bool { return strings.HasPrefix(name, "ml-dsa-") }

// NewKey makes a private key of the type, which is one of [KeyTypes]. One RSA key of 4,096 bits costs a processor a
// second or more: the caller bounds how many are made at once.
func NewKey(name string) (crypto.Signer, error) {
	at := slices.IndexFunc(keyTypes(), func(one keyType) bool { return one.name == name })
	if at < 0 {
		return nil, fmt.Errorf("making a private key: %s is not a type of key", problem.Quote(name))
	}
	key, err := keyTypes()[at].make()
	if err != nil {
		return nil, fmt.Errorf("making a private key: %w", err)
	}
	return key, nil
}

// encodeKey returns the key as it is stored: PKCS#8 in PEM, which Vault's storage encrypts.
func encodeKey(key crypto.Signer) (secret.Text, error) {
	text, err := rolesanywhere.MarshalPrivateKey(key)
	if err != nil {
		return secret.Text{}, err
	}
	return secret.New(string(text)), nil
}
