package rolesanywhere

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The time of the vectors, at which their certificates are valid.
var vectorTime = time.Date(2026, 11, 23, 9, 33, 6, 0, time.UTC)

func vectorClock() time.Time { return vectorTime }

func readTestdata(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// readVector returns a recorded request, with its body, as a server sees it.
func readVector(t testing.TB, name string) (*http.Request, []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(readTestdata(t, name+".http"))))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, body
}

func vectorIdentity(t testing.TB, name string) *Identity {
	t.Helper()
	certificates := readTestdata(t, name+".pem")
	switch name {
	case "rsa-chain":
		certificates = append(certificates, readTestdata(t, "intermediate.pem")...)
	case "ml-dsa-65", "p256-under-ml-dsa":
		certificates = append(certificates, readTestdata(t, "intermediate-ml-dsa-44.pem")...)
	}
	id, err := ParseIdentity(certificates, readTestdata(t, name+".key"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leafTemplate is a certificate that the service would take, valid for a day around vectorTime.
func leafTemplate() *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(42),
		Subject:               pkix.Name{CommonName: "orders-api"},
		NotBefore:             vectorTime.Add(-12 * time.Hour),
		NotAfter:              vectorTime.Add(12 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
	}
}

func caTemplate() *x509.Certificate {
	ca := leafTemplate()
	ca.Subject.CommonName = "Test CA"
	ca.IsCA = true
	ca.KeyUsage = x509.KeyUsageCertSign
	return ca
}

// selfSigned makes a certificate of template for key. The service would not trust it; nothing here
// looks at the issuer.
func selfSigned(t testing.TB, template *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	return issued(t, template, key.Public(), key)
}

// issued makes a certificate of template for a public key, signed with another.
func issued(t testing.TB, template *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func encodePEM(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}

func certificatePEM(certificates ...*x509.Certificate) []byte {
	var b []byte
	for _, c := range certificates {
		b = append(b, encodePEM(certificateBlock, c.Raw)...)
	}
	return b
}

func pkcs8PEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encodePEM(pkcs8Block, der)
}
