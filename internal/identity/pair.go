// Package identity holds what a connection identifies itself with: a certificate and its private key, the key that
// waits for its certificate, and the renewal that is under way. It is a state machine without I/O: each step takes a
// state and returns the next, and whoever stores states does so in one write.
package identity

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// Origin is where a private key was made.
type Origin string

// The origins of keys.
const (
	OriginVault    Origin = "vault"    // here: it has never been anywhere else
	OriginImported Origin = "imported" // written to config
)

// Pair is a certificate, leaf first with its intermediates behind it, and its private key. It does not change after it
// is made.
type Pair struct {
	Certificate string      // PEM
	PrivateKey  secret.Text // PEM, PKCS#8
	Origin      Origin
}

// Identity returns what requests to IAM Roles Anywhere are signed with.
func (p *Pair) Identity() (*rolesanywhere.Identity, error) {
	return rolesanywhere.ParseIdentity([]byte(p.Certificate), []byte(p.PrivateKey.Reveal()), nil)
}

// Certificates returns the leaf and its intermediates.
func (p *Pair) Certificates() ([]*x509.Certificate, error) {
	return rolesanywhere.ParseCertificates([]byte(p.Certificate))
}

// TLS returns the certificate with its chain as it is offered to servers.
func (p *Pair) TLS() (*tls.Certificate, error) {
	certificates, err := p.Certificates()
	if err != nil {
		return nil, err
	}
	key, err := p.key()
	if err != nil {
		return nil, err
	}
	offered := &tls.Certificate{PrivateKey: key}
	for _, one := range certificates {
		offered.Certificate = append(offered.Certificate, one.Raw)
	}
	return offered, nil
}

// KeyType returns the name of the key's type, "" for one that is not made here.
func (p *Pair) KeyType() string {
	key, err := p.key()
	if err != nil {
		return ""
	}
	return KeyTypeOf(key.Public())
}

func (p *Pair) key() (crypto.Signer, error) { return parseKey(p.PrivateKey) }

func parseKey(text secret.Text) (crypto.Signer, error) {
	return rolesanywhere.ParsePrivateKey([]byte(text.Reveal()), nil)
}

// End returns when the certificate or an intermediate ends, whichever is first; the zero time for a damaged one.
func (p *Pair) End() time.Time {
	certificates, err := p.Certificates()
	if err != nil {
		return time.Time{}
	}
	return earliestEnd(certificates)
}

func earliestEnd(certificates []*x509.Certificate) time.Time {
	end := certificates[0].NotAfter
	for _, one := range certificates[1:] {
		if one.NotAfter.Before(end) {
			end = one.NotAfter
		}
	}
	return end
}

// ErrOtherKey means that a certificate is of none of the keys that it could be of.
var ErrOtherKey = errors.New("the certificate is of another key")

// join makes a pair of certificates and the first of the keys that is theirs. Everything is checked that IAM Roles
// Anywhere asks of a certificate whose trust anchor is not at hand: key, usage, not a CA, the chain's form, and dates.
func join(certificates []*x509.Certificate, now time.Time, keys ...keyed) (*Pair, error) {
	for _, one := range keys {
		key, err := parseKey(one.text)
		if err != nil {
			return nil, err
		}
		joined, err := rolesanywhere.NewIdentity(certificates, key)
		if errors.Is(err, rolesanywhere.ErrKeyMismatch) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := checkChain(certificates); err != nil {
			return nil, err
		}
		if err := joined.CheckValidity(now); err != nil {
			return nil, err
		}
		return &Pair{network.EncodeCertificates(certificates), one.text, one.origin}, nil
	}
	return nil, ErrOtherKey
}

// keyed is a private key that a certificate may be of.
type keyed struct {
	text   secret.Text
	origin Origin
}

// checkChain finds certificates that do not sign each other in the order in which they stand, and the root, which the
// service does not want. Signatures of an algorithm that crypto/x509 does not know are the service's to check.
func checkChain(certificates []*x509.Certificate) error {
	for i, child := range certificates[:len(certificates)-1] {
		parent := certificates[i+1]
		err := child.CheckSignatureFrom(parent)
		if err != nil && !errors.Is(err, x509.ErrUnsupportedAlgorithm) ||
			string(child.RawIssuer) != string(parent.RawSubject) {
			return fmt.Errorf("checking certificate: %w: certificate %d of the chain did not sign the one before it",
				rolesanywhere.ErrCertificateUnusable, i+2)
		}
	}
	return nil
}

// CanRenewItself says whether a certificate may be offered to a server by whoever it is of, which the next renewal
// needs.
func CanRenewItself(leaf *x509.Certificate) bool {
	usages := leaf.ExtKeyUsage
	return len(usages)+len(leaf.UnknownExtKeyUsage) == 0 ||
		slices.Contains(usages, x509.ExtKeyUsageClientAuth) || slices.Contains(usages, x509.ExtKeyUsageAny)
}

// requestDER returns the request of a PEM text that was made here.
func requestDER(text string) []byte {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	return block.Bytes
}
