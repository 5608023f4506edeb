package rolesanywhere

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	"filippo.io/mldsa"
)

// The service refuses more intermediates than this in X-Amz-X509-Chain:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/authentication-sign-process.html
const maxIntermediates = 5

// RSA key sizes in bits. The lower one is the service's rule; the upper one keeps a hostile key from
// costing seconds of CPU at every signature, and is the size at which crypto/tls stops too.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

const certificateWant = "want the leaf certificate as a PEM block that begins with " +
	"-----BEGIN CERTIFICATE-----, then up to 5 intermediates (from DER: openssl x509 -inform der)"

// ParseCertificates parses a PEM text of one end-entity certificate followed by its intermediates, at
// most 5 of them, and checks what IAM Roles Anywhere asks of each. The dates are not looked at: see
// [Identity.CheckValidity]. Text between the blocks is ignored, text after the last one is refused.
//
// Errors wrap [ErrInvalidCertificate], [ErrTooManyIntermediates], [ErrCertificateUnusable] or
// [ErrUnsupportedKey].
//
// The rules: https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html
func ParseCertificates(pemData []byte) ([]*x509.Certificate, error) {
	blocks, err := decodePEM(pemData)
	if err != nil {
		return nil, fmt.Errorf("%w: %w; %s", ErrInvalidCertificate, err, certificateWant)
	}
	if n := len(blocks) - 1; n > maxIntermediates {
		return nil, tooManyIntermediates(n)
	}
	certificates := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if isPrivateKeyBlock(block.Type) {
			return nil, fmt.Errorf("%w: found a private key in the certificate's place; %s",
				ErrInvalidCertificate, certificateWant)
		}
		if block.Type != certificateBlock {
			return nil, fmt.Errorf("%w: PEM block %d is not a certificate; %s",
				ErrInvalidCertificate, i+1, certificateWant)
		}
		if certificates[i], err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("%w: PEM block %d is not valid X.509: %w", ErrInvalidCertificate, i+1, err)
		}
	}
	if err := checkCertificates(certificates); err != nil {
		return nil, err
	}
	return certificates, nil
}

func tooManyIntermediates(n int) error {
	return fmt.Errorf("parsing certificate: %w: %d follow the leaf, the service takes at most %d",
		ErrTooManyIntermediates, n, maxIntermediates)
}

// checkCertificates applies the rules that do not depend on the time. Whether the chain leads to the
// trust anchor is the service's to say: only it knows the anchor.
func checkCertificates(certificates []*x509.Certificate) error {
	for i, c := range certificates {
		if c == nil || len(c.Raw) == 0 {
			return fmt.Errorf("%w: %s has no DER encoding; want one that was parsed",
				ErrInvalidCertificate, certificatePlace(i))
		}
		fault := signatureFault(c)
		if fault == "" && i == 0 {
			fault = leafFault(c)
		}
		if fault == "" && i > 0 && !(c.BasicConstraintsValid && c.IsCA) {
			fault = "it is not a CA; the leaf comes first and only CA certificates follow it"
		}
		if fault != "" {
			return fmt.Errorf("checking certificate: %w: %s: %s", ErrCertificateUnusable, certificatePlace(i), fault)
		}
	}
	return checkPublicKey(publicKey(certificates[0]))
}

func certificatePlace(i int) string {
	if i == 0 {
		return "the leaf"
	}
	return fmt.Sprintf("intermediate %d", i)
}

// signatureFault says what is wrong with version and signature algorithm, which every certificate of the chain must
// have right; empty when nothing is. The list is of what is accepted, so that an algorithm this code does not know is
// refused here, with a reason, rather than by the service. Ed25519 is not on it: the service's documentation asks for
// an algorithm with SHA-256 or better, and knows no Ed25519.
func signatureFault(c *x509.Certificate) string {
	if c.Version != 3 {
		return fmt.Sprintf("it is X.509 version %d; version 3 is needed", c.Version)
	}
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return ""
	}
	if signedWithMLDSA(c) {
		return ""
	}
	const want = "want RSA or ECDSA with SHA-256 or better, or ML-DSA"
	if c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		return "its signature algorithm is not known; " + want
	}
	return fmt.Sprintf("it is signed with %s; %s", c.SignatureAlgorithm, want)
}

func leafFault(c *x509.Certificate) string {
	switch {
	case c.IsCA:
		return "it is a CA certificate; the end-entity certificate comes first"
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return "its key usage lacks digitalSignature"
	case len(c.Subject.Names) == 0:
		return "its subject is empty"
	}
	return ""
}

func checkPublicKey(key any) error {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Errorf("checking key: %w: RSA of %d bits; %d to %d are accepted",
				ErrUnsupportedKey, bits, minRSABits, maxRSABits)
		}
		return nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return nil
		}
	case *mldsa.PublicKey:
		return nil
	}
	return fmt.Errorf("checking key: %w: want RSA of at least %d bits, ECDSA on P-256, P-384 or P-521, or ML-DSA",
		ErrUnsupportedKey, minRSABits)
}

// validityFault applies RFC 5280, section 4.1.2.5: both dates belong to the period.
func validityFault(c *x509.Certificate, i int, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("checking certificate: %w: %s begins %s", ErrCertificateNotYetValid,
			certificatePlace(i), c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return fmt.Errorf("checking certificate: %w: %s ended %s", ErrCertificateExpired,
			certificatePlace(i), c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}
