package identity

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// MakeKey makes a key of a type, as [NewKey] does.
type MakeKey func(keyType string) (crypto.Signer, error)

// Renewal is a renewal that is under way: its key and request, kept until it has come to its end, so that the same
// request is sent again after a failure or a crash, and the certificate once it is issued and not yet proved.
type Renewal struct {
	PrivateKey  secret.Text // PEM, PKCS#8
	Origin      Origin
	KeepsKey    bool
	CSR         string // PEM
	Certificate string // PEM, leaf first; "" until it is issued
	Since       time.Time
}

// The parts of a lifetime that bound renewals.
const (
	// renewFraction of the lifetime is left when a certificate is renewed, unless renew_before says otherwise.
	renewFraction = 3
	// restFraction of the lifetime is how long a certificate is in use at least before it is renewed, whatever else
	// would have it renewed: an intermediate that ends sooner, or an authority that issues certificates that end too
	// soon.
	restFraction = 6
	// minRest is the same for the shortest lifetimes.
	minRest = 5 * time.Second
)

// RenewAt returns when certificates, leaf first, are to be renewed: so long before the leaf ends, or an intermediate
// if that is first. 0, and what is not below the leaf's lifetime, stands for a third of it.
func RenewAt(certificates []*x509.Certificate, before time.Duration) time.Time {
	leaf := certificates[0]
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	if before <= 0 || before >= lifetime {
		before = lifetime / renewFraction
	}
	due := earliestEnd(certificates).Add(-before)
	if first := leaf.NotBefore.Add(max(lifetime/restFraction, minRest)); due.Before(first) {
		return first
	}
	return due
}

// Due returns when something is to be done for the identity: its renewal, the next try of one that failed, or the proof
// of a certificate that is issued. The zero time means that nothing is, because nobody renews, or because there is no
// certificate yet that could ask for another.
func (s State) Due() time.Time {
	switch {
	case s.Issuer == nil:
		return time.Time{}
	case s.PendingProof() != "" && s.Record.NextTry.IsZero():
		return s.Renewal.Since
	case s.Current == nil && s.PendingProof() == "":
		return time.Time{}
	case !s.Record.NextTry.IsZero():
		return s.Record.NextTry
	}
	due := s.RenewAt()
	last := s.Record.LastRenewal
	if rest := last.Add(max(s.Current.End().Sub(last)/restFraction, minRest)); !last.IsZero() && due.Before(rest) {
		return rest
	}
	return due
}

// RenewAt returns when the current certificate is to be renewed. The zero time means never.
func (s State) RenewAt() time.Time {
	if s.Issuer == nil || s.Current == nil {
		return time.Time{}
	}
	certificates, err := s.Current.Certificates()
	if err != nil {
		return time.Time{}
	}
	return RenewAt(certificates, s.Issuer.RenewBefore)
}

// Begin makes a key, or takes the current one, and a request for the renewal that the issuer wants. Making a key takes
// time, so [State.Continue] puts the renewal into the state afterwards.
func (s State) Begin(name string, now time.Time, makeKey MakeKey) (*Renewal, error) {
	renewal := &Renewal{Origin: OriginVault, Since: now}
	names, leaf := s.Issuer.Names, s.Leaf()
	if leaf == nil && names.CommonName == "" {
		names.CommonName = name
	}
	var key crypto.Signer
	var err error
	if s.Current != nil && s.Issuer.Key == KeySame {
		renewal.PrivateKey, renewal.Origin, renewal.KeepsKey = s.Current.PrivateKey, s.Current.Origin, true
		key, err = parseKey(renewal.PrivateKey)
	} else {
		key, err = makeKey(s.keyTypeToMake())
		if err == nil {
			renewal.PrivateKey, err = encodeKey(key)
		}
	}
	if err != nil {
		return nil, err
	}
	if renewal.CSR, err = NewRequest(key, names, leaf); err != nil {
		return nil, err
	}
	return renewal, nil
}

// Continue puts a renewal under way that was made for the state of before. One that is under way already goes on
// instead. An issuer or a current certificate that is another by now is [ErrChanged].
func (s State) Continue(before State, renewal *Renewal) (State, error) {
	switch {
	case s.Renewal != nil:
		return s, nil
	case s.Issuer == nil || s.Issuer.Revision != before.Issuer.Revision || s.certificate() != before.certificate():
		return State{}, ErrChanged
	}
	s.Renewal = renewal
	return s, nil
}

func (s State) certificate() string {
	if s.Current == nil {
		return ""
	}
	return s.Current.Certificate
}

func (s State) keyTypeToMake() string {
	if s.Issuer.KeyType != "" {
		return s.Issuer.KeyType
	}
	if name := s.keyType(); name != "" {
		return name
	}
	return DefaultKeyType
}

// Request returns what the renewal that is under way asks the issuer with.
func (s State) Request(given enroll.Secret) (enroll.Request, error) {
	request := enroll.Request{CSR: requestDER(s.Renewal.CSR), KeepsKey: s.Renewal.KeepsKey, Secret: given}
	if s.Current != nil {
		offered, err := s.Current.TLS()
		if err != nil {
			return enroll.Request{}, err
		}
		request.Current = offered
	}
	return request, nil
}

// ErrUnusable means that an issued certificate cannot be used: it is of another key, for another usage, a CA's, or has
// ended.
var ErrUnusable = errors.New("the certificate that was issued cannot be used")

// Issued notes the certificate that the issuer returned for the renewal, after all checks: see [State.Join]. A
// certificate that is not valid yet passes, since the issuer's clock may be ahead. One that could not renew itself is
// refused.
func (s State) Issued(renewal *Renewal, chain []*x509.Certificate, now time.Time) (State, error) {
	if s.Renewal == nil || !sameKey(s.Renewal.PrivateKey, renewal.PrivateKey) {
		return State{}, ErrChanged
	}
	pair, err := join(chain, later(now, chain), keyed{renewal.PrivateKey, renewal.Origin})
	if err == nil && !CanRenewItself(chain[0]) {
		err = fmt.Errorf("checking certificate: %w: its extended key usage lacks clientAuth, without which it cannot "+
			"renew itself", rolesanywhere.ErrCertificateUnusable)
	}
	if err != nil {
		return State{}, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	next := *s.Renewal
	next.Certificate = pair.Certificate
	s.Renewal = &next
	return s, nil
}

// maxAhead is how far an issuer's clock may be ahead.
const maxAhead = 10 * time.Minute

// later returns the moment at which a chain begins to be valid, where that is not far ahead, else now.
func later(now time.Time, chain []*x509.Certificate) time.Time {
	begin := now
	for _, one := range chain {
		if one.NotBefore.After(begin) && one.NotBefore.Before(now.Add(maxAhead)) {
			begin = one.NotBefore
		}
	}
	return begin
}

// Candidate returns the pair that is issued and waits to be proved, or nil. Its error is [ErrUnusable], unless
// [NotYetValid] says that it will pass.
func (s State) Candidate(now time.Time) (*Pair, error) {
	if s.Renewal == nil || s.Renewal.Certificate == "" {
		return nil, nil
	}
	pair, err := joinText(s.Renewal.Certificate, now, []keyed{{s.Renewal.PrivateKey, s.Renewal.Origin}})
	if err != nil && !NotYetValid(err) {
		return nil, fmt.Errorf("%w: %w", ErrUnusable, err)
	}
	return pair, err
}

// Refused drops an issued certificate that the service refuses. Its request stays, to be sent again.
func (s State) Refused() State {
	if s.Renewal != nil {
		next := *s.Renewal
		next.Certificate = ""
		s.Renewal = &next
	}
	return s
}

// Failed notes a failure in words that hold no secret, and when the next try is.
func (s State) Failed(words string, now, nextTry time.Time) State {
	s.Record.LastTry, s.Record.LastError, s.Record.NextTry = now, words, nextTry
	s.Record.Failures++
	return s
}

// Postponed notes that the issuer has not decided yet, which is no failure.
func (s State) Postponed(words string, now, nextTry time.Time) State {
	failures := s.Record.Failures
	s = s.Failed(words, now, nextTry)
	s.Record.Failures = failures
	return s
}

// PendingProof returns the certificate that is issued and not proved, in PEM, or "".
func (s State) PendingProof() string {
	if s.Renewal == nil {
		return ""
	}
	return s.Renewal.Certificate
}

// NotYetValid says whether an error is about a certificate that begins later.
func NotYetValid(err error) bool { return errors.Is(err, rolesanywhere.ErrCertificateNotYetValid) }

// Left returns how long the current certificate and its intermediates live, 0 or less where there is none or it has
// ended.
func (s State) Left(now time.Time) time.Duration {
	if s.Current == nil {
		return 0
	}
	return s.Current.End().Sub(now)
}
