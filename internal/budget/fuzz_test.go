package budget_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// fuzzedCaller is one caller of a fuzzed sequence, numbered in the order in which they joined.
type fuzzedCaller struct {
	who    budget.Caller
	cancel context.CancelFunc
	state  int // 0 waits, 1 is served, 2 has left
	turn   *budget.Turn
}

// fuzzedQueue runs a sequence of operations and checks after each what must always be true.
type fuzzedQueue struct {
	*service
	mounts  [3]budget.Mount
	guard   sync.Mutex
	callers []*fuzzedCaller
	called  []time.Time
	slowed  bool // a call was throttled
}

// FuzzWait_Invariants: never more than 9 calls in a second, the first of a lane and mount to join is the first to be
// served, and no turn is lost while somebody waits.
func FuzzWait_Invariants(f *testing.F) {
	f.Add([]byte{0x00, 0x01, 0x02, 0x03, 0x80, 0x80, 0x40, 0x41, 0x80, 0xff})
	f.Add([]byte{0x03, 0x03, 0x00, 0x00, 0xc0, 0xff, 0xff, 0x00, 0x10, 0x20, 0x9f, 0x9f, 0x9f, 0x9f, 0x43, 0x44})
	f.Add([]byte{0x00, 0xc1, 0x00, 0xc2, 0x8f, 0xc3, 0x8f, 0x00, 0x00, 0x00, 0x00, 0xc0, 0xc4, 0xbf, 0xbf, 0xbf})
	f.Add([]byte{0x02, 0x12, 0x22, 0x03, 0x13, 0x23, 0x01, 0x11, 0x21, 0x8f, 0x9f, 0xaf, 0xbf, 0xbf, 0xbf, 0xbf, 0xbf})
	f.Fuzz(func(t *testing.T, operations []byte) {
		if len(operations) > 300 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			group, err := budget.NewGroup(time.Now, budget.DefaultRates())
			if err != nil {
				t.Fatal(err)
			}
			q := &fuzzedQueue{service: &service{t: t, group: group, key: aKey}}
			for _, op := range operations {
				q.operate(op)
				synctest.Wait()
				q.check()
			}
			q.end()
		})
	})
}

// operate takes the kind of operation from the highest two bits and its argument from the others.
func (q *fuzzedQueue) operate(op byte) {
	argument := int(op & 0x3f)
	switch op >> 6 {
	case 0:
		q.join(budget.Caller{Mount: &q.mounts[(argument>>4)%3], Lane: budget.Lane(argument & 3)})
	case 1:
		if len(q.callers) > 0 {
			q.callers[argument%len(q.callers)].cancel()
		}
	case 2:
		time.Sleep(time.Duration(argument) * 13 * time.Millisecond)
	default:
		outcome := budget.Outcome(argument & 3)
		for _, c := range q.callers {
			if c.turn != nil {
				q.report(c, outcome)
				return
			}
		}
	}
}

func (q *fuzzedQueue) join(who budget.Caller) {
	ctx, cancel := context.WithCancel(q.t.Context())
	c := &fuzzedCaller{who: who, cancel: cancel}
	q.callers = append(q.callers, c)
	go func() {
		turn, err := q.group.Wait(ctx, q.key, who)
		q.guard.Lock()
		defer q.guard.Unlock()
		if err != nil {
			c.state = 2
			return
		}
		q.served(c)
		c.state, c.turn = 1, turn
		q.called = append(q.called, time.Now())
	}()
}

// served fails the test if one of the same lane and mount has waited for longer.
func (q *fuzzedQueue) served(c *fuzzedCaller) {
	for _, other := range q.callers {
		if other == c {
			return
		}
		if other.who == c.who && other.state == 0 {
			q.t.Errorf("a caller of lane %d was served before one of its mount that had waited for longer", c.who.Lane)
		}
	}
}

// report ends the call. Without a call the turn is given back, and the service has seen nothing.
func (q *fuzzedQueue) report(c *fuzzedCaller, outcome budget.Outcome) {
	q.guard.Lock()
	if outcome == budget.NotCalled {
		// Only the turn that began last can be given back, and only that is certain not to have been called.
		if time.Since(q.called[len(q.called)-1]) > 0 || q.latest() != c {
			outcome = budget.NoAnswer
		} else {
			q.called = q.called[:len(q.called)-1]
		}
	}
	q.slowed = q.slowed || outcome == budget.Throttled
	turn := c.turn
	c.turn = nil
	q.guard.Unlock()
	turn.Done(outcome)
}

// latest is the caller whose turn began last, among those that have not reported yet.
func (q *fuzzedQueue) latest() *fuzzedCaller {
	var latest *fuzzedCaller
	for _, c := range q.callers {
		if c.turn != nil && (latest == nil || c.turn.Number() > latest.turn.Number()) {
			latest = c
		}
	}
	return latest
}

func (q *fuzzedQueue) check() {
	q.guard.Lock()
	defer q.guard.Unlock()
	q.arrivals = q.called
	q.withinQuota(9)
	waiting := 0
	for _, c := range q.callers {
		if c.state == 0 {
			waiting++
		}
	}
	said := 0
	for i := range q.mounts {
		said += q.mounts[i].Waiting()
	}
	if said != waiting {
		q.t.Fatalf("%d callers wait, and the mounts say %d", waiting, said)
	}
	idle := len(q.called) == 0 || time.Since(q.called[len(q.called)-1]) >= 125*time.Millisecond
	if waiting > 0 && idle && !q.slowed {
		q.t.Fatalf("%d callers wait and the turn is nobody's", waiting)
	}
}

// end lets all leave, and nothing may remain.
func (q *fuzzedQueue) end() {
	for _, c := range q.callers {
		c.cancel()
	}
	synctest.Wait()
	q.check()
	time.Sleep(2 * time.Minute)
	synctest.Wait()
	if n := q.group.Remembered(); n != 0 {
		q.t.Errorf("%d queues are remembered after all have left", n)
	}
}

// FuzzSend_ServiceNeverSeesMore holds calls up between their turns and their arrival, each in a way of its own.
func FuzzSend_ServiceNeverSeesMore(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x1f, 0x1d, 0x1b, 0x19, 0x17, 0x15, 0x13, 0x11, 0x0f, 0x0d, 0x0b, 0x09, 0x07, 0x05, 0x03, 0x01, 0, 0})
	f.Add([]byte{0xe0, 0, 0xe0, 0, 0xe0, 0, 0xe0, 0, 0x80, 0x60, 0x40, 0x20, 0xff, 0xdf, 0xbf, 0x9f, 0x7f, 0x5f, 0x3f})
	f.Fuzz(func(t *testing.T, calls []byte) {
		if len(calls) > 100 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			group, err := budget.NewGroup(time.Now, budget.DefaultRates())
			if err != nil {
				t.Fatal(err)
			}
			s := &service{t: t, group: group, key: aKey}
			var all sync.WaitGroup
			for i, how := range calls {
				slow := slowCall{setup: time.Duration(how&0x1f) * 130 * time.Millisecond,
					held:    time.Duration(how>>5&3) * 200 * time.Millisecond,
					way:     time.Duration(how>>7) * 499 * time.Millisecond,
					respond: time.Duration(how&3) * 700 * time.Millisecond}
				all.Go(func() {
					who := budget.Caller{Mount: &budget.Mount{}, Lane: budget.Lane(i % 4)}
					if err := s.do(t.Context(), who, slow); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			slices.SortFunc(s.arrivals, time.Time.Compare)
			s.withinQuota(9)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if n := s.group.Remembered(); n != 0 {
				t.Errorf("%d queues are remembered after all have left", n)
			}
		})
	})
}
