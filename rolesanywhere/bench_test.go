package rolesanywhere

import (
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
		"p521":          vectorIdentity(b, "p521"),
		"mldsa44":       vectorIdentity(b, "ml-dsa-44"),
		"mldsa65-chain": vectorIdentity(b, "ml-dsa-65"),
		"mldsa87":       vectorIdentity(b, "ml-dsa-87"),
	}
	return identities
}

// BenchmarkSign sets SignHTTP beside the private key's own operation, which it cannot be faster than.
func BenchmarkSign(b *testing.B) {
	for name, id := range benchmarkIdentities(b) {
		b.Run(name+"/key", func(b *testing.B) {
			b.ReportAllocs()
			digest := make([]byte, 32)
			for b.Loop() {
				if _, err := id.key.Sign(rand.Reader, digest, id.hash); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/SignHTTP", func(b *testing.B) {
			b.ReportAllocs()
			r, _ := http.NewRequest(http.MethodPost, "https://rolesanywhere.us-east-1.amazonaws.com/sessions", nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("User-Agent", Options{}.userAgent())
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
