package session

import (
	"context"
	"errors"
	"time"
)

// Get returns the key's subject, and a session of it with at least the wanted life where the session's lifetime allows
// that; the zero Session for a permanent subject. A live session is returned at once; in the last third of its life the
// next one is also requested. Without a live session Get waits for one, until ctx ends or for 12 s. Its errors are the
// Loader's, the Source's, and those of this package.
func (p *Pool[T, S]) Get(ctx context.Context, storage S, key Key, want time.Duration) (T, Session, error) {
	return p.GetWithin(ctx, storage, key, want, &Patience{})
}

// GetWithin is Get for a reader that waits for several things in turn, and for all of them no longer than its patience.
func (p *Pool[T, S]) GetWithin(
	ctx context.Context, storage S, key Key, want time.Duration, reader *Patience,
) (T, Session, error) {
	return p.get(ctx, storage, key, want, func(T) error { return nil }, reader)
}

// GetIf is Get for a reader that the subject may refuse: it returns admit's error before a session is asked for.
func (p *Pool[T, S]) GetIf(
	ctx context.Context, storage S, key Key, want time.Duration, admit func(T) error,
) (T, Session, error) {
	return p.get(ctx, storage, key, want, admit, &Patience{})
}

func (p *Pool[T, S]) get(
	ctx context.Context, storage S, key Key, want time.Duration, admit func(T) error, reader *Patience,
) (T, Session, error) {
	var none T
	for range maxLoads {
		e, now, err := p.use(ctx, storage, key, reader)
		if err != nil {
			return none, Session{}, p.closingOr(err)
		}
		if err := admit(e.current()); err != nil {
			return none, Session{}, err
		}
		h, err := e.await(ctx, storage, want, now, reader)
		if err == nil {
			return h.subject, h.session, nil
		}
		if !errors.Is(err, errDropped) && !e.dropped() {
			return none, Session{}, err
		}
		if p.ctx.Err() != nil {
			return none, Session{}, ErrClosing
		}
	}
	return none, Session{}, ErrUnsettled
}

// Subject returns the key's subject without asking for a session of it. Its errors are the Loader's and those of this
// package.
func (p *Pool[T, S]) Subject(ctx context.Context, storage S, key Key) (T, error) {
	e, _, err := p.use(ctx, storage, key, &Patience{})
	if err != nil {
		var none T
		return none, p.closingOr(err)
	}
	return e.current(), nil
}

func (p *Pool[T, S]) closingOr(err error) error {
	if p.ctx.Err() != nil {
		return ErrClosing
	}
	return err
}

// use returns what is in use under the key, reading its subject if need be, and when that was.
func (p *Pool[T, S]) use(ctx context.Context, storage S, key Key, reader *Patience) (*entry[T, S], Instant, error) {
	for range maxLoads {
		e, g := p.look(key)
		if e != nil {
			now := p.Clock()
			if p.confirmed(ctx, storage, key.Name, g, now, reader) {
				if !key.durable() {
					p.recent.touch(e)
				}
				return e, now, nil
			}
			continue
		}
		drops := p.dropsOf(key.Name)
		subject, err := p.load(ctx, storage, key, reader)
		if err != nil {
			return nil, Instant{}, err
		}
		fresh := p.newEntry(key, subject)
		kept := p.keep(fresh, drops)
		if kept != fresh {
			fresh.cancel()
		}
		if kept != nil {
			return kept, p.Clock(), nil
		}
	}
	return nil, Instant{}, ErrUnsettled
}

// load reads the key's subject, for as long as the reader waits at most.
func (p *Pool[T, S]) load(ctx context.Context, storage S, key Key, reader *Patience) (T, error) {
	bounded, cancel := context.WithTimeout(ctx, reader.Left())
	defer cancel()
	subject, err := p.Loader.Load(bounded, storage, key)
	var none T
	switch {
	case err == nil:
		return subject, nil
	case ctx.Err() != nil:
		return none, ErrGone
	case bounded.Err() != nil:
		return none, ErrPending
	}
	return none, err
}

// Patience is how long one reader waits, for all that it waits for together: 12 s from its first wait. Its zero value
// has not waited yet. It is for one goroutine.
type Patience struct{ until time.Time }

// Left returns what is left, and begins the first wait: most readers never wait. It is negative once all is used up.
// Waits are real time, as those of Vault's clients are.
func (p *Patience) Left() time.Duration {
	if p.until.IsZero() {
		p.until = time.Now().Add(maxReaderWait)
	}
	return time.Until(p.until)
}

// await returns the entry's session, waiting for it where that is necessary.
func (e *entry[T, S]) await(
	ctx context.Context, storage S, want time.Duration, now Instant, reader *Patience,
) (held[T], error) {
	h, err := e.decide(storage, want, now)
	for err == nil && h.flight != nil {
		if h.enough && !e.pool.ReadOnly() {
			return h, nil
		}
		wait := reader.Left()
		if h.session.Live(e.pool.Clock()) {
			wait = min(wait, maxRefreshWait)
		}
		switch err := e.landing(ctx, h.flight, wait); {
		case err == nil:
		case errors.Is(err, ErrGone), errors.Is(err, errDropped), errors.Is(err, ErrReadOnly) && h.began:
			return held[T]{}, err
		case h.session.Live(e.pool.Clock()):
			return h, nil // it has less life than wanted, but it lives
		case !errors.Is(err, errPending):
			return held[T]{}, err
		case reader.Left() <= 0:
			return held[T]{}, ErrPending
		}
		// What came may be a stored session with less life than wanted.
		h, err = e.decide(storage, want, e.pool.Clock())
	}
	return h, err
}

// landing returns what the flight ended with, or why it was not waited for any longer.
func (e *entry[T, S]) landing(ctx context.Context, f *flight, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ErrGone
	case <-e.ctx.Done():
		return errDropped
	case <-timer.C:
		return errPending
	}
}
