package rolesanywhere

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
)

const keysPassphrase = "correct horse"

func TestParsePrivateKey_ReadsEveryFormat(t *testing.T) {
	t.Parallel()
	p256, err := ParsePrivateKey(readTestdata(t, "p256.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := ParsePrivateKey(readTestdata(t, "rsa.key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]crypto.Signer{
		"pkcs1": rsaKey, "sec1": p256,
		"pbkdf2-sha256-aes256": p256, "pbkdf2-sha1-aes128": p256, "pbkdf2-des3": p256, "scrypt": p256,
		"pbkdf2-sha224-aes192": p256, "pbkdf2-sha384-aes192": p256, "pbkdf2-sha512": p256,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePrivateKey(readTestdata(t, "keys/"+name+".pem"), []byte(keysPassphrase))
			if err != nil {
				t.Fatal(err)
			}
			if !want.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Public()) {
				t.Error("another key was read")
			}
		})
	}
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		got, err := ParsePrivateKey(pkcs8PEM(t, ecKey(t, curve)), nil)
		if err != nil || got.(*ecdsa.PrivateKey).Curve != curve {
			t.Errorf("%s: %v", curve.Params().Name, err)
		}
	}
}

func TestParse_AcceptsAByteOrderMark(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	certificates := mark + string(readTestdata(t, "rsa-chain.pem")) + mark + string(readTestdata(t, "intermediate.pem"))
	if _, err := ParseIdentity([]byte(certificates), []byte(mark+string(readTestdata(t, "rsa-chain.key"))),
		nil); err != nil {
		t.Error(err)
	}
}

func TestMarshalPrivateKey_WritesWhatIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rsa", "p521", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"} {
		key, err := ParsePrivateKey(readTestdata(t, name+".key"), nil)
		if err != nil {
			t.Fatal(err)
		}
		written, err := MarshalPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePrivateKey(written, nil)
		if err != nil || !key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(again) {
			t.Errorf("%s: another key was read: %v", name, err)
		}
	}
	if written, err := MarshalPrivateKey(brokenSigner{}); written != nil || !errors.Is(err, ErrUnsupportedKey) {
		t.Errorf("a key that keeps itself to itself: error = %v", err)
	}
}

type keyRefusal struct {
	pem        []byte
	passphrase string
	want       error
	says       string
}

func keyRefusals(t *testing.T) map[string]keyRefusal {
	t.Helper()
	p256 := readTestdata(t, "p256.key")
	certificate := readTestdata(t, "p256.pem")
	key := func(name string) []byte { return readTestdata(t, "keys/"+name+".pem") }
	damaged := func(data []byte) []byte {
		block, _ := pem.Decode(data)
		block.Bytes = block.Bytes[:len(block.Bytes)-9]
		return pem.EncodeToMemory(block)
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	return map[string]keyRefusal{
		"nothing":  {nil, "", ErrInvalidPrivateKey, "no PEM block found"},
		"too long": {make([]byte, maxPEM+1), "", ErrInvalidPrivateKey, "at most"},
		"certificate": {
			certificate,
			"",
			ErrInvalidPrivateKey,
			"found a certificate in the private key's place",
		},
		"key and certificate": {join(p256, certificate), "", ErrInvalidPrivateKey, "found a certificate"},
		"two keys":            {join(p256, p256), "", ErrInvalidPrivateKey, "found 2 PEM blocks"},
		"trailing text":       {join(p256, []byte("garbage")), "", ErrInvalidPrivateKey, "follows the last PEM block"},
		"cut short":           {p256[:len(p256)-30], "", ErrInvalidPrivateKey, "cut short"},
		"escaped line breaks": {
			[]byte(strings.ReplaceAll(string(p256), "\n", `\n`)),
			"",
			ErrInvalidPrivateKey,
			"line breaks",
		},
		"parameters alone": {
			encodePEM(ecParametersBlock, []byte{1}),
			"",
			ErrInvalidPrivateKey,
			"not a private key",
		},
		"damaged PKCS#8": {damaged(p256), "", ErrInvalidPrivateKey, "does not hold a valid key"},
		"damaged PKCS#1": {damaged(key("pkcs1")), "", ErrInvalidPrivateKey, "does not hold a valid key"},
		"damaged SEC 1": {
			encodePEM(sec1Block, []byte{0x30, 0}),
			"",
			ErrInvalidPrivateKey,
			"does not hold a valid key",
		},
		"damaged encryption":   {damaged(key("scrypt")), keysPassphrase, ErrInvalidPrivateKey, "damaged"},
		"passphrase missing":   {key("scrypt"), "", ErrPassphraseRequired, "needs its passphrase"},
		"passphrase wrong":     {key("scrypt"), "wrong", ErrPassphraseIncorrect, "does not open"},
		"passphrase wrong too": {key("pbkdf2-sha1-aes128"), "wrong", ErrPassphraseIncorrect, "does not open"},
		"legacy encryption":    {key("legacy"), keysPassphrase, ErrUnsupportedKey, "openssl pkcs8 -topk8"},
		"PBES1":                {key("pbes1"), keysPassphrase, ErrUnsupportedKey, "openssl pkcs8 -topk8"},
		"hostile iterations": {
			key("pbkdf2-hostile"),
			keysPassphrase,
			ErrUnsupportedKey,
			"2000001 PBKDF2 iterations, at most 1000000",
		},
		"OpenSSH":             {key("openssh"), "", ErrUnsupportedKey, "ssh-keygen -p -m PKCS8"},
		"Ed25519":             {key("ed25519"), "", ErrUnsupportedKey, "want RSA"},
		"encrypted Ed25519":   {key("ed25519-encrypted"), keysPassphrase, ErrUnsupportedKey, "want RSA"},
		"X25519":              {key("x25519"), "", ErrUnsupportedKey, "want RSA"},
		"P-224":               {key("p224"), "", ErrUnsupportedKey, "P-256"},
		"secp256k1":           {key("secp256k1"), "", ErrUnsupportedKey, "P-256"},
		"encrypted secp256k1": {key("secp256k1-encrypted"), keysPassphrase, ErrUnsupportedKey, "P-256"},
		"secp256k1 SEC 1":     {key("secp256k1-sec1"), "", ErrUnsupportedKey, "P-256"},
		"longer than any key": {
			encodePEM(pkcs1Block, make([]byte, maxPrivateKey+1)),
			"",
			ErrUnsupportedKey,
			"the key is 16385 bytes long; at most 16384 are read",
		},
		"RSA of 1024 bits": {key("rsa1024"), "", ErrUnsupportedKey, "RSA of 1024 bits"},
	}
}

func TestParsePrivateKey_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range keyRefusals(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParsePrivateKey(tt.pem, []byte(tt.passphrase))
			if got != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("key = %v, error = %v; want %v, saying %q", got != nil, err, tt.want, tt.says)
			}
		})
	}
}

func TestParsePrivateKey_NeverQuotesTheText(t *testing.T) {
	t.Parallel()
	const canary = "CANARY"
	for name, text := range map[string]string{
		"text":        canary,
		"header":      "-----BEGIN PRIVATE KEY-----\nX-Secret: CANARY\n\nAAAA\n-----END PRIVATE KEY-----\n",
		"block type":  "-----BEGIN CANARY-----\nAAAA\n-----END CANARY-----\n",
		"after block": string(readTestdata(t, "p256.key")) + canary,
		"proc type":   "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: CANARY\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
	} {
		_, err := ParsePrivateKey([]byte(text), []byte(canary))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: error = %v", name, err)
		}
		_, err = ParseCertificates([]byte(text))
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s as certificate: error = %v", name, err)
		}
	}
}

func TestCheckPublicKey_BoundsRSA(t *testing.T) {
	t.Parallel()
	for bits, want := range map[uint]error{2047: ErrUnsupportedKey, 2048: nil, 8192: nil, 8193: ErrUnsupportedKey} {
		key := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
		if err := checkPublicKey(key); !errors.Is(err, want) {
			t.Errorf("%d bits: error = %v, want %v", bits, err, want)
		}
	}
}
