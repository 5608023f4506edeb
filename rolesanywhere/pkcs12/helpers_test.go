package pkcs12

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"path/filepath"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func mustMarshal(t testing.TB, v any) []byte {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func raw(t testing.TB, v any) asn1.RawValue { return asn1.RawValue{FullBytes: mustMarshal(t, v)} }

func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// pbes2 names PBKDF2 with SHA-256 and AES-256-CBC with an IV of zeros.
func pbes2(t testing.TB, iterations int) pkix.AlgorithmIdentifier {
	t.Helper()
	kdf := pbkdf2Parameters{
		Salt:       []byte("saltsalt"),
		Iterations: iterations,
		PRF:        pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	}
	return pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(t, derivation{
		KDF: pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: raw(t, kdf)},
		Scheme: pkix.AlgorithmIdentifier{
			Algorithm:  asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42},
			Parameters: raw(t, make([]byte, 16)),
		},
	})}
}

// encrypt is PBES2 with one iteration.
func encrypt(t testing.TB, plain []byte) []byte {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, passphrase, []byte("saltsalt"), 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	padding := 16 - len(plain)%16
	plain = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(plain, plain)
	return plain
}

func shroudedKey(t testing.TB, iterations int) safeBag {
	t.Helper()
	return safeBag{
		ID:    oidShroudedKey,
		Value: explicit(mustMarshal(t, encryptedKey{pbes2(t, iterations), make([]byte, 32)})),
	}
}

// encryptedPart hides bags behind the passphrase.
func encryptedPart(t testing.TB, bags ...safeBag) contentInfo {
	t.Helper()
	data := encryptedData{}
	data.Info.ContentType, data.Info.Algorithm = oidData, pbes2(t, 1)
	data.Info.Content = asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, Bytes: encrypt(t, mustMarshal(t, bags))}
	return contentInfo{oidEncryptedData, explicit(mustMarshal(t, data))}
}

func plainPart(t testing.TB, bags ...safeBag) contentInfo {
	t.Helper()
	return contentInfo{oidData, explicit(mustMarshal(t, mustMarshal(t, bags)))}
}

// p12 has a MAC with the passphrase, which rewrite makes for any order.
func p12(t testing.TB, parts ...contentInfo) []byte {
	t.Helper()
	der, err := (&file{plain: parts}).rewrite(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// plainKey is a key bag that the library opens at no cost.
func plainKey(t testing.TB) safeBag {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join("..", "testdata", "p256.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := rolesanywhere.ParsePrivateKey(pem, nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return safeBag{ID: oidKeyBag, Value: explicit(der)}
}
