package acceptance

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// The parameters of key derivation at which the plugin stops.
const (
	mostIterations = 1_000_000
	mostScryptN    = 1 << 15 // with r = 8: N*r*p = 262144
)

// The structures of RFC 8018, appendix A, and of RFC 7914, section 7.
type (
	encryptedKeyInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Parameters  struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	pbkdf2Parameters struct {
		Salt       []byte
		Iterations int
		PRF        pkix.AlgorithmIdentifier
	}
	scryptParameters struct {
		Salt    []byte
		N, R, P int
	}
)

func mustDER(t *testing.T, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func algorithm(t *testing.T, parameters any, oid ...int) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: mustDER(t, parameters)}}
}

// costlyKey is PKCS#8 that only its derivation shows to be no key.
func costlyKey(t *testing.T, derivation pkix.AlgorithmIdentifier) string {
	t.Helper()
	cipher := algorithm(t, make([]byte, 16), 2, 16, 840, 1, 101, 3, 4, 1, 42) // AES-256-CBC
	der := mustDER(t, encryptedKeyInfo{
		Algorithm: algorithm(t, pbes2Parameters{derivation, cipher}, 1, 2, 840, 113549, 1, 5, 13),
		Data:      make([]byte, 160),
	})
	return string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}))
}

func scryptKey(t *testing.T, n int) string {
	t.Helper()
	return costlyKey(t, algorithm(t, scryptParameters{[]byte("saltsalt"), n, 8, 1}, 1, 3, 6, 1, 4, 1, 11591, 4, 11))
}

func pbkdf2Key(t *testing.T, iterations int) string {
	t.Helper()
	sha512 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}}
	parameters := pbkdf2Parameters{[]byte("saltsalt"), iterations, sha512}
	return costlyKey(t, algorithm(t, parameters, 1, 2, 840, 113549, 1, 5, 12))
}

// pkcs12File has a MAC that only its derivation shows to be wrong. The structures are of RFC 7292, section 4.
func pkcs12File(t *testing.T, iterations int) string {
	t.Helper()
	type content struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	inside := func(value any) asn1.RawValue { // [0] EXPLICIT
		return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: mustDER(t, value)}
	}
	data := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	keyBag := content{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}, inside([]int{0})}
	safe := mustDER(t, []content{{data, inside(mustDER(t, []content{keyBag}))}})
	type digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	type mac struct {
		Mac        digest
		Salt       []byte
		Iterations int
	}
	sha256 := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}}
	return base64.StdEncoding.EncodeToString(mustDER(t, struct {
		Version int
		Safe    content
		Mac     mac
	}{3, content{data, inside(safe)}, mac{digest{sha256, make([]byte, 32)}, []byte("saltsalt"), iterations}}))
}

// forgedRSAKey has numbers that fit together, so that only comparing them shows that they are no key. It is as long as
// the field takes.
func forgedRSAKey(t *testing.T) string {
	t.Helper()
	const bits = 1 << 16
	one, e := big.NewInt(1), big.NewInt(65537)
	for range 100 {
		p, q := oddNumber(t, bits/2), oddNumber(t, bits/2)
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		order := new(big.Int).Mul(p1, q1)
		d := new(big.Int).ModInverse(e, order)
		inverse := new(big.Int).ModInverse(q, p)
		if d == nil || inverse == nil {
			continue
		}
		der := mustDER(t, struct {
			Version             int
			N                   *big.Int
			E                   int
			D, P, Q, Dp, Dq, Qi *big.Int
		}{0, new(big.Int).Mul(p, q), 65537, d, p, q, new(big.Int).Mod(d, p1), new(big.Int).Mod(d, q1), inverse})
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
	t.Fatal("forging an RSA key: no numbers found")
	return ""
}

func oddNumber(t *testing.T, bits int) *big.Int {
	t.Helper()
	b := make([]byte, bits/8)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	b[0], b[len(b)-1] = b[0]|0xc0, b[len(b)-1]|1
	return new(big.Int).SetBytes(b)
}

// manyCertificates fills the field with the smallest certificates there are.
func manyCertificates(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	one := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return string(bytes.Repeat(one, (64<<10)/len(one)))
}

// manyBuckets is a list of buckets of about the size, in bytes.
func manyBuckets(size int) string {
	var b strings.Builder
	b.WriteString(`<ListAllMyBucketsResult><Buckets>`)
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "<Bucket><Name>bucket-%d</Name></Bucket>", i)
	}
	b.WriteString(`</Buckets></ListAllMyBucketsResult>`)
	return b.String()
}
