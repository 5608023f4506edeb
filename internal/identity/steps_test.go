package identity

import (
	"crypto"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// renewing returns a state with an identity of the authority's and a renewal of it under way.
func renewing(t testing.TB, a *authority, issuer *Issuer) State {
	t.Helper()
	before := with(t, a).WithIssuer(issuer)
	renewal, err := before.Begin("orders", time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	state, err := before.Continue(before, renewal)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// issuedFor returns the chain that the authority issues for the renewal that is under way.
func issuedFor(t testing.TB, a *authority, s State, changes ...func(*x509.Certificate)) []*x509.Certificate {
	t.Helper()
	chain, err := network.ParseCertificates(a.answer(t, s.Renewal.CSR, changes...))
	if err != nil {
		t.Fatal(err)
	}
	return chain
}

func TestBegin_MakesTheKeyAndTheRequestThatTheIssuerWants(t *testing.T) {
	t.Parallel()
	current := with(t, newAuthority(t))
	for name, test := range map[string]struct {
		state    State
		issuer   Issuer
		keyType  string
		keepsKey bool
		subject  string
	}{
		"a new key of the current one's type": {current, Issuer{Key: KeyNew}, "ec-p256", false, "CN=orders"},
		"a new key of another type": {current, Issuer{Key: KeyNew, KeyType: "ec-p384",
			Names: Names{Organization: []string{"Example"}}}, "ec-p384", false, "CN=orders,O=Example"},
		"the same key":          {current, Issuer{Key: KeySame}, "ec-p256", true, "CN=orders"},
		"the first certificate": {State{}, Issuer{Key: KeySame}, DefaultKeyType, false, "CN=reports"},
		"the first certificate of a name": {State{}, Issuer{Key: KeyNew, Names: Names{CommonName: "billing"}},
			DefaultKeyType, false, "CN=billing"},
	} {
		now := time.Now()
		renewal, err := test.state.WithIssuer(&test.issuer).Begin("reports", now, NewKey)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		request := readRequest(t, renewal.CSR)
		key, err := parseKey(renewal.PrivateKey)
		if err != nil || KeyTypeOf(key.Public()) != test.keyType || KeyTypeOf(request.PublicKey) != test.keyType {
			t.Errorf("%s: the key is of type %q (%v), want %s", name, KeyTypeOf(request.PublicKey), err, test.keyType)
		}
		same := test.state.Current != nil && sameKey(renewal.PrivateKey, test.state.Current.PrivateKey)
		if renewal.KeepsKey != test.keepsKey || same != test.keepsKey || renewal.Origin != OriginVault ||
			!renewal.Since.Equal(now) || request.Subject.String() != test.subject {
			t.Errorf("%s: keeps its key %v, same key %v, subject %s", name, renewal.KeepsKey, same, request.Subject)
		}
	}
}

func TestBegin_AndNewWaitingReturnWhyThereIsNoKey(t *testing.T) {
	t.Parallel()
	errMaking := errors.New("no key")
	broken := with(t, newAuthority(t))
	broken.Current = &Pair{broken.Current.Certificate, secret.New("CANARY"), OriginImported}
	for name, test := range map[string]struct {
		issuer  Issuer
		makeKey MakeKey
		want    string
	}{
		"it cannot be made": {Issuer{Key: KeyNew, KeyType: "ec-p256"},
			func(string) (crypto.Signer, error) { return nil, errMaking }, "no key"},
		"it cannot be stored": {Issuer{Key: KeyNew, KeyType: "ec-p256"},
			func(string) (crypto.Signer, error) { return strangeKey{}, nil }, "unsupported private key"},
		"its names are no URIs": {Issuer{Key: KeyNew, KeyType: "ec-p256", Names: Names{URISANs: []string{"%"}}},
			NewKey, `uri_sans: "%" is not a URI`},
		"the current one is damaged": {Issuer{Key: KeySame}, NewKey, "parsing private key"},
	} {
		renewal, err := broken.WithIssuer(&test.issuer).Begin("orders", time.Now(), test.makeKey)
		if renewal != nil || err == nil || !strings.Contains(err.Error(), test.want) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		if test.issuer.Key == KeySame {
			continue
		}
		state, err := State{}.NewWaiting("ec-p256", false, test.issuer.Names, time.Now(), test.makeKey)
		if state.Waiting != nil || err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: waiting %+v, %v, want %q", name, state.Waiting, err, test.want)
		}
	}
	damaged := State{Waiting: &Waiting{KeyType: "ec-p256", PrivateKey: secret.New("CANARY")}}
	if _, err := damaged.NewWaiting("ec-p256", false, Names{}, time.Now(), NewKey); err == nil ||
		strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a key that waits and is damaged: %v", err)
	}
}

// strangeKey is a private key of a type that has no stored form.
type strangeKey struct{ crypto.Signer }

func TestContinue_KeepsWhatIsUnderWayAndRefusesWhatWasMadeForAnotherState(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	issuer := &Issuer{Revision: "1", Key: KeyNew}
	before := with(t, a).WithIssuer(issuer)
	renewal, err := before.Begin("orders", time.Now(), NewKey)
	if err != nil {
		t.Fatal(err)
	}
	other := &Renewal{CSR: "another"}
	for name, test := range map[string]struct {
		state State
		want  *Renewal
	}{
		"unchanged":           {before, renewal},
		"one is under way":    {State{Issuer: issuer, Current: before.Current, Renewal: other}, other},
		"the issuer is gone":  {before.WithIssuer(nil), nil},
		"another issuer":      {before.WithIssuer(&Issuer{Revision: "2"}), nil},
		"another certificate": {with(t, a).WithIssuer(issuer), nil},
		"no certificate":      {State{Issuer: issuer}, nil},
	} {
		next, err := test.state.Continue(before, renewal)
		if next.Renewal != test.want || errors.Is(err, ErrChanged) != (test.want == nil) {
			t.Errorf("%s: renewal %+v, %v", name, next.Renewal, err)
		}
	}
}

func TestRequest_OffersTheCurrentCertificateWithItsChain(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := renewing(t, a, &Issuer{Key: KeySame})
	state.Current = &Pair{state.Current.Certificate + toPEM(a.certificate), state.Current.PrivateKey, OriginVault}
	given := enroll.Secret{Token: secret.New("once")}
	request, err := state.Request(given)
	if err != nil {
		t.Fatal(err)
	}
	if len(request.Current.Certificate) != 2 || string(request.Current.Certificate[0]) != string(state.Leaf().Raw) ||
		KeyTypeOf(request.Current.PrivateKey.(crypto.Signer).Public()) != "ec-p256" {
		t.Errorf("offered are %d certificates", len(request.Current.Certificate))
	}
	if string(request.CSR) != string(readRequest(t, state.Renewal.CSR).Raw) || !request.KeepsKey ||
		request.Secret != given {
		t.Errorf("the request is %+v", request)
	}
	first, err := State{Renewal: state.Renewal}.Request(given)
	if err != nil || first.Current != nil {
		t.Errorf("without a certificate %v is offered, %v", first.Current, err)
	}
	for name, damaged := range map[string]*Pair{
		"certificate": {"CANARY", state.Current.PrivateKey, OriginVault},
		"private key": {state.Current.Certificate, secret.New("CANARY"), OriginVault},
	} {
		state.Current = damaged
		if _, err := state.Request(given); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
	if der := requestDER("not PEM"); der != nil {
		t.Errorf("a damaged request is sent as %q", der)
	}
}

func TestIssued_RefusesWhatCouldNotBeUsed(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := renewing(t, a, &Issuer{Key: KeyNew})
	begins := func(in time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(in), time.Now().Add(in+time.Hour)
		}
	}
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		want  error
		words string
	}{
		"of another key": {issuedFor(t, a, renewing(t, a, &Issuer{Key: KeyNew})), ErrOtherKey, "another key"},
		"for servers alone": {issuedFor(t, a, state, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), ErrUnusable, "lacks clientAuth, without which it cannot renew itself"},
		"a CA": {issuedFor(t, a, state, func(c *x509.Certificate) {
			c.IsCA, c.BasicConstraintsValid = true, true
		}), ErrUnusable, "is a CA certificate"},
		"ended":        {issuedFor(t, a, state, begins(-2*time.Hour)), ErrUnusable, "expired"},
		"far too soon": {issuedFor(t, a, state, begins(maxAhead+time.Minute)), ErrUnusable, "not valid yet"},
	} {
		next, err := state.Issued(state.Renewal, test.chain, time.Now())
		if !errors.Is(err, ErrUnusable) || !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.words) ||
			next.Renewal != nil {
			t.Errorf("%s: %v, want %q", name, err, test.words)
		}
	}
	fine := issuedFor(t, a, state)
	for name, changed := range map[string]State{
		"no renewal any more": state.WithIssuer(nil),
		"another renewal":     renewing(t, a, &Issuer{Key: KeyNew}),
	} {
		if _, err := changed.Issued(state.Renewal, fine, time.Now()); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIssued_CertificateWaitsForItsProof(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := renewing(t, a, &Issuer{Key: KeyNew})
	now := time.Now()
	if pair, err := state.Candidate(now); pair != nil || err != nil || state.PendingProof() != "" {
		t.Errorf("before it is issued: %+v, %v", pair, err)
	}
	ahead := func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now.Add(5*time.Minute), now.Add(time.Hour) }
	issued, err := state.Issued(state.Renewal, issuedFor(t, a, state, ahead), now)
	if err != nil {
		t.Fatalf("from an issuer whose clock is ahead: %v", err)
	}
	if issued.PendingProof() == "" || state.PendingProof() != "" || issued.Current != state.Current {
		t.Error("the certificate that is issued does not wait for its proof, or the state before was changed")
	}
	if _, err := issued.Candidate(now); !NotYetValid(err) || errors.Is(err, ErrUnusable) {
		t.Errorf("before it is valid: %v", err)
	}
	if _, err := issued.Candidate(now.Add(2 * time.Hour)); !errors.Is(err, ErrUnusable) {
		t.Errorf("after it has ended: %v", err)
	}
	later := now.Add(10 * time.Minute)
	pair, err := issued.Candidate(later)
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := issued.Failed("no", now, later).Swap(pair, later)
	if err != nil || swapped.Renewal != nil || swapped.Current != pair ||
		swapped.Record != (Record{LastRenewal: later, LastTry: now}) {
		t.Errorf("proved: %+v, %v", swapped, err)
	}
	refused := issued.Refused()
	if refused.PendingProof() != "" || refused.Renewal.CSR != issued.Renewal.CSR || issued.PendingProof() == "" {
		t.Errorf("refused: %+v", refused.Renewal)
	}
	if again := (State{ID: "1"}).Refused(); again.Renewal != nil {
		t.Errorf("nothing is refused: %+v", again.Renewal)
	}
}

func TestWithIssuer_KeepsACertificateThatIsIssuedAlready(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	state := renewing(t, a, &Issuer{Key: KeyNew})
	if next := state.WithIssuer(&Issuer{Revision: "2"}); next.Renewal != nil {
		t.Errorf("a request to another issuer goes on: %+v", next.Renewal)
	}
	issued, err := state.Issued(state.Renewal, issuedFor(t, a, state), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	next := issued.Failed("no", now, now).WithIssuer(nil)
	if next.PendingProof() == "" || next.Record != (Record{}) {
		t.Errorf("after the end of the issuer: %+v", next)
	}
}

func TestFailed_CountsAndPostponedDoesNot(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	state := State{}.Failed("no", now, now.Add(time.Minute)).
		Failed("still no", now.Add(time.Hour), now.Add(2*time.Hour))
	if want := (Record{LastTry: now.Add(time.Hour), LastError: "still no", Failures: 2,
		NextTry: now.Add(2 * time.Hour)}); state.Record != want {
		t.Errorf("after two failures: %+v", state.Record)
	}
	state = state.Postponed("later", now.Add(3*time.Hour), now.Add(4*time.Hour))
	if state.Record.Failures != 2 || state.Record.LastError != "later" ||
		!state.Record.NextTry.Equal(now.Add(4*time.Hour)) {
		t.Errorf("after a postponement: %+v", state.Record)
	}
}
