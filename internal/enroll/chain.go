package enroll

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"slices"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
)

const (
	maxIntermediates = 5    // IAM Roles Anywhere takes no more
	maxCertificates  = 32   // of one answer
	maxRSABits       = 8192 // checking a signature of a larger key may take minutes
)

// buildChain puts the certificates that lead from the leaf to its root behind it, out of a bag in any order, and leaves
// out the root and everything that does not belong. A bag without the next certificate ends the chain: whether it leads
// to the trust anchor is IAM Roles Anywhere's to say.
func buildChain(operation string, leaf *x509.Certificate, bag []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(bag) > maxCertificates {
		return nil, unusable(operation, "it holds %d certificates; at most %d are looked at", len(bag), maxCertificates)
	}
	chain := []*x509.Certificate{leaf}
	for {
		parent := parentOf(chain[len(chain)-1], bag)
		switch {
		case parent == nil || isRoot(parent):
			return chain, nil
		case slices.ContainsFunc(chain, parent.Equal):
			return nil, unusable(operation, "its certificates sign each other in a circle")
		case len(chain) > maxIntermediates:
			return nil, unusable(
				operation,
				"its chain has more than %d intermediates, which IAM Roles Anywhere takes at most",
				maxIntermediates,
			)
		}
		chain = append(chain, parent)
	}
}

// parentOf returns who signed the certificate; a root before an intermediate of the same name and key, since a chain
// may end there. nil when the bag has neither.
func parentOf(child *x509.Certificate, bag []*x509.Certificate) (parent *x509.Certificate) {
	for _, one := range bag {
		if !signed(one, child) {
			continue
		}
		if isRoot(one) {
			return one
		}
		if parent == nil {
			parent = one
		}
	}
	return parent
}

func signed(parent, child *x509.Certificate) bool {
	if !bytes.Equal(parent.RawSubject, child.RawIssuer) || parent.Equal(child) {
		return false
	}
	if key, isRSA := parent.PublicKey.(*rsa.PublicKey); isRSA && key.N.BitLen() > maxRSABits {
		return false
	}
	return child.CheckSignatureFrom(parent) == nil
}

func isRoot(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// pickLeaf takes the certificate of the wanted public key out of the bag. An answer with one certificate alone is that
// one, so that whoever checks it can say what is wrong with it.
func pickLeaf(operation string, bag []*x509.Certificate, wanted []byte) (*x509.Certificate, error) {
	for _, one := range bag {
		if bytes.Equal(one.RawSubjectPublicKeyInfo, wanted) {
			return one, nil
		}
	}
	if len(bag) == 1 {
		return bag[0], nil
	}
	return nil, unusable(operation, "none of its %d certificates is of the key that was sent", len(bag))
}

// publicKeyOf returns the key, as DER, that a certificate is requested for.
func publicKeyOf(request Request) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(request.CSR)
	if err != nil {
		return nil, errors.New("reading the certificate signing request: the stored one is damaged; " +
			"write the issuer again")
	}
	return csr.RawSubjectPublicKeyInfo, nil
}

// parsePEM reads the certificates of one text out of a JSON answer.
func parsePEM(operation, name, text string) ([]*x509.Certificate, error) {
	certificates, err := network.ParseCertificates(text)
	if err != nil {
		return nil, unusable(operation, "its %s is not certificates in PEM", name)
	}
	if len(certificates) > maxCertificates {
		return nil, unusable(operation, "its %s holds %d certificates; at most %d are looked at", name,
			len(certificates), maxCertificates)
	}
	return certificates, nil
}
