package connection

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"filippo.io/mldsa"
	mldsax509 "filippo.io/mldsa/x509"

	"github.com/s3conn/vault-plugin-s3conn/internal/field"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
)

// warnBefore is how long before its end a certificate is mentioned in every response.
const warnBefore = 30 * 24 * time.Hour

// CertificateEnd is when AWS stops accepting a certificate: at its own end or at that of an intermediate, whichever is
// first. The zero value is the end of no certificate.
type CertificateEnd struct {
	NotAfter     time.Time
	Intermediate string // the intermediate's subject, quoted; empty: the certificate itself ends first
	Renewed      bool   // it renews itself, so that its end is only worth a word once it has come
}

// CertificateEnd returns the end of the connection's certificate, or the zero value where there is none or it cannot be
// parsed, which obtaining a session reports.
func (c *Connection) CertificateEnd() CertificateEnd {
	if c.Certificate == "" {
		return CertificateEnd{}
	}
	certificates, err := network.ParseCertificates(c.Certificate)
	if err != nil {
		return CertificateEnd{}
	}
	end := earliestEnd(certificates)
	end.Renewed = c.Renewed
	return end
}

func earliestEnd(certificates []*x509.Certificate) CertificateEnd {
	end := CertificateEnd{NotAfter: certificates[0].NotAfter}
	for _, one := range certificates[1:] {
		if one.NotAfter.Before(end.NotAfter) {
			end = CertificateEnd{NotAfter: one.NotAfter, Intermediate: problem.Quote(one.Subject.String())}
		}
	}
	return end
}

// Warnings returns one warning if the certificate has expired at the given time, or expires within 30 days and does not
// renew itself.
func (e CertificateEnd) Warnings(now time.Time) []string {
	left := e.NotAfter.Sub(now)
	if left >= warnBefore || e.NotAfter.IsZero() || e.Renewed && left > 0 {
		return nil
	}
	what, remedy := "it", "write a new certificate and private_key"
	if e.Intermediate != "" {
		what, remedy = "the intermediate "+e.Intermediate, "write the certificate with a renewed chain"
	}
	date := e.NotAfter.UTC().Format(time.RFC3339)
	if left <= 0 {
		return []string{fmt.Sprintf("certificate: %s expired on %s; %s", what, date, remedy)}
	}
	return []string{fmt.Sprintf("certificate: %s expires on %s, in %s; %s before then",
		what, date, left.Truncate(time.Minute), remedy)}
}

// CertificateRows are the fields that a read shows in the place of the certificate.
func CertificateRows() []field.Row {
	return []field.Row{
		{Name: "certificate_subject", Description: "Subject of the certificate."},
		{Name: "certificate_issuer", Description: "Issuer of the certificate."},
		{Name: "certificate_serial_number", Description: "Serial number, in hexadecimal."},
		{Name: "certificate_sha256", Description: "SHA-256 fingerprint, in hexadecimal."},
		{Name: "certificate_key_type", Description: "Type and size of the key."},
		{Name: "certificate_not_before", Description: "Start of validity, RFC 3339, UTC."},
		{Name: "certificate_not_after", Description: "End of validity, RFC 3339, UTC."},
	}
}

func describeCertificate(c *Connection) (map[string]any, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	block, _ := pem.Decode([]byte(c.Certificate))
	if block == nil {
		return nil, errors.New("parsing certificate: the stored text is not PEM; write the certificate again")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errors.New("parsing certificate: the stored text is not an X.509 certificate; write the " +
			"certificate again")
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	return map[string]any{
		"certificate_subject":       leaf.Subject.String(),
		"certificate_issuer":        leaf.Issuer.String(),
		"certificate_serial_number": serialNumber(leaf),
		"certificate_sha256":        hex.EncodeToString(fingerprint[:]),
		"certificate_key_type":      keyType(leaf),
		"certificate_not_before":    leaf.NotBefore.UTC().Format(time.RFC3339),
		"certificate_not_after":     leaf.NotAfter.UTC().Format(time.RFC3339),
	}, nil
}

// serialNumber is written as Vault's PKI engine and openssl write it.
func serialNumber(leaf *x509.Certificate) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", leaf.SerialNumber.Bytes()), " ", ":")
}

func keyType(leaf *x509.Certificate) string {
	public, err := mldsax509.ParsePKIXPublicKey(leaf.RawSubjectPublicKeyInfo) // crypto/x509 of Go 1.26 knows no ML-DSA
	if err != nil {
		return "unknown"
	}
	switch key := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *mldsa.PublicKey:
		return key.Parameters().String()
	}
	return "unknown"
}
