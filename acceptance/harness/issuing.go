package harness

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// IssuingCA is a root and an intermediate below it, which issues the certificates that connections identify themselves
// with: what an EST server or step-ca is given to sign with.
type IssuingCA struct {
	Root, Intermediate *x509.Certificate

	root *authority
	key  *ecdsa.PrivateKey // the intermediate's
}

// NewIssuingCA makes one whose certificates live a day.
func NewIssuingCA(t testing.TB) *IssuingCA {
	t.Helper()
	root, key := newAuthority(t), newKey(t)
	intermediate := root.issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "acceptance test issuing CA"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}, root.cert, key)
	return &IssuingCA{Root: root.cert, Intermediate: intermediate, root: root, key: key}
}

// RootPEM is what clients of servers below the root trust.
func (ca *IssuingCA) RootPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Root.Raw}))
}

// The files that [IssuingCA.write] makes.
const (
	issuingCertFile  = "issuing.pem" // the intermediate alone
	issuingChainFile = "chain.pem"   // the intermediate and the root
	issuingKeyFile   = "issuing.key"
)

// write puts certificates, the intermediate's key, and a certificate and key for a loopback server into dir.
func (ca *IssuingCA) write(t testing.TB, dir string) {
	t.Helper()
	ca.root.writeServerCert(t, dir)
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		t.Fatalf("encoding the issuing CA's key: %v", err)
	}
	writePEM(t, filepath.Join(dir, issuingKeyFile), "PRIVATE KEY", der)
	writePEM(t, filepath.Join(dir, issuingCertFile), "CERTIFICATE", ca.Intermediate.Raw)
	both := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Intermediate.Raw}), ca.RootPEM()...)
	if err := os.WriteFile(filepath.Join(dir, issuingChainFile), both, 0o600); err != nil {
		t.Fatalf("writing the issuing CA's chain: %v", err)
	}
}

// WriteRoot puts the root's certificate and key into dir, as ca.pem and ca.key, for an operator who signs by hand.
func (ca *IssuingCA) WriteRoot(t testing.TB, dir string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ca.root.key)
	if err != nil {
		t.Fatalf("encoding the root's key: %v", err)
	}
	writePEM(t, filepath.Join(dir, caFile), "CERTIFICATE", ca.Root.Raw)
	writePEM(t, filepath.Join(dir, "ca.key"), "PRIVATE KEY", der)
}

// Sign answers a certificate signing request in DER: the leaf and the intermediate, in PEM.
func (ca *IssuingCA) Sign(t testing.TB, csr []byte) string {
	t.Helper()
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		t.Fatalf("reading a request: %v", err)
	}
	if err := request.CheckSignature(); err != nil {
		t.Fatalf("checking a request: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), RawSubject: request.RawSubject,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24*time.Hour - time.Minute),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Intermediate, request.PublicKey, ca.key)
	if err != nil {
		t.Fatalf("signing a request: %v", err)
	}
	leaf := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return string(leaf) + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Intermediate.Raw}))
}
