package session

import (
	"container/list"
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// entry is one key in use: its subject and its session.
type entry[T Subject, S any] struct {
	pool   *Pool[T, S]
	key    Key
	place  *list.Element   // among those with a variant; set and used under the recency's lock
	ctx    context.Context // ends when the entry is dropped or the pool closed
	cancel context.CancelFunc

	permanent bool // no session is ever requested

	mu         sync.Mutex
	subject    T
	session    Session
	flight     *flight // nil: no session is being requested
	failures   int     // in a row
	alike      int     // of them, those since the session in use ended, or all of them while it lives
	failure    error
	failedAt   time.Duration // uptime
	failedLive bool          // the failure came while a session still lived
}

// flight is one session being requested, for all who wait. Its result is set before done closes.
type flight struct {
	done   chan struct{}
	err    error
	reason Reason
	cancel context.CancelFunc
	start  Instant
}

func (p *Pool[T, S]) newEntry(key Key, subject T) *entry[T, S] {
	e := &entry[T, S]{pool: p, key: key, subject: subject, permanent: subject.Permanent()}
	e.ctx, e.cancel = context.WithCancel(p.ctx)
	return e
}

func (e *entry[T, S]) dropped() bool { return e.ctx.Err() != nil }

// current returns the subject, which a replacement may change.
func (e *entry[T, S]) current() T {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.subject
}

// held is what a reader gets from an entry: a session to hand out, or the flight to wait for.
type held[T Subject] struct {
	subject T
	session Session // with a flight: the session that is there, which may have ended
	flight  *flight
	began   bool // this reader has begun the flight
	enough  bool // the session has the wanted life: only what began the flight may wait for it
}

// decide returns a session to hand out, or the flight to wait for, or why there is neither. It begins a flight where
// one is due, and returns it also to a reader who need not wait for it.
func (e *entry[T, S]) decide(storage S, want time.Duration, now Instant) (held[T], error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dropped() {
		return held[T]{}, errDropped
	}
	h := held[T]{subject: e.subject, session: e.session, enough: true}
	if e.permanent {
		return h, nil
	}
	remaining, lifetime := e.session.Remaining(now), e.session.lifetime()
	live := !e.session.none() && remaining >= MinRemaining
	h.enough = live && lastsFor(want, lifetime, remaining)
	if h.enough && !refreshDue(lifetime, remaining) {
		return h, nil
	}
	if e.flight == nil {
		if e.failure != nil && now.Uptime < e.failedAt+e.pause(live) {
			if live {
				return h, nil
			}
			return held[T]{}, e.failure
		}
		e.begin(storage, live, now)
		h.began = true
	}
	if !h.enough || h.began {
		h.flight = e.flight
	}
	return h, nil
}

// pause is how long there is no new request after the last failure.
func (e *entry[T, S]) pause(live bool) time.Duration {
	if !live && e.failedLive {
		return 0 // no reader has seen this failure: the first without a session deserves a request
	}
	return pauseAfter(e.alike)
}

func (e *entry[T, S]) forgive() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure, e.failures, e.alike = nil, 0, 0
}

func (e *entry[T, S]) refreshAhead(storage S) {
	e.mu.Lock()
	idle := e.session.none()
	e.mu.Unlock()
	if !idle && !e.pool.ReadOnly() {
		_, _ = e.decide(storage, MinRemaining, e.pool.Clock())
	}
}

// begin starts a flight. The caller holds the entry's lock.
func (e *entry[T, S]) begin(storage S, live bool, now Instant) {
	f := &flight{done: make(chan struct{}), start: now, reason: First}
	switch {
	case e.failure != nil:
		f.reason = Retry
	case live:
		f.reason = Refresh
	}
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(e.ctx)
	e.flight = f
	go e.fly(ctx, storage, f, Request[T, S]{Key: e.key, Subject: e.subject, Storage: storage, Reason: f.reason},
		e.session)
}

// fly gets a session and wakes all who wait. It runs detached from whichever reader began it.
func (e *entry[T, S]) fly(ctx context.Context, storage S, f *flight, request Request[T, S], before Session) {
	arrival, err := Arrival{}, ErrDefect
	var stack []byte
	defer func() {
		if recover() != nil { // what was recovered may quote a secret
			stack = debug.Stack()
		}
		f.cancel()
		e.land(f, arrival, err, stack)
	}()
	arrival, err = e.get(ctx, storage, f, request, before)
}

// get takes the stored session when there is none in memory, and requests one otherwise.
func (e *entry[T, S]) get(ctx context.Context, storage S, f *flight, r Request[T, S], before Session) (Arrival, error) {
	p := e.pool
	readOnly := p.ReadOnly()
	if e.key.durable() && (before.none() || readOnly) {
		if s, found := e.stored(ctx, storage, r.Subject); found && (before.none() || s.Issued.After(before.Issued)) {
			return Arrival{Session: s, Stored: true}, nil
		}
	}
	if readOnly {
		return Arrival{}, ErrReadOnly
	}
	if p.compare(ctx, storage, []*entry[T, S]{e}); e.dropped() {
		return Arrival{}, errDropped
	}
	s, err := p.Source.Obtain(ctx, r)
	if err != nil {
		return Arrival{}, err
	}
	if e.key.durable() {
		p.Store.Save(ctx, storage, e.key, r.Subject, s, func() bool { return e.wanted(f) })
	}
	return Arrival{Session: s}, nil
}

// stored returns the stored session if it may be handed out.
func (e *entry[T, S]) stored(ctx context.Context, storage S, subject T) (Session, bool) {
	ctx, cancel := context.WithTimeout(ctx, StorageWait)
	defer cancel()
	s, found := e.pool.Store.Load(ctx, storage, e.key, subject)
	now := e.pool.Clock()
	if !found || s.Issued.Sub(now.Wall) > clockTolerance {
		return Session{}, false
	}
	s = s.anchored(now)
	return s, s.Live(now)
}

// wanted says whether what the flight brings is still wanted.
func (e *entry[T, S]) wanted(f *flight) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.dropped() && e.flight == f
}

func (e *entry[T, S]) land(f *flight, arrival Arrival, err error, stack []byte) {
	now := e.pool.Clock()
	e.mu.Lock()
	if e.flight != f { // the session was replaced meanwhile, and the waiters have gone
		e.mu.Unlock()
		return
	}
	e.flight = nil
	f.err = err
	if err == nil {
		e.session, e.failures, e.alike, e.failure = arrival.Session.anchored(now), 0, 0, nil
	} else {
		live := e.session.Live(now)
		if e.failedLive != live {
			e.alike = 0
		}
		e.failures, e.alike = e.failures+1, e.alike+1
		e.failure, e.failedAt, e.failedLive = err, now.Uptime, live
	}
	arrival.Session, arrival.Took, arrival.At = e.session, now.Uptime-f.start.Uptime, now
	live := e.session.Live(now)
	failure := Failure{Err: err, Live: live, Failures: e.failures, RetryAfter: e.pause(live),
		Took: arrival.Took, Stack: stack}
	if !e.session.none() {
		failure.Remaining = e.session.Remaining(now)
	}
	subject := e.subject
	e.mu.Unlock()
	close(f.done)

	if e.dropped() || errors.Is(err, ErrReadOnly) {
		return
	}
	defer func() { _ = recover() }() // an observer's defect is not the readers', and there is nobody to report it to
	if err == nil {
		e.pool.Observer.Obtained(e.key, subject, arrival)
	} else {
		e.pool.Observer.Failed(e.key, subject, failure)
	}
}

// replace is Pool.Replace for one entry of the name.
func (e *entry[T, S]) replace(key Key, s Session, update func(Key, T) T) {
	now := e.pool.Clock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if update != nil {
		e.subject = update(e.key, e.subject)
	}
	if e.key != key {
		return
	}
	if e.session.none() || s.SessionToken != e.session.SessionToken {
		e.session = s.anchored(now)
	} // else it goes on, where it is on the monotonic clock
	e.failures, e.alike, e.failure = 0, 0, nil
	if f := e.flight; f != nil {
		e.flight = nil
		f.cancel()
		close(f.done)
	}
}

func (e *entry[T, S]) status(now Instant) Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{Session: e.session}
	if !e.session.none() {
		s.Remaining = e.session.Remaining(now)
	}
	if e.failure != nil && !errors.Is(e.failure, ErrReadOnly) {
		s.Err, s.Failures = e.failure, e.failures
		s.NextTry = max(e.failedAt+e.pause(e.session.Live(now))-now.Uptime, 0)
	}
	return s
}
