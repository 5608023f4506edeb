package rolesanywhere

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"filippo.io/mldsa"
)

// Algorithm names of the Authorization header.
const (
	algorithmRSA   = "AWS4-X509-RSA-SHA256"
	algorithmECDSA = "AWS4-X509-ECDSA-SHA256"
	algorithmMLDSA = "AWS4-X509-MLDSA"
)

// Identity is a certificate, its intermediates and its private key: what IAM Roles Anywhere knows a
// workload by. It does not change after it is made and is safe for concurrent use as long as its
// key is. It prints as a redaction with every verb, as JSON and in logs.
type Identity struct {
	certificates []*x509.Certificate
	key          crypto.Signer
	algorithm    string
	hash         crypto.Hash // 0: the message itself is signed
	serial       string
	// The base64 forms are half the work of signing with ECDSA, so they are made once.
	x509Header  string
	chainHeader string
}

// ParseIdentity is [ParseCertificates], [ParsePrivateKey] and [NewIdentity] in one, with their errors.
// The passphrase may be nil if the key is not encrypted.
func ParseIdentity(certificatePEM, privateKeyPEM, passphrase []byte) (*Identity, error) {
	certificates, err := ParseCertificates(certificatePEM)
	if err != nil {
		return nil, err
	}
	key, err := ParsePrivateKey(privateKeyPEM, passphrase)
	if err != nil {
		return nil, err
	}
	return NewIdentity(certificates, key)
}

// NewIdentity joins a certificate, leaf first and then its intermediates, with its private key. The
// key may live elsewhere (an HSM, a KMS): it is asked for its public key once, which must be a *rsa.PublicKey,
// *ecdsa.PublicKey or *mldsa.PublicKey (crypto/mldsa's, which filippo.io/mldsa stands for before Go 1.27), and
// then only to sign: SHA-256 digests, with PKCS #1 v1.5 for RSA and in ASN.1 DER for ECDSA; whole messages, with
// options whose HashFunc is 0, for ML-DSA. A crypto.MessageSigner is given the message in every case.
//
// Errors wrap [ErrInvalidCertificate], [ErrTooManyIntermediates], [ErrCertificateUnusable],
// [ErrUnsupportedKey] or [ErrKeyMismatch]. The certificate's dates are not looked at.
func NewIdentity(certificates []*x509.Certificate, key crypto.Signer) (*Identity, error) {
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%w: no certificate given; %s", ErrInvalidCertificate, certificateWant)
	}
	if n := len(certificates) - 1; n > maxIntermediates {
		return nil, tooManyIntermediates(n)
	}
	if err := checkCertificates(certificates); err != nil {
		return nil, err
	}
	if key == nil {
		return nil, checkPublicKey(nil)
	}
	public := key.Public()
	if err := checkPublicKey(public); err != nil {
		return nil, err
	}
	comparable, ok := public.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !comparable.Equal(publicKey(certificates[0])) {
		return nil, fmt.Errorf("checking key: %w; want the key that the certificate was requested with",
			ErrKeyMismatch)
	}
	id := &Identity{
		certificates: slices.Clone(certificates),
		key:          key,
		algorithm:    algorithmECDSA,
		hash:         crypto.SHA256,
		serial:       certificates[0].SerialNumber.String(),
	}
	switch public.(type) {
	case *rsa.PublicKey:
		id.algorithm = algorithmRSA
	case *mldsa.PublicKey:
		id.algorithm, id.hash = algorithmMLDSA, 0
	}
	encoded := make([]string, len(certificates))
	for i, c := range certificates {
		encoded[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	id.x509Header, id.chainHeader = encoded[0], strings.Join(encoded[1:], ",")
	return id, nil
}

// Certificate returns the end-entity certificate. It is shared: do not change it.
func (id *Identity) Certificate() *x509.Certificate { return id.certificates[0] }

// Chain returns the intermediates in the order given, none for a certificate that the trust anchor
// issued itself. The certificates are shared: do not change them.
func (id *Identity) Chain() []*x509.Certificate { return slices.Clone(id.certificates[1:]) }

// CheckValidity returns an error wrapping [ErrCertificateExpired] or [ErrCertificateNotYetValid] when
// now is outside the period of the certificate or of an intermediate. Both ends of a period belong to it.
func (id *Identity) CheckValidity(now time.Time) error {
	for i, c := range id.certificates {
		if err := validityFault(c, i, now); err != nil {
			return err
		}
	}
	return nil
}

const redactedIdentity = "rolesanywhere.Identity(redacted)"

// The printing methods have value receivers so that a dereferenced Identity is covered as well.

// String returns a redaction.
func (id Identity) String() string { return redactedIdentity }

// GoString returns a redaction.
func (id Identity) GoString() string { return redactedIdentity }

// Format writes a redaction for every verb.
func (id Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedIdentity) }

// MarshalJSON returns a redaction as a JSON string.
func (id Identity) MarshalJSON() ([]byte, error) { return []byte(`"` + redactedIdentity + `"`), nil }

// LogValue returns a redaction.
func (id Identity) LogValue() slog.Value { return slog.StringValue(redactedIdentity) }
