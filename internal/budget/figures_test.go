package budget_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
)

// Connections are written and read again and again: each write abandons the session that the read has requested.
func TestWait_AbandonedFetchesDelayNobody(t *testing.T) {
	var mine, others budget.Mount
	for name, mount := range map[string]*budget.Mount{"same mount": &mine, "another mount": &others} {
		t.Run(name+", left one after the other", func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				for range 2000 {
					ctx, cancel := context.WithCancel(t.Context())
					s.calls(2, ctx, budget.Caller{Mount: &mine}, "abandoned")
					cancel()
					synctest.Wait()
				}
				if n := s.count(); n > 2 {
					t.Errorf("%d abandoned fetches were called, in no time", n)
				}
				s.wantServedWithin(budget.Caller{Mount: mount}, time.Second)
			})
		})
		t.Run(name+", left all at once", func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				ctx, cancel := context.WithCancel(t.Context())
				s.calls(2000, ctx, budget.Caller{Mount: &mine}, "abandoned")
				time.AfterFunc(500*time.Millisecond, cancel)
				s.wantServedWithin(budget.Caller{Mount: mount}, time.Second)
			})
		})
	}
}

// Each failing connection tries again after 5, 10, 20, 40, then 60 s, as its readers never rest.
func (s *service) failForever(n int, takes time.Duration, ctx context.Context, mount *budget.Mount) {
	for range n {
		go func() {
			for pause := 5 * time.Second; ctx.Err() == nil; pause = min(2*pause, time.Minute) {
				outcome := budget.Answered
				if takes > 0 {
					outcome = budget.NoAnswer
				}
				if s.call(ctx, budget.Caller{Mount: mount, Lane: budget.Retry}, "failing", takes, outcome) != nil {
					return
				}
				select {
				case <-time.After(pause):
				case <-ctx.Done():
				}
			}
		}()
	}
}

func TestWait_FailingConnectionsHardlyDelayAGoodOne(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		ctx, cancel := context.WithCancel(t.Context())
		var mount budget.Mount
		s.failForever(1000, 0, ctx, &mount)
		s.failForever(400, 10*time.Second, ctx, &mount)
		for range 20 {
			time.Sleep(time.Duration(rand.IntN(20_000)) * time.Millisecond)
			s.wantServedWithin(budget.Caller{Mount: &mount}, 2*time.Second)
		}
		cancel()
		synctest.Wait()
		time.Sleep(10 * time.Second)
	})
}

// wake lets many connections that have no session request one, and returns how long it took until all had one.
func (s *service) wake(n int, mounts []budget.Mount) time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			who := budget.Caller{Mount: &mounts[i%len(mounts)]}
			if err := s.call(s.t.Context(), who, "cold", 0, budget.Answered); err != nil {
				s.t.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

func TestWait_TenThousandColdConnectionsAreAllServed(t *testing.T) {
	const connections, most = 10_000, 12 * 10_000 * time.Second / 9 / 10
	for name, tests := range map[string]bool{"alone": false, "while an operator tests settings all the time": true} {
		t.Run(name, func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				ctx, cancel := context.WithCancel(t.Context())
				tested := 0
				if tests {
					go func() {
						operator := budget.Caller{Mount: &budget.Mount{}, Lane: budget.Test}
						for s.call(ctx, operator, "test", 0, budget.Answered) == nil {
							tested++
						}
					}()
				}
				took := s.wake(connections, make([]budget.Mount, 3))
				cancel()
				synctest.Wait()
				t.Logf("%d connections had a session after %s, beside %d tests", connections, took, tested)
				if took > most {
					t.Errorf("it took %s, want at most %s", took, most)
				}
				if tests && tested < int(took.Seconds()*0.9) {
					t.Errorf("%d tests had a turn in %s, want one a second", tested, took)
				}
			})
		})
	}
}

// Calls do not arrive as evenly as they begin.
func TestWait_CallsThatArriveLateStayWithinTheQuota(t *testing.T) {
	serviceTest(t, func(t *testing.T, s *service) {
		late := &service{t: t}
		ctx, cancel := context.WithCancel(t.Context())
		for i := range 200 {
			go func() {
				lane := budget.Lane(i % 4)
				for {
					who := budget.Caller{Mount: &budget.Mount{}, Lane: lane}
					if _, err := s.group.Wait(ctx, s.key, who); err != nil {
						return
					}
					time.Sleep(time.Duration(rand.IntN(50)) * time.Millisecond)
					late.mu.Lock()
					late.arrivals = append(late.arrivals, time.Now())
					late.mu.Unlock()
				}
			}()
		}
		time.Sleep(10 * time.Minute)
		cancel()
		synctest.Wait()
		late.withinQuota(9)
		if n := late.count(); n < 4500 {
			t.Errorf("%d calls in 10 minutes, want at least 4,500", n)
		}
	})
}

func TestWait_RandomCallersStayWithinTheQuotaAndAreServedInOrder(t *testing.T) {
	for seed := range uint64(8) {
		t.Run("", func(t *testing.T) {
			serviceTest(t, func(t *testing.T, s *service) {
				random := rand.New(rand.NewPCG(seed, 0))
				mounts := make([]budget.Mount, 4)
				for range 3000 {
					who := budget.Caller{Mount: &mounts[random.IntN(4)], Lane: budget.Lane(random.IntN(4))}
					patience := time.Duration(random.IntN(30_000)) * time.Millisecond
					takes := time.Duration(random.IntN(2000)) * time.Millisecond
					outcome := budget.Outcome(random.IntN(4))
					if outcome == budget.NotCalled {
						takes = 0
					}
					ctx, cancel := context.WithCancel(t.Context())
					time.AfterFunc(patience, cancel)
					go func() {
						err := s.call(ctx, who, "", takes, outcome)
						if err != nil && !errors.Is(err, context.Canceled) {
							t.Error(err)
						}
					}()
					if random.IntN(10) == 0 {
						time.Sleep(time.Duration(random.IntN(3000)) * time.Millisecond)
					}
				}
				time.Sleep(time.Minute)
				for i := range mounts {
					if n := mounts[i].Waiting(); n != 0 {
						t.Errorf("%d callers of mount %d are said to wait after all have left", n, i)
					}
				}
			})
		})
	}
}
