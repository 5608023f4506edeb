package budget_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// queued is a group of callers that begin to wait one after the other.
type queued struct {
	n     int
	who   budget.Caller
	named string
}

func TestWait_SharesTheTurns(t *testing.T) {
	var one, other budget.Mount
	in := func(mount *budget.Mount, lane budget.Lane) budget.Caller {
		return budget.Caller{Mount: mount, Lane: lane}
	}
	for _, tc := range []struct {
		name    string
		waiting []queued
		want    string
	}{
		{"the first to join is the first served",
			[]queued{{1, in(&one, budget.First), "1"}, {1, in(&one, budget.First), "2"},
				{1, in(&one, budget.First), "3"}}, "123"},
		{"mounts take turns",
			[]queued{{5, in(&one, budget.First), "a"}, {3, in(&other, budget.First), "b"}}, "abababaa"},
		{"lanes that are all full share 4 to 3 to 1",
			[]queued{{8, in(&one, budget.Retry), "y"}, {8, in(&one, budget.Refresh), "r"},
				{8, in(&one, budget.First), "F"}},
			"rFrFrFyFrFrFrFyFrryyyyyy"},
		{"a refresh goes before retries, and a retry is served in time",
			[]queued{{4, in(&one, budget.Retry), "y"}, {9, in(&one, budget.Refresh), "r"}}, "rrrrrryrrryyy"},
		{"a test has a turn a second while readers wait",
			[]queued{{20, in(&one, budget.First), "F"}, {3, in(&one, budget.Test), "t"}}, "tFFFFFFFFtFFFFFFFFtFFFF"},
		{"tests use what nobody else waits for",
			[]queued{{9, in(&one, budget.Test), "t"}, {2, in(&one, budget.First), "F"}}, "tFFtttttttt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				// Another has the first turn, which is First's, so that all of these wait before the next one begins.
				s.calls(1, t.Context(), budget.Caller{Mount: &budget.Mount{}}, "-")
				for _, group := range tc.waiting {
					for range group.n {
						s.calls(1, t.Context(), group.who, group.named)
					}
				}
				time.Sleep(time.Minute)
				if got := strings.TrimLeft(strings.Join(s.served(), ""), "-"); got != tc.want {
					t.Errorf("served in the order %s, want %s", got, tc.want)
				}
			})
		})
	}
}

// However the lanes before it have been served, somebody without a session waits for one other caller at most.
func TestWait_FirstWaitsForOneCallerOfOtherLanesAtMost(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		ctx, cancel := context.WithCancel(t.Context())
		var mount budget.Mount
		for i := range 40 {
			s.calls(40, ctx, budget.Caller{Mount: &mount, Lane: budget.Refresh}, "r")
			s.calls(40, ctx, budget.Caller{Mount: &mount, Lane: budget.Retry}, "y")
			time.Sleep(time.Duration(i*37) * time.Millisecond)
			s.wantServedWithin(budget.Caller{Mount: &mount}, 250*time.Millisecond+1)
		}
		cancel()
	})
}

// A session in its last third has 20 minutes of life, if it lasts an hour.
func TestWait_RefreshesAreServedWhileReadersFloodTheQueue(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		ctx, cancel := context.WithCancel(t.Context())
		mounts := make([]budget.Mount, 2)
		s.calls(20_000, ctx, budget.Caller{Mount: &mounts[0]}, "F")
		s.calls(20_000, ctx, budget.Caller{Mount: &mounts[0], Lane: budget.Retry}, "y")
		s.calls(3000, t.Context(), budget.Caller{Mount: &mounts[1], Lane: budget.Refresh}, "r")
		time.Sleep(1001 * time.Second)
		cancel()
		synctest.Wait()
		served := map[string]int{}
		for _, name := range s.served() {
			served[name]++
		}
		if served["r"] != 3000 || served["y"] < 1000 || served["F"] < 4000 {
			t.Errorf("served %v in 1001 s, want 3000 refreshes, 1000 retries and 4000 readers", served)
		}
	})
}

func TestWait_ContextEndsTheWait(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		var mount budget.Mount
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		s.calls(2, t.Context(), budget.Caller{Mount: &mount}, "before") // one of them waits
		go func() { failed <- s.call(ctx, budget.Caller{Mount: &mount}, "gone", 0, budget.Answered) }()
		synctest.Wait()
		if n := mount.Waiting(); n != 2 {
			t.Errorf("%d callers of the mount wait, want 2", n)
		}
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller whose context ended got %v, want %v", err, context.Canceled)
		}
		if n := mount.Waiting(); n != 1 {
			t.Errorf("%d callers of the mount wait after one has left, want 1", n)
		}
		err := s.call(ctx, budget.Caller{Mount: &mount}, "gone", 0, budget.Answered)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context had ended got %v, want %v", err, context.Canceled)
		}
	})
}

func TestWait_RefusesAtOnceWhatWouldComeTooLate(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		var mount, other budget.Mount
		ctx, cancel := context.WithCancel(t.Context())
		s.calls(101, ctx, budget.Caller{Mount: &mount, Lane: budget.Retry}, "waiting") // for 12.5 s
		for _, tc := range []struct {
			patience time.Duration
			who      budget.Caller
			want     error
		}{
			{10 * time.Second, budget.Caller{Mount: &mount, Lane: budget.Retry}, budget.ErrTooLate},
			{100 * time.Millisecond, budget.Caller{Mount: &other}, budget.ErrTooLate},
			{130 * time.Millisecond, budget.Caller{Mount: &other}, nil},
		} {
			start := time.Now()
			short, done := context.WithTimeout(t.Context(), tc.patience)
			err := s.call(short, tc.who, "short", 0, budget.Answered)
			done()
			if !errors.Is(err, tc.want) {
				t.Errorf("with %s left in lane %d: %v, want %v", tc.patience, tc.who.Lane, err, tc.want)
			}
			if took := time.Since(start); err != nil && took != 0 {
				t.Errorf("it was refused after %s, want at once", took)
			}
		}
		cancel()
	})
}

// endsLate is a context that ends after its caller's turn has begun and before it has noticed.
type endsLate struct {
	context.Context
	asked int
}

func (*endsLate) Done() <-chan struct{} { return nil }

func (c *endsLate) Err() error {
	if c.asked++; c.asked == 1 {
		return nil
	}
	return context.Canceled
}

func TestWait_TurnOfACallerThatHasLeftGoesToTheNext(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		for range 3 {
			_, err := s.group.Wait(&endsLate{Context: t.Context()}, s.key, budget.Caller{Mount: &budget.Mount{}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a caller whose context has ended got %v, want %v", err, context.Canceled)
			}
		}
		s.wantServedWithin(budget.Caller{Mount: &budget.Mount{}}, 1)
	})
}
