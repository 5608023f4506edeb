package enroll

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// authority is a root with intermediates below it, the last of which signs.
type authority struct {
	certificates []*x509.Certificate // from the signing intermediate up to the root
	key          *ecdsa.PrivateKey
}

// newAuthority makes a root with so many intermediates.
func newAuthority(t testing.TB, intermediates int) *authority {
	t.Helper()
	a := &authority{}
	for i := 0; i <= intermediates; i++ {
		key := newKey(t)
		template := &x509.Certificate{
			Subject: pkix.Name{CommonName: "authority " + string(rune('A'+i))}, IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign,
		}
		parent, signer := template, key
		if i > 0 {
			parent, signer = a.certificates[0], a.key
		}
		a.certificates = append([]*x509.Certificate{sign(t, template, parent, key.Public(), signer)}, a.certificates...)
		a.key = key
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(
	t testing.TB,
	template, parent *x509.Certificate,
	public crypto.PublicKey,
	key crypto.Signer,
) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// leaf signs a certificate for the key.
func (a *authority) leaf(t testing.TB, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "orders"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{
			x509.ExtKeyUsageClientAuth,
			x509.ExtKeyUsageServerAuth,
		}, DNSNames: []string{"localhost"},
	}
	return sign(t, template, a.certificates[0], public, a.key)
}

func (a *authority) root() *x509.Certificate { return a.certificates[len(a.certificates)-1] }

// identity makes a current identity with its chain.
func (a *authority) identity(t testing.TB) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	chain := [][]byte{a.leaf(t, key.Public()).Raw}
	for _, one := range a.certificates[:len(a.certificates)-1] {
		chain = append(chain, one.Raw)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key}
}

func newCSR(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(
		rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: "orders"}},
		key,
	)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// certsOnly writes a certs-only SignedData by hand, in DER or with indefinite lengths.
func certsOnly(indefinite bool, certificates ...*x509.Certificate) []byte {
	wrap := func(tag byte, parts ...[]byte) []byte {
		var content []byte
		for _, one := range parts {
			content = append(content, one...)
		}
		if indefinite {
			return append(append([]byte{tag, 0x80}, content...), 0, 0)
		}
		n := len(content)
		switch {
		case n < 0x80:
			return append([]byte{tag, byte(n)}, content...)
		case n < 0x100:
			return append([]byte{tag, 0x81, byte(n)}, content...)
		case n < 0x10000:
			return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, content...)
		}
		return append([]byte{tag, 0x83, byte(n >> 16), byte(n >> 8), byte(n)}, content...)
	}
	data := []byte{0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1}
	signedData := []byte{0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}
	var set [][]byte
	for _, one := range certificates {
		set = append(set, one.Raw)
	}
	return wrap(0x30, signedData, wrap(0xa0, wrap(0x30,
		[]byte{0x02, 1, 1}, wrap(0x31), wrap(0x30, data), wrap(0xa0, set...), wrap(0xa1), wrap(0x31))))
}
