package s3conn

import (
	"crypto"
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

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// expiryWarning is how long before its end a certificate is mentioned in every response.
const expiryWarning = 30 * 24 * time.Hour

// checkIdentity validates certificate and key and replaces both by their plain form: certificates without the text
// that tools put around them, the key as unencrypted PKCS#8. Vault's storage is what encrypts it from here on.
func checkIdentity(p *problem.List, c *connection, now time.Time) (warnings []string) {
	certificates := checkCertificate(p, c)
	for _, fault := range rolesanywhere.ValidityFaults(certificates, now) {
		p.Add("certificate", "%v", fault)
	}
	key := checkPrivateKey(p, c)
	if certificates == nil || key == nil {
		return nil
	}
	switch _, err := rolesanywhere.NewIdentity(certificates, key); {
	case errors.Is(err, rolesanywhere.ErrKeyMismatch):
		p.Add("private_key", "is not the key of the certificate; give the two that belong together")
		return nil
	case err != nil:
		p.Add("certificate", "%v", err)
		return nil
	}
	if p.Has("certificate") {
		return nil
	}
	return certificateWarnings(earliestEnd(certificates), now)
}

func checkCertificate(p *problem.List, c *connection) []*x509.Certificate {
	if p.Has("certificate") {
		return nil
	}
	if c.Certificate == "" {
		p.Add("certificate", "is required for auth_type roles_anywhere; give the PEM, leaf first")
		return nil
	}
	certificates, err := rolesanywhere.ParseCertificates([]byte(c.Certificate))
	if err != nil {
		p.Add("certificate", "%v", err)
		return nil
	}
	c.Certificate = network.EncodeCertificates(certificates)
	return certificates
}

func checkPrivateKey(p *problem.List, c *connection) crypto.Signer {
	passphrase := c.passphrase
	c.passphrase = secret.Text{}
	if p.Has("private_key") || p.Has("private_key_passphrase") {
		return nil
	}
	if c.privateKey.Empty() {
		p.Add("private_key", "is required for auth_type roles_anywhere; give the PEM of the certificate's key")
		return nil
	}
	key, err := rolesanywhere.ParsePrivateKey([]byte(c.privateKey.Reveal()), []byte(passphrase.Reveal()))
	switch {
	case errors.Is(err, rolesanywhere.ErrPassphraseRequired), errors.Is(err, rolesanywhere.ErrPassphraseIncorrect):
		p.Add("private_key_passphrase", "%v", err)
		return nil
	case err != nil:
		p.Add("private_key", "%v", err)
		return nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.Add("private_key", "encoding it as PKCS#8 is not possible")
		return nil
	}
	c.privateKey = secret.New(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return key
}

// leaf parses the certificate for what it says alone, without the private key.
func (c *connection) leaf() (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(c.Certificate))
	if block == nil {
		return nil, errors.New("parsing certificate: the stored text is not PEM; write the certificate again")
	}
	return x509.ParseCertificate(block.Bytes)
}

// certificateEnd is when a connection's certificate or an intermediate ends, whichever is first: AWS then accepts neither.
type certificateEnd struct {
	notAfter     time.Time
	intermediate string // its subject, quoted; empty: the certificate itself
}

func (c *connection) certificateEnd() certificateEnd {
	certificates, err := network.ParseCertificates(c.Certificate)
	if err != nil {
		return certificateEnd{} // buying a session will say what is wrong
	}
	return earliestEnd(certificates)
}

func earliestEnd(certificates []*x509.Certificate) certificateEnd {
	end := certificateEnd{notAfter: certificates[0].NotAfter}
	for _, one := range certificates[1:] {
		if one.NotAfter.Before(end.notAfter) {
			end = certificateEnd{one.NotAfter, problem.Quote(one.Subject.String())}
		}
	}
	return end
}

// certificateWarnings says when a certificate has ended or soon will.
func certificateWarnings(end certificateEnd, now time.Time) []string {
	left := end.notAfter.Sub(now)
	if left >= expiryWarning || end.notAfter.IsZero() {
		return nil
	}
	what, remedy := "it", "write a new certificate and private_key"
	if end.intermediate != "" {
		what, remedy = "the intermediate "+end.intermediate, "write the certificate with a renewed chain"
	}
	date := end.notAfter.UTC().Format(time.RFC3339)
	if left <= 0 {
		return []string{fmt.Sprintf("certificate: %s expired on %s; %s", what, date, remedy)}
	}
	return []string{fmt.Sprintf("certificate: %s expires on %s, in %s; %s before then", what, date, left.Truncate(time.Minute), remedy)}
}

// describeCertificate is what a read shows in the certificate's place.
func describeCertificate(leaf *x509.Certificate) map[string]any {
	fingerprint := sha256.Sum256(leaf.Raw)
	return map[string]any{
		"certificate_subject":       leaf.Subject.String(),
		"certificate_issuer":        leaf.Issuer.String(),
		"certificate_serial_number": serialNumber(leaf),
		"certificate_sha256":        hex.EncodeToString(fingerprint[:]),
		"certificate_key_type":      keyType(leaf.PublicKey),
		"certificate_not_before":    leaf.NotBefore.UTC().Format(time.RFC3339),
		"certificate_not_after":     leaf.NotAfter.UTC().Format(time.RFC3339),
	}
}

// serialNumber is written as Vault's PKI engine and openssl write it.
func serialNumber(leaf *x509.Certificate) string {
	return strings.ReplaceAll(fmt.Sprintf("% x", leaf.SerialNumber.Bytes()), " ", ":")
}

func keyType(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	}
	return "unknown"
}
