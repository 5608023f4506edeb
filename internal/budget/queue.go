package budget

import "time"

// waiter is a caller in a queue. The group's lock guards it.
type waiter struct {
	mount  *Mount
	lane   Lane
	joined time.Time
	place  place

	turn   uint64    // 0 until its turn begins
	served time.Time // when its turn began
	ready  chan struct{}
}

// schedule is what decides when the next turn begins and whose it is.
type schedule struct {
	last   time.Time     // when the last turn began
	gap    time.Duration // from the last turn to the next
	tested time.Time     // when the last turn began that tests have for themselves
	shared uint64        // turns so far that tests do not have for themselves
}

// queue gives the turns of one key. It knows no clock, no timer and no lock: they are the group's.
type queue struct {
	pace    pace
	lowered time.Time // when the rate was last lowered
	lanes   [lanes]lane
	waiting int
	wire    wire

	schedule
	before     schedule // before the last turn, for when that is given back
	lastNumber uint64   // of the last turn; 0 when it has been given back

	timer *time.Timer
}

func newQueue(rate Rate) *queue {
	return &queue{pace: pace{rate: rate, perSecond: rate.PerSecond}, wire: newWire(rate)}
}

func (q *queue) join(w *waiter) {
	q.lanes[w.lane].add(w)
	q.waiting++
}

func (q *queue) leave(w *waiter) {
	q.lanes[w.lane].remove(w)
	q.waiting--
}

// remaining is what is left at now of a time that began at since.
func remaining(since time.Time, length time.Duration, now time.Time) time.Duration {
	if since.IsZero() {
		return 0
	}
	return max(0, since.Add(length).Sub(now))
}

// follow keeps a clock that is set back from stopping the queue: what it would put into the future begins now.
func (q *queue) follow(now time.Time) {
	for _, t := range []*time.Time{&q.last, &q.tested, &q.lowered} {
		if t.After(now) {
			*t = now
		}
	}
	q.wire.follow(now)
}

// opensIn is the time until the next turn can begin.
func (q *queue) opensIn(now time.Time) time.Duration { return remaining(q.last, q.gap, now) }

// testsOpenIn is the time until tests have a turn for themselves. It is 0 too when they never have one.
func (q *queue) testsOpenIn(now time.Time) time.Duration {
	if q.pace.rate.TestsPerSecond == 0 {
		return 0
	}
	return remaining(q.tested, period(q.pace.rate.TestsPerSecond), now)
}

// testsOwn reports whether the turn that begins now is the tests' if one waits.
func (q *queue) testsOwn(now time.Time) bool {
	return q.pace.rate.TestsPerSecond > 0 && q.testsOpenIn(now) == 0
}

// restsIn is the time until a new queue would give no turn earlier than this one.
func (q *queue) restsIn(now time.Time) time.Duration {
	return max(q.opensIn(now), q.testsOpenIn(now), q.wire.restsIn(now))
}

// sendableFor is how long after its turn a call's request may still be written: a little longer than a call takes.
const sendableFor = 15 * time.Second

// forgottenIn is the time until a new queue would not differ from this one, if nobody joins it.
func (q *queue) forgottenIn(now time.Time) time.Duration {
	rest := max(q.restsIn(now), remaining(q.last, sendableFor, now))
	if q.pace.lowered() {
		rest = max(rest, remaining(q.last, throttlingRemembered, now), remaining(q.lowered, throttlingRemembered, now))
	}
	return rest
}

// wakesIn is the time until something happens in the queue if nobody does anything. It is 0 when the queue can be
// forgotten.
func (q *queue) wakesIn(now time.Time) time.Duration {
	turns, sends := q.waiting > 0 && !q.wire.crowded(), len(q.wire.line) > 0
	switch {
	case turns && sends:
		return max(1, min(q.opensIn(now), q.sendsIn(now)))
	case turns:
		return max(1, q.opensIn(now))
	case sends:
		return max(1, q.sendsIn(now))
	}
	return q.forgottenIn(now)
}

// sendsIn is the time until the next request may be written. Requests are as far apart as turns can be.
func (q *queue) sendsIn(now time.Time) time.Duration {
	return q.wire.opensIn(q.pace.gapAfterTest(), now)
}

// soonest is the time until the caller's turn begins if it joins, and all leave but those of its mount and lane.
func (q *queue) soonest(c Caller, now time.Time) time.Duration {
	return q.opensIn(now) + time.Duration(q.lanes[c.Lane].ahead(c.Mount))*q.pace.gap()
}

// next returns the caller whose turn begins now, or nil.
func (q *queue) next(now time.Time) *waiter {
	if q.waiting == 0 || q.wire.crowded() || q.opensIn(now) > 0 {
		return nil
	}
	test := q.lanes[Test].head()
	if test != nil && q.testsOwn(now) {
		return test
	}
	if w := q.choose(); w != nil {
		return w
	}
	return test
}

// choose returns the next caller of the lanes that share the turns, or nil. Each turn belongs to a lane, and to the
// first one in which somebody waits when nobody waits in that.
func (q *queue) choose() *waiter {
	if w := q.lanes[ownerOf(q.shared)].head(); w != nil {
		return w
	}
	for _, lane := range []Lane{First, Refresh, Retry} {
		if w := q.lanes[lane].head(); w != nil {
			return w
		}
	}
	return nil
}

// ownerOf returns the lane to which the nth shared turn belongs. Of eight in a row every other one is First's,
// three are Refresh's and one is Retry's.
func ownerOf(n uint64) Lane {
	switch n %= 8; {
	case n%2 == 0:
		return First
	case n < 7:
		return Refresh
	default:
		return Retry
	}
}

// give lets the waiter's turn begin.
func (q *queue) give(w *waiter, number uint64, now time.Time) {
	q.before, q.lastNumber = q.schedule, number
	if w.lane == Test && q.testsOwn(now) {
		q.tested, q.gap = now, q.pace.gapAfterTest()
	} else {
		q.shared, q.gap = q.shared+1, q.pace.gap()
	}
	q.last = now
	w.turn, w.served = number, now
	q.lanes[w.lane].serve(w)
	q.waiting--
}

// takeBack makes the turn as if it had not been, unless a later one has begun. It reports whether it has.
func (q *queue) takeBack(number uint64) bool {
	if q.lastNumber != number {
		return false
	}
	q.schedule, q.lastNumber = q.before, 0
	return true
}
