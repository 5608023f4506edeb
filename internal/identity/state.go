package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// State is everything that is known of one connection's identity. It is a value: what its pointers lead to is never
// changed, so a copy stays as it is whatever becomes of the original.
type State struct {
	ID      string   // of what the connection's configuration refers to
	Current *Pair    // nil: the connection has no identity yet
	Waiting *Waiting // nil: no key waits
	Issuer  *Issuer  // nil: nobody renews
	Renewal *Renewal // nil: no renewal is under way
	Record  Record
}

// Waiting is a key that was made here and has no certificate yet.
type Waiting struct {
	KeyType    string
	PrivateKey secret.Text // PEM, PKCS#8
	CSR        string      // PEM
	Since      time.Time   // when the key was made
}

// The values of an issuer's key.
const (
	KeyNew  = "new"
	KeySame = "same"
)

// Issuer says who renews the certificate, and how.
type Issuer struct {
	Revision string `json:"revision"` // differs from one write to the next
	enroll.Settings
	RenewBefore time.Duration `json:"renew_before,omitempty"` // 0: a third of the certificate's lifetime
	Key         string        `json:"key"`
	KeyType     string        `json:"key_type,omitempty"` // "": the current key's
	Names       Names         `json:"names"`              // what is left out: the current certificate's
}

// Check adds to the list what is wrong with the issuer of a connection whose identity is in the state.
func (i *Issuer) Check(p *problem.List, s State) {
	i.Settings.Check(p)
	i.Names.Check(p)
	keyType := i.KeyType
	if keyType == "" || i.Key == KeySame {
		keyType = s.keyType()
	}
	if IsMLDSA(keyType) {
		field := "key_type"
		if i.Key == KeySame {
			field = "key"
		}
		p.Add(
			field,
			"the key would be of type %s, and no issuer signs ML-DSA yet; give key_type=%s and key=new",
			keyType,
			DefaultKeyType,
		)
	}
	if i.Key == KeySame && i.KeyType != "" && i.KeyType != s.keyType() && s.Current != nil {
		p.Add(
			"key_type",
			"is %s and the current key's is %s, which key=same keeps; leave it out",
			i.KeyType,
			s.keyType(),
		)
	}
	if leaf := s.Leaf(); leaf != nil && i.RenewBefore >= leaf.NotAfter.Sub(leaf.NotBefore) {
		p.Add(
			"renew_before",
			"is %s, and the certificate's whole lifetime is %s; give less, or leave it out for a third of it",
			i.RenewBefore,
			leaf.NotAfter.Sub(leaf.NotBefore),
		)
	}
	if leaf := s.Leaf(); leaf != nil && !CanRenewItself(leaf) {
		p.Add(
			"type",
			"the current certificate's extended key usage lacks clientAuth, so the issuer would not accept it; "+
				"give the connection another one first",
		)
	}
}

// keyType returns the type of the current key, "" where there is none.
func (s State) keyType() string {
	if s.Current == nil {
		return ""
	}
	return s.Current.KeyType()
}

// Record is what became of renewals. The tags are those of the stored form.
type Record struct {
	LastRenewal time.Time `json:"last_renewal,omitzero"` // the last that came to its end
	LastTry     time.Time `json:"last_try,omitzero"`
	LastError   string    `json:"last_error,omitempty"` // "" after a success
	Failures    int       `json:"failures,omitempty"`   // in a row
	NextTry     time.Time `json:"next_try,omitzero"`    // zero after a success
}

// ErrChanged means that a state is not the one any more that a step was prepared for.
var ErrChanged = errors.New("the identity was changed meanwhile")

// NewWaiting makes a key that waits, unless one of the type does so already, and the request of the names for it.
// The key is made by makeKey, which is not called where there is one.
func (s State) NewWaiting(keyType string, replace bool, names Names, now time.Time, makeKey MakeKey) (State, error) {
	waiting := s.Waiting
	if waiting != nil && !replace && waiting.KeyType != keyType {
		var p problem.List
		p.Add(
			"key_type",
			"a key of type %s made at %s waits for its certificate; give that key_type for another request of it, "+
				"or new_key=true to replace it",
			waiting.KeyType,
			waiting.Since.UTC().Format(time.RFC3339),
		)
		return State{}, p.Err("making a request", "the key goes on waiting")
	}
	next := Waiting{KeyType: keyType, Since: now}
	if waiting != nil && !replace {
		next = *waiting
	}
	if next.PrivateKey.Empty() {
		key, err := makeKey(keyType)
		if err != nil {
			return State{}, err
		}
		if next.PrivateKey, err = encodeKey(key); err != nil {
			return State{}, err
		}
	}
	key, err := parseKey(next.PrivateKey)
	if err != nil {
		return State{}, err
	}
	if next.CSR, err = NewRequest(key, names, nil); err != nil {
		return State{}, err
	}
	s.Waiting = &next
	return s, nil
}

// Join makes the pair that would become current with the certificate: of the key that waits, or of the current key.
// Its error is a [*problem.Error] about the field certificate.
func (s State) Join(certificate string, now time.Time) (*Pair, error) {
	var keys []keyed
	if s.Waiting != nil {
		keys = append(keys, keyed{s.Waiting.PrivateKey, OriginVault})
	}
	if s.Current != nil {
		keys = append(keys, keyed{s.Current.PrivateKey, s.Current.Origin})
	}
	pair, err := joinText(certificate, now, keys)
	if err != nil {
		var p problem.List
		p.Add("certificate", "%s", s.explain(err))
		return nil, p.Err("joining the certificate with its key", s.Unchanged())
	}
	return pair, nil
}

func joinText(certificate string, now time.Time, keys []keyed) (*Pair, error) {
	certificates, err := rolesanywhere.ParseCertificates([]byte(certificate))
	if err != nil {
		return nil, err
	}
	return join(certificates, now, keys...)
}

func (s State) explain(err error) string {
	if !errors.Is(err, ErrOtherKey) {
		return err.Error()
	}
	switch {
	case s.Waiting == nil && s.Current == nil:
		return "no key waits for it; make one with csr first"
	case s.Waiting == nil:
		return "is not of the current key, and no key waits; make one with csr first"
	case s.Current == nil:
		return "is not of the key that waits; have the csr signed that identity/NAME shows as waiting_csr"
	}
	return "is of neither the key that waits nor the current one; have the csr signed that identity/NAME shows as " +
		"waiting_csr"
}

// Unchanged says what is still true when a step is refused.
func (s State) Unchanged() string {
	switch {
	case s.Waiting != nil && s.Current != nil:
		return "the identity is unchanged and the key goes on waiting"
	case s.Waiting != nil:
		return "the key goes on waiting"
	case s.Current == nil:
		return "the connection has no certificate yet"
	}
	return "the identity is unchanged"
}

// Swap makes the pair current, which ends the wait of its key. It refuses with [ErrChanged] a pair that is of none of
// the state's keys any more.
func (s State) Swap(pair *Pair, now time.Time) (State, error) {
	renewed := s.Renewal != nil && sameKey(s.Renewal.PrivateKey, pair.PrivateKey)
	waited := s.Waiting != nil && sameKey(s.Waiting.PrivateKey, pair.PrivateKey)
	if !renewed && !waited && (s.Current == nil || !sameKey(s.Current.PrivateKey, pair.PrivateKey)) {
		return State{}, ErrChanged
	}
	if waited {
		s.Waiting = nil
	}
	s.Current, s.Renewal = pair, nil
	s.Record = Record{LastRenewal: s.Record.LastRenewal, LastTry: s.Record.LastTry}
	if renewed {
		s.Record.LastRenewal = now
	}
	return s, nil
}

func sameKey(a, b secret.Text) bool { return a.Reveal() == b.Reveal() }

// WithIssuer sets who renews. A request that was made for another issuer is given up; a certificate that is issued
// already is not.
func (s State) WithIssuer(issuer *Issuer) State {
	s.Issuer = issuer
	if s.Renewal != nil && s.Renewal.Certificate == "" {
		s.Renewal = nil
	}
	s.Record = Record{LastRenewal: s.Record.LastRenewal}
	return s
}

// Leaf returns the current certificate, or nil.
func (s State) Leaf() *x509.Certificate {
	if s.Current == nil {
		return nil
	}
	certificates, err := s.Current.Certificates()
	if err != nil {
		return nil
	}
	return certificates[0]
}

// Require returns the current pair, or an error that says how a connection gets one.
func (s State) Require(name string) (*Pair, error) {
	if s.Current == nil {
		return nil, fmt.Errorf(
			"%w: make a key and its request with identity/%s/csr, and write its certificate to identity/%s/certificate",
			ErrNoCertificate,
			name,
			name,
		)
	}
	return s.Current, nil
}

// ErrNoCertificate means that a connection has no identity yet.
var ErrNoCertificate = errors.New("no certificate yet")
