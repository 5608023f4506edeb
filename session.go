package s3conn

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

const (
	// maxReaderWait bounds what one reader waits for its session, its turn in the budget included. A request in flight
	// holds Vault's state lock, so this is also how long a hanging service can delay a leader's step-down. The fetch
	// goes on for those that come later, and clients of Vault's API try again by themselves.
	maxReaderWait = 12 * time.Second

	// maxRefreshWait bounds what a reader waits for a session that lasts longer than the one that is there: botocore
	// gives up after 2 s.
	maxRefreshWait = 1500 * time.Millisecond
)

// errFlightDied stands in for a panic.
var errFlightDied = errors.New("buying the session ended in a defect of this plugin; the server's log has the place, please report it")

// flight is one session being fetched, for all who wait. Its result is set before done closes.
type flight struct {
	done chan struct{}
	err  error
}

// patience is what one reader has, for all that it waits for.
type patience struct{ until time.Time }

// left begins with the first wait: most readers never wait.
func (p *patience) left() time.Duration {
	if p.until.IsZero() {
		p.until = time.Now().Add(maxReaderWait)
	}
	return time.Until(p.until)
}

// currentSession returns the connection's session, at once where a live one has the wanted life. In the last third
// of its life it also has the next one fetched. Without a live session it waits for one, until ctx or the reader's
// patience ends.
func (l *liveConnection) currentSession(ctx context.Context, storage logical.Storage, want time.Duration, reader *patience) (session, error) {
	current, awaited, err := l.decide(storage, want)
	for awaited != nil {
		wait := reader.left()
		if current.live(l.backend.now()) {
			wait = min(wait, maxRefreshWait)
		}
		if err := l.await(ctx, awaited, wait); err != nil {
			switch {
			case errors.Is(err, errGone), errors.Is(err, errDropped):
				return session{}, err
			case current.live(l.backend.now()):
				return current, nil // it has less life than wanted, but it lives
			case !errors.Is(err, errStillFlying):
				return session{}, err
			case reader.left() <= 0:
				return session{}, sessionPending()
			}
		}
		// What was fetched may be a stored session with less life than wanted.
		current, awaited, err = l.decide(storage, want)
	}
	return current, err
}

var (
	errStillFlying       = errors.New("the session is still being fetched")
	errGone        error = &unsettledError{"the request ended before its session came; try again"}
)

// await returns what the flight ended with, or why it was not waited for any longer.
func (l *liveConnection) await(ctx context.Context, awaited *flight, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-awaited.done:
		return awaited.err
	case <-ctx.Done():
		return errGone
	case <-l.ctx.Done():
		return errDropped
	case <-timer.C:
		return errStillFlying
	}
}

// refreshAhead has the next session fetched where a read would, and waits for nothing.
func (l *liveConnection) refreshAhead(storage logical.Storage) {
	l.mu.Lock()
	held := l.session.expires()
	l.mu.Unlock()
	if held {
		_, _, _ = l.decide(storage, minRemaining)
	}
}

// decide returns a session to hand out, or the flight to wait for (with the session that is there, if it still
// lives), or why there is neither. It starts a flight where one is due.
func (l *liveConnection) decide(storage logical.Storage, want time.Duration) (session, *flight, error) {
	now := l.backend.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped() {
		return session{}, nil, errDropped
	}
	current := l.session
	live := current.live(now)
	enough := live && lastsFor(want, current.issued, current.expiration, now)
	if enough && !inLastThird(current.issued, current.expiration, now) {
		return current, nil, nil
	}
	if l.flight == nil {
		if l.failure != nil && now.Before(l.failedAt.Add(l.pause(live))) {
			if live {
				return current, nil, nil
			}
			return session{}, nil, l.failure
		}
		l.flight = &flight{done: make(chan struct{})}
		go l.fly(storage, l.flight)
	}
	if enough {
		return current, nil, nil
	}
	return current, l.flight, nil
}

// pause is how long there is no new try after the last failure.
func (l *liveConnection) pause(live bool) time.Duration {
	status, _ := statusOf(l.failure)
	switch {
	case !live && l.failedLive:
		return 0 // no reader has seen this failure: the first without a session deserves a try
	case live, status == http.StatusBadRequest:
		return backoff(l.failures)
	default:
		return coolDown
	}
}

// forgive ends the pause: a test has shown that the connection is good again.
func (l *liveConnection) forgive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure, l.failures = nil, 0
}

// fly fetches a session and tells all who wait. It runs detached from whichever reader began it.
func (l *liveConnection) fly(storage logical.Storage, f *flight) {
	var fetched session
	err := errFlightDied
	defer func() {
		if recovered := recover(); recovered != nil {
			l.backend.Logger().Error("buying a session panicked", "connection", l.name, "stack", string(debug.Stack()))
		}
		l.land(f, fetched, err)
	}()
	fetched, err = l.fetch(storage)
}

// fetch takes the stored session when there is none in memory, and buys one otherwise.
func (l *liveConnection) fetch(storage logical.Storage) (session, error) {
	l.mu.Lock()
	cold := !l.session.expires()
	l.mu.Unlock()
	if cold {
		if s, found := l.loadSession(l.ctx, storage); found {
			return s, nil
		}
	}
	s, err := l.backend.source(l.ctx, l.conn)
	if err != nil {
		return session{}, err
	}
	l.saveSession(l.ctx, storage, s)
	return s, nil
}

func (l *liveConnection) land(f *flight, fetched session, err error) {
	now := l.backend.now()
	l.mu.Lock()
	l.flight = nil
	f.err = err
	if err == nil {
		l.session, l.failures, l.failure = fetched, 0, nil
	} else {
		l.failures++
		l.failure, l.failedAt, l.failedLive = err, now, l.session.live(now)
	}
	live, left, failures := l.session.live(now), l.session.remaining(now), l.failures
	retryAfter := l.pause(live)
	l.mu.Unlock()
	close(f.done)

	log := l.backend.Logger()
	switch {
	case l.dropped():
	case err == nil:
		log.Debug("a session is ready", "connection", l.name, "remaining", left.String())
	case live:
		log.Warn("refreshing the session; the one in use still lives", "connection", l.name, "error", err,
			"remaining", left.String(), "failures", failures, "retry_after", retryAfter.String())
	default:
		log.Error("buying a session", "connection", l.name, "error", err, "failures", failures,
			"retry_after", retryAfter.String())
	}
}
