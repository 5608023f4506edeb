package budget_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

func TestWait_KeysDoNotShareTurns(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		for _, key := range []budget.Key{
			s.key,
			{Account: "222222222222", Region: s.key.Region, API: s.key.API},
			{Account: s.key.Account, Region: "eu-west-1", API: s.key.API},
			{Account: s.key.Account, Region: s.key.Region, API: budget.STS},
			{Account: s.key.Account, Region: s.key.Region, API: budget.IAM},
		} {
			turn, err := s.group.Wait(t.Context(), key, budget.Caller{Mount: &budget.Mount{}})
			if err != nil || turn.Waited() != 0 {
				t.Errorf("%v: %v, want a turn at once", key, err)
			}
		}
		turn, err := s.group.Wait(t.Context(), s.key, budget.Caller{Mount: &budget.Mount{}})
		if err != nil || turn.Waited() != 125*time.Millisecond {
			t.Errorf("the second turn of a queue came after %v, %v; want 125ms", turn.Waited(), err)
		}
		_, err = s.group.Wait(t.Context(), budget.Key{API: "s3"}, budget.Caller{Mount: &budget.Mount{}})
		if !errors.Is(err, budget.ErrUnknownAPI) || !strings.Contains(err.Error(), `"s3"`) {
			t.Errorf("an API without a rate: %v, want %v", err, budget.ErrUnknownAPI)
		}
	})
}

// Settings that are tested can name any account.
func TestWait_ForgetsQueuesThatRest(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		most := 0
		for i := range 5 * budget.MaxKeys {
			key := budget.Key{Account: fmt.Sprint(i), API: budget.CreateSession}
			turn, err := s.group.Wait(t.Context(), key, budget.Caller{Mount: &budget.Mount{}, Lane: budget.Test})
			if err != nil {
				t.Fatal(err)
			}
			turn.Done(budget.Throttled) // it would be remembered for a minute
			time.Sleep(time.Millisecond)
			most = max(most, s.group.Remembered())
		}
		if most > budget.MaxKeys {
			t.Errorf("%d queues were remembered, want at most %d", most, budget.MaxKeys)
		}
	})
}

// A caller whose turn is due counts too: its timer may fire late.
func TestWait_NeverForgetsACallerWhoseTurnIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		group, err := budget.NewGroup(func() time.Time { return time.Now().Add(offset) }, budget.DefaultRates())
		if err != nil {
			t.Fatal(err)
		}
		s := &service{t: t, group: group, key: aKey}
		s.calls(2, t.Context(), budget.Caller{Mount: &budget.Mount{}}, "")
		offset = time.Minute
		for i := range budget.MaxKeys {
			key := budget.Key{Account: fmt.Sprint(i), API: budget.CreateSession}
			if _, err := group.Wait(t.Context(), key, budget.Caller{Mount: &budget.Mount{}}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n := s.count(); n != 2 {
			t.Errorf("%d callers had their turn, want both", n)
		}
	})
}

// The turns of a queue with callers must stay apart while thousands of other queues come and go.
func TestWait_NeverForgetsAQueueInUse(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		ctx, cancel := context.WithCancel(t.Context())
		s.calls(1000, ctx, budget.Caller{Mount: &budget.Mount{}}, "busy")
		for i := range 3 * budget.MaxKeys {
			key := budget.Key{Account: fmt.Sprint(i), API: budget.CreateSession}
			if _, err := s.group.Wait(t.Context(), key, budget.Caller{Mount: &budget.Mount{}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		cancel()
		synctest.Wait()
		if n := s.count(); n != 25 { // in 3.072 s
			t.Errorf("%d calls of the busy queue, want 25", n)
		}
	})
}

func TestWait_FollowsAClockThatIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		group, err := budget.NewGroup(func() time.Time { return time.Now().Add(offset) }, budget.DefaultRates())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, offset = range []time.Duration{0, -6 * time.Hour, 6 * time.Hour} {
			for _, lane := range []budget.Lane{budget.First, budget.Test, budget.Test} {
				who := budget.Caller{Mount: &budget.Mount{}, Lane: lane}
				if _, err := group.Wait(t.Context(), aKey, who); err != nil {
					t.Fatal(err)
				}
			}
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("nine turns took %s with the clock set back and forth, want less than 2s", took)
		}
	})
}

func TestNewGroup_RefusesRates(t *testing.T) {
	t.Parallel()
	for _, rate := range []budget.Rate{
		{}, {PerSecond: 8}, {PerSecond: 8, Floor: 9}, {PerSecond: -1, Floor: 1}, {PerSecond: 1e9, Floor: 1},
		{PerSecond: 8, Floor: 1, TestsPerSecond: 2}, {PerSecond: 8, Floor: 1, TestsPerSecond: -1},
	} {
		_, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.STS: rate})
		if err == nil || !strings.HasPrefix(err.Error(), "setting the rate of sts: PerSecond") {
			t.Errorf("%+v: %v, want an error that names the API and the fields", rate, err)
		}
	}
	if rate := budget.DefaultRates()[budget.CreateSession]; rate.PerSecond != 8 || rate.TestsPerSecond != 1 {
		t.Errorf("CreateSession has %+v, want 8 turns a second and 1 for tests", rate)
	}
}
