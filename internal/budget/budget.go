// Package budget spaces the calls of one process to an AWS API, so that they stay below the quota of the account.
//
// A caller waits for its turn in the queue of an account, a region and an API, calls the service, and reports how the
// service answered. The turns of a queue are spaced evenly and are never saved up, because the calls of a burst arrive
// late and pile up in the second in which the service counts them.
//
// # Who has the next turn
//
// A turn is given to a caller at the moment at which it begins, and never before. So a caller that leaves the queue
// leaves no gap, and a caller that joins it does not wait for turns of callers that have left.
//
//   - Callers wait in lanes. Of eight turns in a row four belong to [First], three to [Refresh] and one to [Retry], and
//     every other one is First's. A turn in whose lane nobody waits goes to the first of these lanes in which somebody
//     does. So a caller in First that finds nobody before it waits for one other caller at most, however many wait in
//     Refresh and Retry, and connections that are refused again and again hardly delay a good one. And no lane starves:
//     eight turns a second are at least three refreshes and one retry.
//   - Within a lane the mounts take turns. So a mount with thousands of callers has one turn before another mount's
//     first.
//   - Within a lane and a mount the first to join is the first to be served.
//   - [Test] has turns of its own ([Rate.TestsPerSecond]), which nobody else uses up, and any turn that nobody else
//     waits for.
//
// # What the service sees
//
// A turn bounds when a call begins and not how long it takes: a call that hangs delays nobody. With nine turns a
// second and calls of 10 s at most, no more than 90 calls of a queue are open at once. A call's request is written some
// time after its turn has begun, when there is a connection and the host lets this process run. Therefore the caller
// asks once more, with [Turn.Send], right before it writes: the rate's requests of a second are counted where they
// leave, and each counts from the time at which it has arrived for certain.
package budget

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrTooLate says that the caller's turn cannot begin before its context's deadline, or could only if others of its
// mount left the queue first. Whoever gets it has not waited.
var ErrTooLate = errors.New("no turn for the call before its deadline")

// ErrUnknownAPI says that the group has been made without a rate for the API.
var ErrUnknownAPI = errors.New("no rate is set for the API")

// Key names a queue: AWS counts the calls of an account, in a region, to an API.
type Key struct {
	Account, Region string
	API             API
}

// Lane is the reason of a call, which decides its share of the turns.
type Lane int

// The lanes of a queue. The package's description says how they share the turns.
const (
	// First is for a first session: somebody waits for it and has nothing.
	First Lane = iota
	// Refresh is for a session that follows one which still lives. When that one is about to end, join First.
	Refresh
	// Retry is for whatever has failed before: a connection whose last call failed, and the retries within a call.
	Retry
	// Test is for an operator who tests settings.
	Test

	lanes = int(iota)
)

// Mount is one of the mounts that share a group. Its zero value is ready for use, and it must not be copied. It is
// safe for concurrent use.
type Mount struct{ waiting atomic.Int64 }

// Waiting returns how many callers of the mount wait for a turn, in all queues.
func (m *Mount) Waiting() int { return int(m.waiting.Load()) }

// Caller is who waits for a turn.
type Caller struct {
	Mount *Mount // not nil
	Lane  Lane
}

// maxKeys is how many queues are remembered when nobody waits in them: settings that are tested can name any account.
const maxKeys = 1024

// Group holds the queues of a process. It is safe for concurrent use.
type Group struct {
	now   func() time.Time
	rates map[API]Rate

	mu     sync.Mutex
	queues map[Key]*queue
	turns  uint64 // given so far; numbers the turns
}

// NewGroup returns a group with these rates. Turns are spaced by the clock now, and timers of the runtime wake the
// callers. It refuses rates that are not usable.
func NewGroup(now func() time.Time, rates map[API]Rate) (*Group, error) {
	own := make(map[API]Rate, len(rates))
	for api, rate := range rates {
		if err := rate.check(); err != nil {
			return nil, fmt.Errorf("setting the rate of %s: %w", api, err)
		}
		own[api] = rate
	}
	return &Group{now: now, rates: own, queues: map[Key]*queue{}}, nil
}

// Wait returns when it is the caller's turn, and the call shall begin then. When ctx ends first, Wait returns its
// error and nothing of the caller remains in the queue. It returns [ErrTooLate] at once when the turn would begin after
// ctx's deadline. Each try of a call needs a turn of its own, in the lane [Retry] from the second on.
func (g *Group) Wait(ctx context.Context, key Key, caller Caller) (*Turn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w, err := g.join(ctx, key, caller)
	if err != nil {
		return nil, err
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	return g.settle(ctx, key, w)
}

func (g *Group) join(ctx context.Context, key Key, caller Caller) (*waiter, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	q, err := g.queue(key, now)
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok && q.soonest(caller, now) > time.Until(deadline) {
		g.serve(key, q) // a queue that nobody has used is forgotten
		return nil, ErrTooLate
	}
	w := &waiter{mount: caller.Mount, lane: caller.Lane, joined: now, ready: make(chan struct{})}
	q.join(w)
	w.mount.waiting.Add(1)
	g.serve(key, q)
	return w, nil
}

// settle gives a caller that has waited its turn, or takes it out of the queue when its context has ended.
func (g *Group) settle(ctx context.Context, key Key, w *waiter) (*Turn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err := ctx.Err()
	switch {
	case err == nil:
		return &Turn{group: g, key: key, number: w.turn, waited: w.served.Sub(w.joined)}, nil
	case w.turn != 0:
		g.giveBack(key, w.turn)
	default:
		q := g.queues[key] // it has a caller, so it is still there
		q.leave(w)
		w.mount.waiting.Add(-1)
		g.serve(key, q)
	}
	return nil, err
}

// queue returns the key's queue, and makes it where there is none.
func (g *Group) queue(key Key, now time.Time) (*queue, error) {
	if q := g.queues[key]; q != nil {
		q.follow(now)
		return q, nil
	}
	rate, ok := g.rates[key.API]
	if !ok {
		return nil, fmt.Errorf("%w: %q", ErrUnknownAPI, key.API)
	}
	if len(g.queues) >= maxKeys {
		for other, q := range g.queues {
			if q.waiting == 0 && len(q.wire.line) == 0 && q.restsIn(now) == 0 {
				g.forget(other, q)
			}
		}
	}
	q := newQueue(rate)
	q.timer = time.AfterFunc(time.Hour, func() { g.wake(key, q) }) // serve sets the time
	g.queues[key] = q
	return q, nil
}

// wake is called by the queue's timer.
func (g *Group) wake(key Key, q *queue) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.queues[key] == q {
		g.serve(key, q)
	}
}

// serve gives a turn if one begins now, lets a request be written if one may be, and sets the timer for what comes next
// in the queue. It forgets a queue in which nobody waits, as soon as a new one would not differ from it.
func (g *Group) serve(key Key, q *queue) {
	now := g.now()
	q.follow(now)
	q.wire.serve(q.pace.gapAfterTest(), now)
	if w := q.next(now); w != nil {
		g.turns++
		q.give(w, g.turns, now)
		w.mount.waiting.Add(-1)
		close(w.ready)
	}
	if wait := q.wakesIn(now); wait > 0 {
		q.timer.Reset(wait)
	} else {
		g.forget(key, q)
	}
}

func (g *Group) forget(key Key, q *queue) {
	q.timer.Stop()
	delete(g.queues, key)
}

// giveBack lets the next caller have the turn, unless a later turn has begun already.
func (g *Group) giveBack(key Key, turn uint64) {
	if q := g.queues[key]; q != nil && q.takeBack(turn) {
		g.serve(key, q)
	}
}
