package session

import (
	"context"
	"errors"
	"time"
)

// Subject is what sessions are requested for: settings as they were read from storage.
type Subject interface {
	// Revision differs between any two versions of what is stored.
	Revision() string
	// Permanent says that the subject has credentials of its own, which do not end: no session is ever requested.
	Permanent() bool
}

// Loader reads subjects from storage. S is how a request reaches storage; the pool only passes it on. Both methods are
// called with a bounded context and concurrently.
type Loader[T Subject, S any] interface {
	// Load returns the key's subject, or an error that the reader gets as it is.
	Load(ctx context.Context, storage S, key Key) (T, error)
	// Revision returns the revision of what is stored now, and "" when there is nothing any more. The pool asks it
	// without a Variant.
	Revision(ctx context.Context, storage S, key Key) (string, error)
}

// Store keeps sessions over restarts. Its methods report nothing: a session that cannot be stored serves from memory,
// and one that cannot be read is requested again. They are called concurrently.
type Store[T Subject, S any] interface {
	// Load returns, before ctx's deadline, the stored session that was requested for this very revision of the
	// subject, if it is whole. The pool judges whether it still lives.
	Load(ctx context.Context, storage S, key Key, subject T) (Session, bool)
	// Save stores the session. It takes the lock under which the key's settings are written and asks current with the
	// lock held: when that returns false the session belongs to settings that are gone, and nothing may be stored.
	// Save waits for StorageWait at most for the lock, and as long for storage.
	Save(ctx context.Context, storage S, key Key, subject T, s Session, current func() bool)
	// Discard removes, before ctx's deadline, the stored session of a key whose settings are gone from storage, if
	// they still are.
	Discard(ctx context.Context, storage S, key Key)
}

// Reason says why a session is requested.
type Reason int

// The reasons, of which the first that holds counts.
const (
	Retry   Reason = iota // the last request for the key failed
	First                 // readers wait, because there is no live session
	Refresh               // the live session nears its end
)

// Request is one request for a session.
type Request[T Subject, S any] struct {
	Key     Key
	Subject T
	Storage S
	Reason  Reason
}

// Source obtains sessions.
type Source[T Subject, S any] interface {
	// Obtain requests one session. It blocks until its turn has come, then for a bounded time. It runs detached from
	// the readers that wait for it: ctx ends when the session is not wanted any more, because its settings have changed
	// or the pool closes. Obtain is called concurrently, but once at a time for a key.
	Obtain(ctx context.Context, request Request[T, S]) (Session, error)
}

// Arrival is a session that has come in.
type Arrival struct {
	Session Session
	Stored  bool // it was read from storage
	Took    time.Duration
	At      Instant
}

// Failure is a request for a session that has failed.
type Failure struct {
	Err        error
	Live       bool          // the session in use still lives
	Remaining  time.Duration // its life; at most zero without one
	Failures   int           // in a row
	RetryAfter time.Duration // until the next reader causes another request
	Took       time.Duration
	Stack      []byte // of a panic; nil otherwise
}

// Observer is called after the fact, without locks held, from the goroutine that did the work. It must not block.
type Observer[T Subject] interface {
	Obtained(key Key, subject T, arrival Arrival)
	Failed(key Key, subject T, failure Failure)
	// Dropped is called when a comparison with storage has found that the settings in use are not the stored ones.
	Dropped(key Key, subject T)
	// Unconfirmed is called when such a comparison failed; what is in use goes on.
	Unconfirmed(key Key, err error)
}

// Errors of the pool itself. All but ErrDefect are temporary.
var (
	// ErrPending ends a reader's wait; the request for its session goes on.
	ErrPending = errors.New("the session has not arrived yet: it is being requested, or waits for its turn, because " +
		"few requests a second are allowed, or storage does not answer; try again")
	// ErrGone is returned to a reader whose own context has ended.
	ErrGone = errors.New("the request ended before its session came; try again")
	// ErrUnsettled is returned when the settings change faster than they can be read.
	ErrUnsettled = errors.New("the connection is being changed again and again; try again")
	// ErrClosing is returned once the pool is closed.
	ErrClosing = errors.New("the mount is closing; try again")
	// ErrReadOnly is returned where [Config.ReadOnly] holds and a session is needed that only another node can obtain.
	ErrReadOnly = errors.New("this node obtains no sessions")
	// ErrDefect stands in for a panic while a session was requested.
	ErrDefect = errors.New("requesting the session ended in a defect of this plugin; the server's log has the place, " +
		"please report it")

	errDropped = errors.New("the settings have changed meanwhile")
	errPending = errors.New("the wait is over")
)
