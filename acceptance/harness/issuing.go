package harness

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
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
