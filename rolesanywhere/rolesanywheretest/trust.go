package rolesanywheretest

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"

	"filippo.io/mldsa"
)

// The certification paths of RFC 5280, section 6, as far as the service's certificates need them. crypto/x509's own
// Verify cannot be used: it does not know ML-DSA everywhere, and takes a leaf for a trust anchor.

// maxSignatureChecks bounds what a hostile chain costs.
const maxSignatureChecks = 32

// pathSearch looks for a path from a leaf over a chain, in any order, to a trust anchor, which need not be self-signed.
type pathSearch struct {
	anchors []*x509.Certificate
	now     time.Time
	checks  int
	// reason is why the last path that came to an anchor's name was refused.
	reason string
}

// checkTrust refuses a leaf that no path leads from.
func checkTrust(leaf *x509.Certificate, chain, anchors []*x509.Certificate, now time.Time) *Error {
	for _, certificate := range chain {
		if !strongSignature(certificate) {
			return accessDenied(
				messageUntrusted,
				"a certificate of the chain is signed with less than SHA-256, or with Ed25519",
			)
		}
	}
	s := &pathSearch{anchors: anchors, now: now}
	if !s.leads(leaf, chain, 0) {
		if s.reason != "" {
			return accessDenied(messageUntrusted, "no path leads from the certificate to a trust anchor: %s", s.reason)
		}
		return accessDenied(messageUntrusted, "no path leads from the certificate to a trust anchor")
	}
	return nil
}

// leads reports whether a path leads from child to an anchor. below is the number of CA certificates under child's
// issuer.
func (s *pathSearch) leads(child *x509.Certificate, chain []*x509.Certificate, below int) bool {
	if len(child.UnhandledCriticalExtensions) > 0 {
		s.reason = "a certificate has a critical extension that is not known"
		return false
	}
	for _, anchor := range s.anchors {
		if bytes.Equal(child.RawIssuer, anchor.RawSubject) {
			if fault := anchorFault(anchor); fault != "" {
				s.reason = fault
			} else if s.issued(anchor, child, below) {
				return true
			}
		}
	}
	for i, issuer := range chain {
		rest := slices.Delete(slices.Clone(chain), i, i+1)
		if !bytes.Equal(issuer.Raw, child.Raw) && s.issued(issuer, child, below) && s.leads(issuer, rest, below+1) {
			return true
		}
	}
	return false
}

// issued reports whether issuer is a CA that may have issued child and has signed it.
func (s *pathSearch) issued(issuer, child *x509.Certificate, below int) bool {
	if !bytes.Equal(child.RawIssuer, issuer.RawSubject) {
		return false
	}
	switch {
	case !issuer.BasicConstraintsValid || !issuer.IsCA:
		s.reason = "an issuer is not a CA"
	case issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		s.reason = "an issuer's key usage lacks keyCertSign"
	case (issuer.MaxPathLen > 0 || issuer.MaxPathLenZero) && below > issuer.MaxPathLen:
		s.reason = "an issuer's path length is exceeded"
	case s.now.Before(issuer.NotBefore) || s.now.After(issuer.NotAfter):
		s.reason = "an issuer is not valid at this time"
	case hasNameConstraints(issuer):
		s.reason = "an issuer has name constraints, which this stand-in does not judge"
	case s.checks >= maxSignatureChecks:
		s.reason = "the search took too many signatures"
	default:
		s.checks++
		if signedBy(issuer, child) {
			return true
		}
		s.reason = "a signature is not its issuer's"
	}
	return false
}

// anchorFault says what the service has against a certificate as a trust anchor, empty when nothing:
// https://docs.aws.amazon.com/rolesanywhere/latest/userguide/trust-model.html.
func anchorFault(anchor *x509.Certificate) string {
	switch {
	case anchor.Version != 3:
		return "the trust anchor is not X.509 v3"
	case !anchor.BasicConstraintsValid || !anchor.IsCA:
		return "the trust anchor is not a CA"
	case anchor.KeyUsage&x509.KeyUsageCertSign == 0:
		return "the trust anchor's key usage lacks keyCertSign"
	case !strongSignature(anchor):
		return "the trust anchor is signed with less than SHA-256, or with Ed25519"
	}
	return ""
}

// strongSignature lists what is allowed, so that an algorithm unknown here is refused. The service asks for an
// algorithm with SHA-256 or better, and its documentation knows no Ed25519.
func strongSignature(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	}
	_, ok := mldsaSignature(c)
	return ok
}

// signedBy verifies the signature on child with issuer's key.
func signedBy(issuer, child *x509.Certificate) bool {
	if params, ok := mldsaSignature(child); ok {
		key, ok := certifiedKey(issuer).(*mldsa.PublicKey)
		return ok && key.Parameters() == params &&
			mldsa.Verify(key, child.RawTBSCertificate, child.Signature, nil) == nil
	}
	return issuer.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature) == nil
}

func hasNameConstraints(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(
			c.PermittedEmailAddresses,
		)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}
