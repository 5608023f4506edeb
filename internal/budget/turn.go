package budget

import (
	"context"
	"time"
)

// Outcome is how a call ended, as far as the budget is concerned.
type Outcome int

// The outcomes of a call.
const (
	// NoAnswer says that the service cannot be reached or has not answered in time. It changes nothing.
	NoAnswer Outcome = iota
	// Answered says that the service took the call, even if it refused what was asked. It raises a lowered rate.
	Answered
	// Throttled says that the service answered that there were too many calls. It lowers the rate.
	Throttled
	// NotCalled says that no call was made. It gives the turn back to the queue.
	NotCalled
)

// Turn is the permission to make one call now.
type Turn struct {
	group  *Group
	key    Key
	number uint64
	waited time.Duration

	// The group's lock guards what follows.
	request *request // the last one that was to be written; nil: none
	done    bool
}

// Waited returns how long the caller waited for its turn.
func (t *Turn) Waited() time.Duration { return t.waited }

// Send returns when the call's request may be written, and nobody else's is until [Turn.Sent] reports that it was. Call
// it when there is a connection, right before writing. When ctx ends first, Send returns its error. It is safe for
// concurrent use.
func (t *Turn) Send(ctx context.Context) error {
	r, err := t.lineUp()
	if err != nil {
		return err
	}
	select {
	case <-r.ready:
		return nil
	case <-ctx.Done():
	}
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if q := g.queues[t.key]; q != nil { // a request that has been let through meanwhile is Done's to end
		q.wire.leave(r)
		g.serve(t.key, q)
	}
	return ctx.Err()
}

func (t *Turn) lineUp() (*request, error) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	q, err := g.queue(t.key, now)
	if err != nil {
		return nil, err
	}
	if before := t.request; before != nil { // an HTTP client that writes again, on another connection
		q.wire.leave(before)
		q.wire.wrote(before, now)
	}
	r := &request{ready: make(chan struct{})}
	t.request, q.wire.line = r, append(q.wire.line, r)
	g.serve(t.key, q)
	return r, nil
}

// Sent reports that the call's request has been written, or that writing it failed. It is safe for concurrent use.
func (t *Turn) Sent() {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if q := g.queues[t.key]; q != nil && t.request != nil {
		q.wire.wrote(t.request, g.now())
		g.serve(t.key, q)
	}
}

// Done reports how the call ended. Only the first report of a turn counts. A turn that is never reported counts as
// [NoAnswer], and nothing of it remains. Done is safe for concurrent use.
func (t *Turn) Done(outcome Outcome) {
	g := t.group
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.done {
		return
	}
	t.done = true
	if q := g.queues[t.key]; q != nil && t.request != nil {
		q.wire.over(t.request, g.now())
		defer g.serve(t.key, q)
	}
	switch outcome {
	case Throttled:
		// The queue may have been forgotten during a long call. The key's API has a rate: a turn was given.
		if q, err := g.queue(t.key, g.now()); err == nil {
			q.pace.throttled(t.number, g.turns)
			q.lowered = g.now()
			g.serve(t.key, q)
		}
	case Answered:
		if q := g.queues[t.key]; q != nil {
			q.pace.answered(t.number)
		}
	case NotCalled:
		g.giveBack(t.key, t.number)
	case NoAnswer:
	}
}
