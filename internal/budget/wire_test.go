package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// slowCall is what happens to a call between its turn and its answer.
type slowCall struct {
	setup   time.Duration // until there is a connection
	held    time.Duration // while it writes: the host lets other programs run
	way     time.Duration // from there to the service
	respond time.Duration // from the service to the report
}

// do makes a call that arrives when it does, as net/http would.
func (s *service) do(ctx context.Context, who budget.Caller, c slowCall) error {
	turn, err := s.group.Wait(ctx, s.key, who)
	if err != nil {
		return err
	}
	defer turn.Done(budget.Answered)
	time.Sleep(c.setup)
	if err := turn.Send(ctx); err != nil {
		return err
	}
	time.Sleep(c.held)
	turn.Sent()
	time.Sleep(c.way)
	s.mu.Lock()
	s.arrivals = append(s.arrivals, time.Now())
	s.mu.Unlock()
	time.Sleep(c.respond)
	return nil
}

func upTo(most time.Duration) time.Duration { return rand.N(most) }

// Whatever holds calls up between their turns and their arrival, the service sees no more of them than it allows.
func TestSend_CallsThatAreHeldUpDoNotPileUpAtTheService(t *testing.T) {
	for _, tc := range []struct {
		name  string
		slow  func() slowCall
		least int // calls a second
	}{
		{"connections take long", func() slowCall { return slowCall{setup: upTo(5 * time.Second)} }, 7},
		{"connections stall and go on together", func() slowCall {
			return slowCall{setup: time.Until(time.Now().Truncate(3 * time.Second).Add(3 * time.Second))}
		}, 6},
		{"the host lets others run", func() slowCall {
			return slowCall{setup: upTo(time.Second), held: upTo(100 * time.Millisecond)}
		}, 7},
		{"the host lets others run for long", func() slowCall {
			return slowCall{held: upTo(900 * time.Millisecond)}
		}, 1},
		{"the network is uneven", func() slowCall {
			return slowCall{setup: upTo(time.Second), way: upTo(500 * time.Millisecond), respond: upTo(time.Second)}
		}, 5},
		{"answers are late", func() slowCall { return slowCall{respond: 10 * time.Second} }, 5},
	} {
		t.Run(tc.name, func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				ctx, cancel := context.WithCancel(t.Context())
				var mount budget.Mount
				for i := range 200 {
					go func() {
						for s.do(ctx, budget.Caller{Mount: &mount, Lane: budget.Lane(i % 4)}, tc.slow()) == nil {
						}
					}()
				}
				time.Sleep(5 * time.Minute)
				cancel()
				time.Sleep(20 * time.Second)
				if n := s.count(); n < tc.least*5*60 {
					t.Errorf("%d calls in 5 minutes, want %d a second at least", n, tc.least)
				} else {
					t.Logf("%d calls in 5 minutes", n)
				}
			})
		})
	}
}

// A call of 150 ms costs nothing of the rate.
func TestSend_TenThousandConnectionsAreServedWhereAnswersTakeTime(t *testing.T) {
	const connections, most = 10_000, 12 * 10_000 * time.Second / 9 / 10
	serviceTest(t, func(t *testing.T, s *service) {
		var all sync.WaitGroup
		start := time.Now()
		for range connections {
			all.Go(func() {
				c := slowCall{setup: upTo(200 * time.Millisecond), way: 50 * time.Millisecond,
					respond: 100 * time.Millisecond}
				if err := s.do(t.Context(), budget.Caller{Mount: &budget.Mount{}}, c); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(start); took > most {
			t.Errorf("it took %s, want at most %s", took, most)
		} else {
			t.Logf("%d connections had a session after %s", connections, took)
		}
	})
}

// turnOf returns a turn of a caller for whom there is one.
func (s *service) turnOf() *budget.Turn {
	s.t.Helper()
	turn, err := s.group.Wait(s.t.Context(), s.key, budget.Caller{Mount: &budget.Mount{}})
	if err != nil {
		s.t.Fatal(err)
	}
	return turn
}

// sendsAfter fails the test unless the turn's request may be written after that time.
func (s *service) sendsAfter(turn *budget.Turn, want time.Duration) {
	s.t.Helper()
	start := time.Now()
	if err := turn.Send(s.t.Context()); err != nil {
		s.t.Error(err)
	}
	if took := time.Since(start); took != want {
		s.t.Errorf("the request may be written after %s, want %s", took, want)
	}
}

func TestSend_RequestThatHangsWhileItIsWrittenDelaysTheNextForASecond(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		first, second, third := s.turnOf(), s.turnOf(), s.turnOf()
		s.sendsAfter(first, 0)
		s.sendsAfter(second, time.Second)
		second.Sent()
		s.sendsAfter(third, 50*time.Millisecond)
		third.Done(budget.NoAnswer) // without having been written
		s.sendsAfter(s.turnOf(), 50*time.Millisecond)
	})
}

func TestSend_CallerThatLeavesTheLineDelaysNobody(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		first, gone, last := s.turnOf(), s.turnOf(), s.turnOf()
		s.sendsAfter(first, 0)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { left <- gone.Send(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller that left got %v, want %v", err, context.Canceled)
		}
		gone.Done(budget.NoAnswer)
		first.Sent()
		s.sendsAfter(last, 50*time.Millisecond)
		last.Sent()
	})
}

// While requests wait to be written, no further call begins: it would only wait there.
func TestSend_TurnsPauseWhileRequestsWait(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		hanging := s.turnOf()
		s.sendsAfter(hanging, 0)
		for range 4 {
			turn := s.turnOf()
			go func() { _ = turn.Send(t.Context()); turn.Sent() }()
		}
		synctest.Wait()
		start := time.Now()
		s.turnOf()
		if took := time.Since(start); took != time.Second-4*125*time.Millisecond {
			t.Errorf("the next turn came after %s, want it when the first of those that wait is written", took)
		}
		time.Sleep(time.Second)
	})
}

// An HTTP client may write a request again where the first connection was closed, and report the first time late.
func TestSend_RequestMayBeWrittenAgain(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		turn := s.turnOf()
		for range 9 {
			s.sendsAfter(turn, 0)
			turn.Sent()
			turn.Sent()
			time.Sleep(50 * time.Millisecond)
		}
		s.sendsAfter(turn, 1070*time.Millisecond) // the first may have been on its way for half a second
		turn.Done(budget.Answered)
	})
}

func TestSend_WorksAfterItsQueueIsForgottenAndItsClockIsSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		group, err := budget.NewGroup(func() time.Time { return time.Now().Add(offset) }, budget.DefaultRates())
		if err != nil {
			t.Fatal(err)
		}
		s := &service{t: t, group: group, key: aKey}
		late := s.turnOf()
		time.Sleep(time.Minute)
		if n := group.Remembered(); n != 0 {
			t.Errorf("%d queues are remembered", n)
		}
		late.Sent() // nothing was sent
		s.sendsAfter(late, 0)
		var took []time.Duration
		for _, offset = range []time.Duration{-6 * time.Hour, 6 * time.Hour} {
			start := time.Now()
			for range 10 {
				turn := s.turnOf()
				if err := turn.Send(t.Context()); err != nil {
					t.Fatal(err)
				}
				turn.Sent()
			}
			took = append(took, time.Since(start))
		}
		if slices.Max(took) > 4*time.Second {
			t.Errorf("ten requests took %s with the clock set back and forth", took)
		}
		late.Done(budget.Answered)
		time.Sleep(2 * time.Minute)
		late.Sent() // a report that comes after everything
		if n := group.Remembered(); n != 0 {
			t.Errorf("%d queues are remembered in the end", n)
		}
	})
}
