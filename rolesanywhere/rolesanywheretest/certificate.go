package rolesanywheretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"filippo.io/mldsa"
)

const (
	maxChainCertificates = 5
	minRSABits           = 2048
)

// parseCertificate reads one certificate of X-Amz-X509 or X-Amz-X509-Chain: base64 of DER, padded,
// without line breaks.
func parseCertificate(header, value string) (*x509.Certificate, *Error) {
	der, err := base64.StdEncoding.Strict().DecodeString(value)
	// The decoder skips line breaks; comparing refuses every second spelling.
	if err != nil || base64.StdEncoding.EncodeToString(der) != value {
		return nil, accessDenied(messageInsufficient, "%s is not padded base64", header)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, accessDenied(messageInsufficient, "%s is not a DER certificate", header)
	}
	return certificate, nil
}

// parseLeaf reads X-Amz-X509.
func parseLeaf(r *http.Request) (*x509.Certificate, *Error) {
	values := r.Header.Values("X-Amz-X509")
	if len(values) != 1 {
		return nil, accessDenied(messageInsufficient, "X-Amz-X509 must be sent once")
	}
	return parseCertificate("X-Amz-X509", values[0])
}

// parseChain reads X-Amz-X509-Chain, which may be absent.
func parseChain(r *http.Request) ([]*x509.Certificate, *Error) {
	values := r.Header.Values("X-Amz-X509-Chain")
	if len(values) == 0 {
		return nil, nil
	}
	if len(values) > 1 {
		return nil, accessDenied(messageUntrusted, "X-Amz-X509-Chain is sent more than once")
	}
	parts := strings.Split(values[0], ",")
	if len(parts) > maxChainCertificates {
		return nil, accessDenied(
			messageUntrusted,
			"X-Amz-X509-Chain has %d certificates, at most %d are allowed",
			len(parts),
			maxChainCertificates,
		)
	}
	chain := make([]*x509.Certificate, 0, len(parts))
	for _, part := range parts {
		certificate, refusal := parseCertificate("X-Amz-X509-Chain", part)
		if refusal != nil {
			return nil, refusal
		}
		chain = append(chain, certificate)
	}
	return chain, nil
}

// verifySignature checks the string to sign with the key that the leaf certifies. SHA-256 is used
// with RSA and every curve; ML-DSA signs the string itself, with an empty context.
func verifySignature(leaf *x509.Certificate, a authorization, toSign string) *Error {
	digest := sha256.Sum256([]byte(toSign))
	switch key := certifiedKey(leaf).(type) {
	case *rsa.PublicKey:
		if a.algorithm != algorithmRSA {
			return accessDenied(messageSignature, "the algorithm is %s and the key is RSA", a.algorithm)
		}
		if key.N.BitLen() < minRSABits {
			return accessDenied(messageInsufficient, "the RSA key has %d bits, at least %d are required",
				key.N.BitLen(), minRSABits)
		}
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], a.signature); err != nil {
			return accessDenied(messageSignature, "the signature is not the key's over this request")
		}
	case *ecdsa.PublicKey:
		if a.algorithm != algorithmECDSA {
			return accessDenied(messageSignature, "the algorithm is %s and the key is ECDSA", a.algorithm)
		}
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() && key.Curve != elliptic.P521() {
			return accessDenied(messageInsufficient, "the curve is not P-256, P-384 or P-521")
		}
		if !ecdsa.VerifyASN1(key, digest[:], a.signature) {
			return accessDenied(messageSignature, "the signature is not the key's over this request")
		}
	case *mldsa.PublicKey:
		if a.algorithm != algorithmMLDSA {
			return accessDenied(messageSignature, "the algorithm is %s and the key is ML-DSA", a.algorithm)
		}
		if mldsa.Verify(key, []byte(toSign), a.signature, nil) != nil {
			return accessDenied(messageSignature, "the signature is not the key's over this request")
		}
	default:
		return accessDenied(messageInsufficient, "the key is not RSA, ECDSA or ML-DSA")
	}
	return nil
}

// checkLeaf applies the service's rules for end-entity certificates:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html.
func checkLeaf(leaf *x509.Certificate, now time.Time) *Error {
	switch {
	case leaf.Version != 3:
		return accessDenied(messageInsufficient, "the certificate is not X.509 v3")
	case leaf.IsCA:
		return accessDenied(messageInsufficient, "the certificate is a CA's")
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return accessDenied(messageInsufficient, "the certificate's key usage lacks digitalSignature")
	case !strongSignature(leaf):
		return accessDenied(
			messageInsufficient,
			"the certificate's signature algorithm is weaker than SHA-256, or Ed25519",
		)
	case len(leaf.Subject.Names) == 0:
		return accessDenied(messageInsufficient, "the certificate's subject is empty")
	case now.Before(leaf.NotBefore):
		return accessDenied(messageUntrusted, "the certificate is not yet valid")
	case now.After(leaf.NotAfter):
		return accessDenied(messageUntrusted, "the certificate has expired")
	}
	return nil
}
