package budget_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// aKey is the queue of most tests.
var aKey = budget.Key{Account: "111111111111", Region: "us-east-1", API: budget.CreateSession}

// service stands for the API behind one key, with the process's group before it. It notes when each call arrives.
type service struct {
	t     *testing.T
	group *budget.Group
	key   budget.Key

	mu       sync.Mutex
	arrivals []time.Time
	order    []string // of the callers whose calls have arrived
}

// serviceTest runs the test on a simulated clock. In the end the group must hold nothing.
func serviceTest(t *testing.T, test func(*testing.T, *service)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		group, err := budget.NewGroup(time.Now, budget.DefaultRates())
		if err != nil {
			t.Fatal(err)
		}
		s := &service{t: t, group: group, key: aKey}
		test(t, s)
		synctest.Wait()
		s.withinQuota(9)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := group.Remembered(); n != 0 {
			t.Errorf("%d queues are remembered after all have left, want none", n)
		}
	})
}

// call waits for a turn, makes a call that takes this long, and reports the outcome. Without a call
// the outcome is NotCalled.
func (s *service) call(
	ctx context.Context, who budget.Caller, name string, takes time.Duration, outcome budget.Outcome,
) error {
	turn, err := s.group.Wait(ctx, s.key, who)
	if err != nil {
		return err
	}
	if outcome != budget.NotCalled {
		if err := turn.Send(ctx); err != nil {
			turn.Done(budget.NoAnswer)
			return err
		}
		turn.Sent()
		s.mu.Lock()
		s.arrivals = append(s.arrivals, time.Now())
		s.order = append(s.order, name)
		s.mu.Unlock()
		time.Sleep(takes)
	}
	turn.Done(outcome)
	return nil
}

// calls starts this many callers and returns when all of them wait or have been served.
func (s *service) calls(n int, ctx context.Context, who budget.Caller, name string) {
	for range n {
		go func() {
			if err := s.call(ctx, who, name, 0, budget.Answered); err != nil && !errors.Is(err, context.Canceled) {
				s.t.Errorf("%s: %v", name, err)
			}
		}()
	}
	synctest.Wait()
}

// wantServedWithin lets a caller wait for its turn.
func (s *service) wantServedWithin(who budget.Caller, want time.Duration) {
	s.t.Helper()
	start := time.Now()
	if err := s.call(s.t.Context(), who, "good", 0, budget.Answered); err != nil {
		s.t.Error(err)
	}
	if took := time.Since(start); took >= want {
		s.t.Errorf("the good connection had its turn after %s, want less than %s", took, want)
	} else {
		s.t.Logf("the good connection had its turn after %s", took)
	}
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrivals)
}

// served returns the callers whose calls have arrived, in that order.
func (s *service) served() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

// withinQuota fails the test if more than this many calls arrived within a second, both of its ends included.
func (s *service) withinQuota(most int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := most; i < len(s.arrivals); i++ {
		if within := s.arrivals[i].Sub(s.arrivals[i-most]); within <= time.Second {
			s.t.Fatalf("%d calls arrived within %s, want at most %d in a second", most+1, within, most)
		}
	}
}
