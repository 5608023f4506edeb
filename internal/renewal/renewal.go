// Package renewal renews certificates: a key and a request, the issuer, the proof, the swap. Each step is stored before
// the next begins, so that a crash anywhere leaves a working identity and the next try goes on where the last one
// ended.
package renewal

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/identity"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

const (
	// runTimeout bounds one run of the scheduler's, with all its calls and its wait for a turn to prove.
	runTimeout = time.Minute
	// noteTimeout bounds the write of what became of a run, which takes place after a cancelled one too.
	noteTimeout = 5 * time.Second
	// busyPause is when a renewal is looked at again that is under way already.
	busyPause = 30 * time.Second
)

var (
	// ErrGone is returned for a connection that was deleted.
	ErrGone = errors.New("there is no such connection")
	// ErrNoIssuer means that nobody renews the connection's certificate.
	ErrNoIssuer = errors.New("the connection has no issuer")
	// ErrBusy means that a renewal of the connection is under way.
	ErrBusy = errors.New("a renewal of this connection is under way; look at identity/NAME for what becomes of it")
)

// Proof is what a successful proof left behind, such as a session.
type Proof any

// Connections is how identities are stored and proved. All methods are called with a bounded context, and concurrently
// for different names.
type Connections interface {
	// Load returns the state of the connection's identity, or [ErrGone].
	Load(ctx context.Context, name string) (identity.State, error)
	// Update replaces the state in one write, under the lock under which the connection is written. change gets the
	// state that is stored then; its error is returned as it is, and nothing is stored.
	Update(ctx context.Context, name string, change Change) (identity.State, error)
	// Prove obtains a session with the pair and the connection's settings.
	Prove(ctx context.Context, name string, pair *identity.Pair) (Proof, error)
	// Adopt is Update, and makes the proof's session the live one under the same lock. It returns
	// [identity.ErrChanged] when the settings that the proof was made with are not the stored ones any more.
	Adopt(ctx context.Context, name string, proof Proof, change Change) (identity.State, error)
}

// Change returns the state that follows one.
type Change func(identity.State) (identity.State, error)

// Observer is called after the fact. It must not block.
type Observer interface {
	Renewed(name string, state identity.State, warnings []string)
	RenewalFailed(name string, state identity.State, err error)
}

// Config is what a Renewer is made of. Every field is needed.
type Config struct {
	Connections Connections
	MakeKey     func(ctx context.Context, keyType string) (key crypto.Signer, err error)
	NewIssuer   func(enroll.Settings) (enroll.Issuer, error)
	Now         func() time.Time
	Random      func() float64         // in [0, 1)
	Describe    func(error) error      // in words that may be stored and shown
	Permanent   func(proof error) bool // says that a proof failed for a reason that time does not cure
	Observer    Observer
}

// Renewer renews one certificate at a time of each connection. It is safe for concurrent use.
type Renewer struct {
	Config
	mutex sync.Mutex
	busy  map[string]bool
}

// New returns a Renewer. It starts nothing.
func New(config Config) *Renewer { return &Renewer{Config: config, busy: map[string]bool{}} }

// Run does what is due for the connection, and returns when something is due again: it is what a [schedule.Scheduler]
// runs. What fails is noted in the state and tried again after a pause.
func (r *Renewer) Run(ctx context.Context, name string) (next time.Time) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	if !r.enter(name) {
		return r.Now().Add(busyPause)
	}
	defer r.leave(name)
	state, err := r.Connections.Load(ctx, name)
	switch {
	case errors.Is(err, ErrGone):
		return time.Time{}
	case err != nil:
		return r.Now().Add(schedule.Pause(1, 0, r.Random()))
	}
	if due := state.Due(); due.IsZero() || due.After(r.Now()) {
		return due
	}
	state, err = r.renew(ctx, name, state, enroll.Secret{})
	if errors.Is(err, errUnstored) {
		return r.Now().Add(schedule.Pause(1, state.Left(r.Now()), r.Random()))
	}
	return state.Due()
}

// Renew renews now, whether it is due or not; given takes the place of the current certificate. It returns the state
// that is stored then, also beside an error, which is in the words that [Config.Describe] finds.
func (r *Renewer) Renew(ctx context.Context, name string, given enroll.Secret) (identity.State, error) {
	if !r.enter(name) {
		return identity.State{}, ErrBusy
	}
	defer r.leave(name)
	state, err := r.Connections.Load(ctx, name)
	switch {
	case err != nil:
		return identity.State{}, err
	case state.Issuer == nil:
		return state, ErrNoIssuer
	}
	return r.renew(ctx, name, state, given)
}

func (r *Renewer) enter(name string) bool {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.busy[name] {
		return false
	}
	r.busy[name] = true
	return true
}

func (r *Renewer) leave(name string) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.busy, name)
}

// renew goes on from wherever the state is.
func (r *Renewer) renew(
	ctx context.Context,
	name string,
	state identity.State,
	given enroll.Secret,
) (identity.State, error) {
	state, err := r.begin(ctx, name, state)
	if err != nil {
		return r.failed(ctx, name, state, err, keep)
	}
	var warnings []string
	if state.PendingProof() == "" {
		var chained identity.State
		chained, warnings, err = r.issue(ctx, name, state, given)
		if err != nil {
			return r.failed(ctx, name, state, err, keep)
		}
		state = chained
	}
	swapped, err := r.prove(ctx, name, state)
	if err != nil {
		after := keep
		if r.Permanent(err) || errors.Is(err, identity.ErrUnusable) {
			after = identity.State.Refused
		}
		return r.failed(ctx, name, state, err, after)
	}
	r.Observer.Renewed(name, swapped, warnings)
	return swapped, nil
}

// begin has a key and a request stored before anybody sees them.
func (r *Renewer) begin(ctx context.Context, name string, state identity.State) (identity.State, error) {
	if state.Renewal != nil {
		return state, nil
	}
	renewal, err := state.Begin(
		name,
		r.Now(),
		func(keyType string) (crypto.Signer, error) { return r.MakeKey(ctx, keyType) },
	)
	if err != nil {
		return state, err
	}
	begun, err := r.Connections.Update(
		ctx,
		name,
		func(s identity.State) (identity.State, error) { return s.Continue(state, renewal) },
	)
	if err != nil {
		return state, err
	}
	return begun, nil
}

// issue has the certificate stored before it is proved.
func (r *Renewer) issue(ctx context.Context, name string, state identity.State, given enroll.Secret,
) (next identity.State, warnings []string, err error) {
	issuer, err := r.NewIssuer(state.Issuer.Settings)
	if err != nil {
		return state, nil, err
	}
	request, err := state.Request(given)
	if err != nil {
		return state, nil, err
	}
	issued, err := issuer.Issue(ctx, request)
	if err != nil {
		return state, nil, err
	}
	next, err = r.Connections.Update(ctx, name, func(s identity.State) (identity.State, error) {
		return s.Issued(state.Renewal, issued.Chain, r.Now())
	})
	return next, issued.Warnings, err
}

// prove makes the certificate current, and the session that has proved it the live one.
func (r *Renewer) prove(ctx context.Context, name string, state identity.State) (identity.State, error) {
	pair, err := state.Candidate(r.Now())
	if err != nil {
		return state, err
	}
	proof, err := r.Connections.Prove(ctx, name, pair)
	if err != nil {
		return state, err
	}
	return r.Connections.Adopt(
		ctx,
		name,
		proof,
		func(s identity.State) (identity.State, error) { return s.Swap(pair, r.Now()) },
	)
}

func keep(s identity.State) identity.State { return s }

// errUnstored is wrapped by the error of a run whose end could not be noted.
var errUnstored = errors.New("what became of the renewal could not be stored")

// failed notes why a run ended and when the next is. It returns the error in words that may be shown.
func (r *Renewer) failed(
	ctx context.Context,
	name string,
	state identity.State,
	err error,
	after func(identity.State) identity.State,
) (identity.State, error) {
	if errors.Is(err, ErrGone) {
		return identity.State{}, err
	}
	described := r.Describe(err)
	if state.Current != nil && state.Left(r.Now()) <= 0 && state.PendingProof() == "" {
		described = fmt.Errorf("%w; the current certificate has ended, so the issuer may refuse it: renew with a "+
			"one-time secret",
			described)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	now := r.Now()
	noted, noteErr := r.Connections.Update(ctx, name, func(s identity.State) (identity.State, error) {
		left := s.Left(now)
		var pending *enroll.PendingError
		if errors.As(err, &pending) {
			return s.Postponed(described.Error(), now, now.Add(schedule.Shorten(pending.RetryAfter, left))), nil
		}
		next := now.Add(schedule.Pause(s.Record.Failures+1, left, r.Random()))
		return after(s).Failed(described.Error(), now, next), nil
	})
	if noteErr != nil {
		noted, described = state, fmt.Errorf("%w; %w: %w", described, errUnstored, noteErr)
	}
	r.Observer.RenewalFailed(name, noted, described)
	return noted, described
}
