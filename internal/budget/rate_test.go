package budget_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// turn waits for a turn of a reader and fails the test where none comes.
func (s *service) turn() *budget.Turn {
	s.t.Helper()
	turn, err := s.group.Wait(s.t.Context(), s.key, budget.Caller{Mount: &budget.Mount{}})
	if err != nil {
		s.t.Fatal(err)
	}
	return turn
}

// gap returns the time between two turns at the present rate.
func (s *service) gap() time.Duration {
	s.turn()
	return s.turn().Waited()
}

func TestDone_ThrottlingLowersTheRateAndSuccessRaisesItAgain(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		if gap := s.gap(); gap != 125*time.Millisecond {
			t.Errorf("turns are %s apart at first, want 125ms", gap)
		}
		for _, want := range []time.Duration{250, 500, 1000, 1000} { // the floor is one turn a second
			s.turn().Done(budget.Throttled)
			s.turn() // its time was set before the call was throttled
			if gap := s.gap(); gap != want*time.Millisecond {
				t.Errorf("turns are %s apart after another call was throttled, want %dms", gap, want)
			}
		}
		last := s.gap()
		start, calls := time.Now(), 0
		for ; s.gap() > 125*time.Millisecond; calls++ {
			s.turn().Done(budget.Answered)
			if gap := s.gap(); gap > last {
				t.Fatalf("turns are %s apart after a success, and were %s before", gap, last)
			}
			last = s.gap()
		}
		if calls < 80 || calls > 100 {
			t.Errorf("%d successes raised the rate from 1 to 8 a second, want 88", calls)
		}
		t.Logf("the rate was back after %d successes and %s", calls, time.Since(start))
	})
}

// All calls that are under way when the quota is used up are throttled: that is one event.
func TestDone_CallsThatWereUnderWayLowerTheRateOnce(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		var open []*budget.Turn
		for range 8 {
			open = append(open, s.turn())
		}
		for _, turn := range open {
			turn.Done(budget.Throttled)
			turn.Done(budget.Throttled) // only the first report counts
		}
		s.turn()
		if gap := s.gap(); gap != 250*time.Millisecond {
			t.Errorf("turns are %s apart after 8 calls of the same time were throttled, want 250ms", gap)
		}
	})
}

func TestDone_OutcomesThatSayNothingOfTheQuotaChangeNothing(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		s.turn().Done(budget.Throttled)
		s.turn()
		for range 200 {
			s.turn().Done(budget.NoAnswer)
			s.turn() // is never reported
		}
		if gap := s.gap(); gap != 250*time.Millisecond {
			t.Errorf("turns are %s apart, want 250ms as before", gap)
		}
	})
}

func TestDone_ThrottlingIsRememberedForAMinute(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		turn := s.turn()
		time.Sleep(10 * time.Second) // by now a queue that nobody uses is forgotten
		turn.Done(budget.Throttled)
		time.Sleep(50 * time.Second)
		if gap := s.gap(); gap != 250*time.Millisecond {
			t.Errorf("turns are %s apart 50 s after throttling, want 250ms", gap)
		}
		time.Sleep(61 * time.Second)
		if gap := s.gap(); gap != 125*time.Millisecond {
			t.Errorf("turns are %s apart a minute after the last turn, want 125ms", gap)
		}
	})
}

func TestDone_TurnWithoutACallGoesToTheNext(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		turn := s.turn()
		next := make(chan time.Duration, 1)
		start := time.Now()
		go func() { s.turn(); next <- time.Since(start) }()
		synctest.Wait()
		time.Sleep(40 * time.Millisecond)
		turn.Done(budget.NotCalled)
		if waited := <-next; waited != 40*time.Millisecond {
			t.Errorf("the next caller had its turn after %s, want 40ms", waited)
		}
		turn.Done(budget.NotCalled) // it cannot give away the turn of another
		if gap := s.turn().Waited(); gap != 125*time.Millisecond {
			t.Errorf("the turn after that came after %s, want 125ms", gap)
		}
	})
}
