package renewal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
)

var (
	errDown    = errors.New("the service is down")
	errRefused = errors.New("AccessDeniedException: Untrusted signing certificate")
	errStorage = errors.New("storage failed")
)

// world is storage, an authority and the service that proves certificates, each of which can fail.
type world struct {
	t        testing.TB
	caKey    crypto.Signer
	ca       *x509.Certificate
	lifetime time.Duration

	mutex    sync.Mutex
	stored   map[string][]byte
	read     map[string]readEntry
	writes   int
	failAt   int // the write that fails, counted from 1; 0: none
	issued   int // certificates that the authority has signed
	proofs   int
	requests map[string]int // by the public key of a CSR
	swaps    int

	caDown, serviceDown func() error // nil: up
	twist               func(*x509.Certificate)
	lost                func() bool // the answer to a request that was served is lost
	warned, failures    []string
}

func newWorld(t testing.TB, lifetime time.Duration) *world {
	t.Helper()
	w := &world{
		t:        t,
		lifetime: lifetime,
		stored:   map[string][]byte{},
		requests: map[string]int{},
		read:     map[string]readEntry{},
	}
	w.caKey = newKey(t)
	w.ca = w.sign(&x509.Certificate{
		Subject: pkix.Name{
			CommonName: "authority",
		}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0),
	}, w.caKey.Public())
	return w
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (w *world) sign(template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	w.t.Helper()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template.SerialNumber = serial
	parent := w.ca
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, w.caKey)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		w.t.Fatal(err)
	}
	return certificate
}

func (w *world) leaf(public crypto.PublicKey) *x509.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "orders"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-30 * time.Second), NotAfter: time.Now().Add(w.lifetime),
	}
	if w.twist != nil {
		w.twist(template)
	}
	return w.sign(template, public)
}

// connect stores a connection with an identity and an issuer.
func (w *world) connect(name string, change func(*identity.State)) {
	w.t.Helper()
	state := identity.State{
		ID: name,
		Issuer: &identity.Issuer{
			Revision: "1",
			Settings: enroll.Settings{Type: enroll.TypeStepCA},
			Key:      identity.KeyNew,
		},
	}
	waiting, err := state.NewWaiting("ec-p256", false, identity.Names{CommonName: "orders"}, time.Now(), w.makeKey)
	if err != nil {
		w.t.Fatal(err)
	}
	pair, err := waiting.Join(pemOf(w.leaf(requested(waiting.Waiting.CSR).PublicKey)), time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if state, err = waiting.Swap(pair, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	if change != nil {
		change(&state)
	}
	w.put(name, state)
}

func (w *world) makeKey(string) (crypto.Signer, error) { return newKey(w.t), nil }

func (w *world) put(name string, state identity.State) {
	text, err := (&identity.Entry{State: state}).Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.stored[name] = text
}

// left returns how long what is stored lives. It reads an entry once for every write.
func (w *world) left(name string) time.Duration {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	text := string(w.stored[name])
	if w.read[name].text != text {
		state, err := w.load(name)
		if err != nil {
			w.t.Fatal(err)
		}
		w.read[name] = readEntry{text, state.Current.End()}
	}
	return time.Until(w.read[name].end)
}

type readEntry struct {
	text string
	end  time.Time
}

// state reads what is stored.
func (w *world) state(name string) identity.State {
	state, err := w.Load(context.Background(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return state
}

func (w *world) Load(_ context.Context, name string) (identity.State, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.load(name)
}

func (w *world) load(name string) (identity.State, error) {
	text := w.stored[name]
	if text == nil {
		return identity.State{}, ErrGone
	}
	entry, err := identity.Decode(text)
	if err != nil {
		return identity.State{}, err
	}
	return identity.Resolve(entry, name, nil), nil
}

func (w *world) Update(ctx context.Context, name string, change Change) (identity.State, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if err := ctx.Err(); err != nil {
		return identity.State{}, err
	}
	state, err := w.load(name)
	if err != nil {
		return identity.State{}, err
	}
	if state, err = change(state); err != nil {
		return identity.State{}, err
	}
	if w.writes++; w.writes == w.failAt {
		return identity.State{}, errStorage
	}
	w.put(name, state)
	return state, nil
}

func (w *world) Prove(_ context.Context, _ string, pair *identity.Pair) (Proof, error) {
	if w.serviceDown != nil {
		if err := w.serviceDown(); err != nil {
			return nil, err
		}
	}
	certificates, err := pair.Certificates()
	if err != nil {
		return nil, err
	}
	if now := time.Now(); now.Before(certificates[0].NotBefore) || now.After(certificates[0].NotAfter) {
		return nil, errRefused
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.proofs++
	return pair.Certificate, nil
}

func (w *world) Adopt(ctx context.Context, name string, proof Proof, change Change) (identity.State, error) {
	state, err := w.Update(ctx, name, change)
	if err == nil && state.Current.Certificate != proof {
		w.t.Error("another certificate was adopted than was proved")
	}
	if err == nil {
		w.mutex.Lock()
		w.swaps++
		w.mutex.Unlock()
	}
	return state, err
}

func (w *world) Issue(_ context.Context, request enroll.Request) (*enroll.Issued, error) {
	if w.caDown != nil {
		if err := w.caDown(); err != nil {
			return nil, err
		}
	}
	csr, err := x509.ParseCertificateRequest(request.CSR)
	if err != nil || csr.CheckSignature() != nil {
		w.t.Errorf("a request that is none: %v", err)
		return nil, errRefused
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.issued++
	w.requests[string(csr.RawSubjectPublicKeyInfo)]++
	leaf := w.leaf(csr.PublicKey)
	if w.lost != nil && w.lost() {
		return nil, errDown
	}
	return &enroll.Issued{Chain: []*x509.Certificate{leaf}}, nil
}

func (w *world) Renewed(_ string, _ identity.State, warnings []string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.warned = append(w.warned, warnings...)
}

func (w *world) RenewalFailed(_ string, _ identity.State, err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.failures = append(w.failures, err.Error())
}

func (w *world) renewer() *Renewer {
	return New(Config{
		Connections: w,
		MakeKey:     func(context.Context, string) (crypto.Signer, error) { return newKey(w.t), nil },
		NewIssuer:   func(enroll.Settings) (enroll.Issuer, error) { return w, nil },
		Now:         time.Now,
		Random:      func() float64 { return 0.5 },
		Describe:    func(err error) error { return err },
		Permanent:   func(err error) bool { return errors.Is(err, errRefused) },
		Observer:    w,
	})
}
