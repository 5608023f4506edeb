package acceptance

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// canaries are secrets that nothing else is equal to, planted where secrets belong or may end up by
// mistake.
type canaries struct {
	mark   string // begins each, so that two sets can be distinguished
	mu     sync.Mutex
	places map[string]string // what to look for: where it was planted
}

// plant returns a new canary.
func (c *canaries) plant(place string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.places == nil {
		c.places = map[string]string{}
	}
	canary := fmt.Sprintf("Canary%s%04dxQzJ7", c.mark, len(c.places))
	c.places[canary] = place
	return canary
}

// add has a secret that was not made here looked for too.
func (c *canaries) add(place, secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[secret] = place
}

// found returns the places of the canaries that the text holds, as they are, in hex or in base64.
func (c *canaries) found(text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var places []string
	for _, canary := range slices.Sorted(maps.Keys(c.places)) {
		for form, image := range images(canary) {
			if at := strings.Index(text, image); at >= 0 {
				places = append(places, fmt.Sprintf("%s (%s): ...%s...", c.places[canary], form,
					text[max(0, at-120):min(len(text), at+160)]))
				break
			}
		}
	}
	return places
}

// images are what a text looks like in a log. Base64 has three, by where the text begins; their first and last
// characters depend on the neighbours and are left out.
func images(text string) map[string]string {
	quoted, _ := json.Marshal(text) // a string can be encoded
	all := map[string]string{"as it is": text, "as JSON": strings.Trim(string(quoted), `"`),
		"in hex": hex.EncodeToString([]byte(text))}
	for shift := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + text))
		begin := []int{0, 2, 3}[shift]
		end := len(strings.TrimRight(encoded, "="))
		if (shift+len(text))%3 != 0 {
			end--
		}
		all[fmt.Sprintf("in base64, shifted by %d", shift)] = encoded[begin:end]
	}
	return all
}

// encryptedKey encrypts a PKCS#8 key with a passphrase, as RFC 8018 says: PBES2 with PBKDF2-HMAC-SHA-256 and
// AES-256-CBC.
func encryptedKey(t *testing.T, keyPEM []byte, passphrase string) string {
	t.Helper()
	type kdf struct {
		Salt       []byte
		Iterations int
		PRF        pkix.AlgorithmIdentifier
	}
	type pbes2 struct {
		KDF, Cipher pkix.AlgorithmIdentifier
	}
	encode := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	const iterations = 2048
	salt, iv := []byte("salt-for-a-test!"), []byte("iv-for-this-test")
	key, err := pbkdf2.Key(sha256.New, passphrase, salt, iterations, 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	plain, _ := pem.Decode(keyPEM)
	padding := aes.BlockSize - len(plain.Bytes)%aes.BlockSize
	text := append(slices.Clone(plain.Bytes), slices.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	parameters := encode(pbes2{
		KDF: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12},
			Parameters: encode(kdf{salt, iterations,
				pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9},
					Parameters: asn1.NullRawValue}})},
		Cipher: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42},
			Parameters: encode(iv)},
	})
	der := encode(struct {
		Algorithm pkix.AlgorithmIdentifier
		Encrypted []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}, Parameters: parameters},
		text}).FullBytes
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

func TestCanaries_AreFoundInEveryForm(t *testing.T) {
	t.Parallel()
	var c canaries
	canary := c.plant("here")
	for _, text := range []string{
		canary,
		hex.EncodeToString([]byte("before" + canary + "after")),
		base64.StdEncoding.EncodeToString([]byte(canary + "after")),
		base64.StdEncoding.EncodeToString([]byte("1" + canary + "after")),
		base64.StdEncoding.EncodeToString([]byte("12" + canary)),
		base64.RawURLEncoding.EncodeToString([]byte("123" + canary + "!")),
	} {
		if len(c.found("text "+text+" text")) != 1 {
			t.Errorf("%s is not found to be %s", text, canary)
		}
	}
	if got := c.found("Canary"); len(got) > 0 {
		t.Errorf("found %v where there is none", got)
	}
}
