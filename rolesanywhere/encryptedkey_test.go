package rolesanywhere

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"testing"
)

func mustMarshal(t *testing.T, v any) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return asn1.RawValue{FullBytes: der}
}

// encryptedKey builds an encrypted PKCS#8 block from parts that openssl would not write.
func encryptedKey(t *testing.T, kdf, cipher pkix.AlgorithmIdentifier, data []byte) []byte {
	t.Helper()
	return encodePEM(encryptedBlock, mustMarshal(t, encryptedPrivateKeyInfo{
		Algorithm: pkix.AlgorithmIdentifier{
			Algorithm: oidPBES2, Parameters: mustMarshal(t, pbes2Params{kdf, cipher}),
		},
		Data: data,
	}).FullBytes)
}

func TestParsePrivateKey_RefusesHostileEncryption(t *testing.T) {
	t.Parallel()
	algorithm := func(oid asn1.ObjectIdentifier, parameters any) pkix.AlgorithmIdentifier {
		return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: mustMarshal(t, parameters)}
	}
	salt, iv, data := []byte("12345678"), make([]byte, 16), make([]byte, 32)
	aes := algorithm(oidAES256CBC, iv)
	pbkdf2 := algorithm(oidPBKDF2, pbkdf2Params{Salt: salt, Iterations: 1})
	scrypt := func(n, r, p int) pkix.AlgorithmIdentifier {
		return algorithm(oidScrypt, scryptParams{Salt: salt, N: n, R: r, P: p})
	}
	for name, tt := range map[string]struct {
		kdf, cipher pkix.AlgorithmIdentifier
		data        []byte
		want        error
	}{
		"iterations": {algorithm(oidPBKDF2, pbkdf2Params{Salt: salt, Iterations: 1 << 30}), aes, data,
			ErrUnsupportedKey},
		"no iterations": {algorithm(oidPBKDF2, pbkdf2Params{Salt: salt}), aes, data, ErrInvalidPrivateKey},
		"negative iterations": {algorithm(oidPBKDF2, pbkdf2Params{Salt: salt, Iterations: -1}), aes, data,
			ErrInvalidPrivateKey},
		"other key length": {algorithm(oidPBKDF2, pbkdf2Params{Salt: salt, Iterations: 1, KeyLength: 16}), aes,
			data, ErrInvalidPrivateKey},
		"scrypt memory":         {scrypt(1<<20, 8, 1), aes, data, ErrUnsupportedKey},
		"scrypt block size":     {scrypt(2, 1<<40, 1), aes, data, ErrUnsupportedKey},
		"scrypt parallelism":    {scrypt(2, 8, 1<<40), aes, data, ErrUnsupportedKey},
		"scrypt product":        {scrypt(1<<14, 8, 3), aes, data, ErrUnsupportedKey},
		"scrypt overflow":       {scrypt(1<<62, 1<<62, 1<<62), aes, data, ErrUnsupportedKey},
		"scrypt zero":           {scrypt(0, 8, 1), aes, data, ErrInvalidPrivateKey},
		"scrypt not power of 2": {scrypt(3, 8, 1), aes, data, ErrInvalidPrivateKey},
		"scrypt key length": {algorithm(oidScrypt, scryptParams{salt, 2, 8, 1, 16}), aes, data,
			ErrInvalidPrivateKey},
		"unknown PRF": {algorithm(oidPBKDF2,
			pbkdf2Params{Salt: salt, Iterations: 1, PRF: pkix.AlgorithmIdentifier{Algorithm: oidRSA}}), aes, data,
			ErrUnsupportedKey},
		"unknown KDF":            {algorithm(oidRSA, 1), aes, data, ErrUnsupportedKey},
		"unknown cipher":         {pbkdf2, algorithm(oidRSA, 1), data, ErrUnsupportedKey},
		"short IV":               {pbkdf2, algorithm(oidAES256CBC, iv[:8]), data, ErrInvalidPrivateKey},
		"no text":                {pbkdf2, aes, nil, ErrInvalidPrivateKey},
		"text of half a block":   {pbkdf2, aes, data[:24], ErrInvalidPrivateKey},
		"text that is no key":    {pbkdf2, aes, data, ErrPassphraseIncorrect},
		"parameters of nonsense": {algorithm(oidPBKDF2, 1), aes, data, ErrInvalidPrivateKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePrivateKey(encryptedKey(t, tt.kdf, tt.cipher, tt.data), []byte(keysPassphrase))
			if got != nil || !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParsePrivateKey_ReadsPBKDF2WithKeyLength(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(readTestdata(t, "keys/pbkdf2-sha256-aes256.pem"))
	var info encryptedPrivateKeyInfo
	var params pbes2Params
	var kdf pbkdf2Params
	if _, err := asn1.Unmarshal(block.Bytes, &info); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		t.Fatal(err)
	}
	if _, err := asn1.Unmarshal(params.KDF.Parameters.FullBytes, &kdf); err != nil {
		t.Fatal(err)
	}
	kdf.KeyLength = 32
	params.KDF.Parameters = mustMarshal(t, kdf)
	got, err := ParsePrivateKey(encryptedKey(t, params.KDF, params.Cipher, info.Data), []byte(keysPassphrase))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.(*ecdsa.PrivateKey); !ok {
		t.Errorf("key is a %T", got)
	}
}

// A wrong passphrase gives good padding once in 256 times.
func TestParsePrivateKey_SaysThatThePassphraseIsWrongBehindGoodPadding(t *testing.T) {
	t.Parallel()
	salt, iv := []byte("saltsalt"), make([]byte, aes.BlockSize)
	derived, err := pbkdf2.Key(sha256.New, keysPassphrase, salt, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		t.Fatal(err)
	}
	data := append(bytes.Repeat([]byte("x"), 15), 1) // padding of one byte
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	kdf := pkix.AlgorithmIdentifier{Algorithm: oidPBKDF2, Parameters: mustMarshal(t, pbkdf2Params{
		Salt: salt, Iterations: 1, PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256},
	})}
	scheme := pkix.AlgorithmIdentifier{Algorithm: oidAES256CBC, Parameters: mustMarshal(t, iv)}
	key, err := ParsePrivateKey(encryptedKey(t, kdf, scheme, data), []byte(keysPassphrase))
	if key != nil || !errors.Is(err, ErrPassphraseIncorrect) {
		t.Errorf("error = %v, want ErrPassphraseIncorrect", err)
	}
	key, err = ParsePrivateKey(encodePEM(encryptedBlock, mustMarshal(t, encryptedPrivateKeyInfo{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: mustMarshal(t, 1)}, Data: data,
	}).FullBytes), []byte(keysPassphrase))
	if key != nil || !errors.Is(err, ErrInvalidPrivateKey) {
		t.Errorf("without parameters: error = %v, want ErrInvalidPrivateKey", err)
	}
}
