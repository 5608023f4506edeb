package budget

import "time"

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
	done   bool
}

// Waited returns how long the caller waited for its turn.
func (t *Turn) Waited() time.Duration { return t.waited }

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
