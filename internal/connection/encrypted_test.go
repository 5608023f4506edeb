package connection

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// encryptedKey is the issued key as encrypted PKCS#8: PBES2 (RFC 8018, section 6.2) with PBKDF2, HMAC-SHA-256 and
// AES-256-CBC. Salt and IV are fixed, which only a test may do.
func encryptedKey(t *testing.T, issued *rolesanywheretest.Issued, passphrase string) string {
	t.Helper()
	plain, err := x509.MarshalPKCS8PrivateKey(issued.Key)
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	const iterations = 1000
	salt, iv := []byte("salt for a test."), []byte("an IV for a test")
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, iterations, 32)
	if err != nil {
		t.Fatalf("deriving a key: %v", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	data := append(plain, bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	type derivation struct {
		Salt       []byte
		Iterations int
		PRF        pkix.AlgorithmIdentifier
	}
	type scheme struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	hash := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9},
		Parameters: asn1.NullRawValue}
	pbkdf2 := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	der := marshalDER(t, struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}{
		algorithm(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, scheme{
			KDF:    algorithm(t, pbkdf2, derivation{salt, iterations, hash}),
			Cipher: algorithm(t, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, iv),
		}),
		data,
	})
	return pemText("ENCRYPTED PRIVATE KEY", der)
}

func algorithm(t *testing.T, id asn1.ObjectIdentifier, parameters any) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: marshalDER(t, parameters)}}
}

func marshalDER(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatalf("encoding DER: %v", err)
	}
	return der
}
