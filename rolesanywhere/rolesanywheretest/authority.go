package rolesanywheretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"filippo.io/mldsa"
)

// KeyType is a kind of private key.
type KeyType string

// Key types that the service accepts, and after them those that it refuses.
const (
	RSA2048 KeyType = "rsa2048"
	RSA3072 KeyType = "rsa3072"
	RSA4096 KeyType = "rsa4096"
	P256    KeyType = "p256"
	P384    KeyType = "p384"
	P521    KeyType = "p521"
	MLDSA44 KeyType = "ml-dsa-44"
	MLDSA65 KeyType = "ml-dsa-65"
	MLDSA87 KeyType = "ml-dsa-87"

	RSA1024 KeyType = "rsa1024"
	P224    KeyType = "p224"
	Ed25519 KeyType = "ed25519"
)

// ErrKeyType is returned for a KeyType that is none of this package's constants.
var ErrKeyType = errors.New("the key type is unknown")

// GenerateKey makes a private key; the empty type means P256, the quickest. It returns ErrKeyType for
// a type that is none of this package's.
func GenerateKey(t KeyType) (crypto.Signer, error) {
	switch t {
	case "", P256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case P224:
		return ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	case P384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case P521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case RSA1024:
		return rsa.GenerateKey(rand.Reader, 1024)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case MLDSA44:
		return mldsa.GenerateKey(mldsa.MLDSA44())
	case MLDSA65:
		return mldsa.GenerateKey(mldsa.MLDSA65())
	case MLDSA87:
		return mldsa.GenerateKey(mldsa.MLDSA87())
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("generating key of type %q: %w", string(t), ErrKeyType)
}

// AuthorityOptions describes a CA; the zero value is useful.
type AuthorityOptions struct {
	// CommonName is the CA's; empty means one that says what it is.
	CommonName string
	// KeyType is the CA's; empty means P256. It signs with SHA-256, or with ML-DSA.
	KeyType KeyType
	// NotBefore and NotAfter bound its validity; zero means an hour before Now, and ten years after.
	NotBefore, NotAfter time.Time
	// Now is the clock that validities are reckoned from; nil means time.Now.
	Now func() time.Time
}

// Authority is a CA in memory. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	chain       []*x509.Certificate // from this CA up to the one below the root
	key         crypto.Signer
	now         func() time.Time
}

// NewAuthority makes a self-signed root.
func NewAuthority(o AuthorityOptions) (*Authority, error) {
	return newAuthority(o, nil)
}

// Intermediate makes a CA whose certificate a signs. What it issues carries the chain up to the root.
func (a *Authority) Intermediate(o AuthorityOptions) (*Authority, error) {
	if o.Now == nil {
		o.Now = a.now
	}
	return newAuthority(o, a)
}

func newAuthority(o AuthorityOptions, parent *Authority) (*Authority, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	name := "Test Root CA"
	if parent != nil {
		name = "Test Intermediate CA"
	}
	if o.CommonName != "" {
		name = o.CommonName
	}
	key, err := GenerateKey(o.KeyType)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          newSerialNumber(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             orTime(o.NotBefore, o.Now().Add(-time.Hour)),
		NotAfter:              orTime(o.NotAfter, o.Now().AddDate(10, 0, 0)),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	issuer, signer := template, key
	if parent != nil {
		issuer, signer = parent.certificate, parent.key
	}
	der, err := createCertificate(template, issuer, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("creating CA certificate: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parsing CA certificate: %w", err)
	}
	a := &Authority{certificate: certificate, key: key, now: o.Now}
	if parent != nil {
		a.chain = append([]*x509.Certificate{certificate}, parent.chain...)
	}
	return a, nil
}

// Certificate returns the CA's certificate, to be used as a trust anchor.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// CertificatePEM returns the CA's certificate as PEM.
func (a *Authority) CertificatePEM() []byte { return encodePEM("CERTIFICATE", a.certificate.Raw) }

// newSerialNumber is positive and has at most 20 octets, as RFC 5280 section 4.1.2.2 asks.
func newSerialNumber() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}

func orTime(t, otherwise time.Time) time.Time {
	if t.IsZero() {
		return otherwise
	}
	return t
}

func encodePEM(blockType string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der})
}
