package rolesanywhere

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"testing"
)

func benchmarkIdentities(b *testing.B) map[string]*Identity {
	b.Helper()
	identities := map[string]*Identity{
		"rsa2048":       vectorIdentity(b, "rsa"),
		"rsa2048-chain": vectorIdentity(b, "rsa-chain"),
		"p256":          vectorIdentity(b, "p256"),
		"p384":          vectorIdentity(b, "p384"),
	}
	key := ecKey(b, elliptic.P521())
	id, err := ParseIdentity(certificatePEM(selfSigned(b, leafTemplate(), key)), pkcs8PEM(b, key), nil)
	if err != nil {
		b.Fatal(err)
	}
	identities["p521"] = id
	return identities
}

// BenchmarkSign sets SignHTTP beside the private key's own operation, which it cannot be faster than.
func BenchmarkSign(b *testing.B) {
	for name, id := range benchmarkIdentities(b) {
		b.Run(name+"/key", func(b *testing.B) {
			b.ReportAllocs()
			digest := make([]byte, 32)
			for b.Loop() {
				if _, err := id.key.Sign(rand.Reader, digest, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/SignHTTP", func(b *testing.B) {
			b.ReportAllocs()
			r, _ := http.NewRequest(http.MethodPost, "https://rolesanywhere.us-east-1.amazonaws.com/sessions", nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("User-Agent", defaultUserAgent)
			for b.Loop() {
				if err := id.SignHTTP(b.Context(), r, emptyHash, "us-east-1", vectorTime); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCreateSession(b *testing.B) {
	for _, name := range []string{"rsa", "p256"} {
		b.Run(name, func(b *testing.B) {
			id := vectorIdentity(b, name)
			client := newTestClient(b, answerSession, nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.CreateSession(b.Context(), id, testInput()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseIdentity(b *testing.B) {
	for _, name := range []string{"rsa", "p256"} {
		b.Run(name, func(b *testing.B) {
			certificate, key := readTestdata(b, name+".pem"), readTestdata(b, name+".key")
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseIdentity(certificate, key, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
