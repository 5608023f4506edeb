package schedule

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// recorder runs jobs that note when they ran.
type recorder struct {
	mutex sync.Mutex
	runs  []string
	begin time.Time
	next  func(key Key) time.Time
}

func (r *recorder) run(_ context.Context, key Key) time.Time {
	r.mutex.Lock()
	r.runs = append(r.runs, fmt.Sprintf("%s %s", key.Name, time.Since(r.begin)))
	r.mutex.Unlock()
	if r.next == nil {
		return time.Time{}
	}
	return r.next(key)
}

// ran returns the runs so far.
func (r *recorder) ran() []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return slices.Clone(r.runs)
}

func started(t *testing.T, r *recorder) *Scheduler {
	t.Helper()
	r.begin = time.Now()
	s := New(Config{Run: r.run, Now: time.Now})
	s.Start(t.Context())
	return s
}

func named(name string) Key { return Key{"renew", name} }

func TestScheduler_RunsAtTheTimeInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		s := started(t, r)
		defer s.Stop()
		now := time.Now()
		s.Set(named("later"), now.Add(72*time.Hour))
		s.Set(named("soon"), now.Add(20*time.Second))
		s.Set(named("never"), now.Add(time.Hour))
		s.Set(named("moved"), now.Add(time.Second))
		s.Set(named("moved"), now.Add(2*time.Minute))
		s.Remove(named("never"))
		s.Set(named("past"), now.Add(-time.Hour))
		time.Sleep(100 * time.Hour)
		if want := []string{"past 0s", "soon 20s", "moved 2m0s", "later 72h0m0s"}; !slices.Equal(r.ran(), want) {
			t.Errorf("runs %q, want %q", r.ran(), want)
		}
		if s.Len() != 0 {
			t.Errorf("%d jobs are left", s.Len())
		}
	})
}

func TestScheduler_RunSaysWhenNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: func(Key) time.Time { return time.Now().Add(30 * time.Second) }} // below Vault's minute
		s := started(t, r)
		defer s.Stop()
		s.Set(named("a"), time.Now())
		time.Sleep(10*time.Minute + time.Second)
		if ran := r.ran(); len(ran) != 21 {
			t.Errorf("%d runs: %q", len(ran), ran)
		}
	})
}

func TestScheduler_NeverMoreThanTheLimitNorTwiceTheSame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active, most, runs atomic.Int32
		var same sync.Map
		s := New(Config{Now: time.Now, Run: func(_ context.Context, key Key) time.Time {
			if _, loaded := same.LoadOrStore(key, true); loaded {
				t.Errorf("%v runs twice", key)
			}
			if n := active.Add(1); n > most.Load() {
				most.Store(n)
			}
			runs.Add(1)
			time.Sleep(time.Second)
			active.Add(-1)
			same.Delete(key)
			return time.Time{}
		}})
		for i := range 40 {
			s.Set(named(fmt.Sprint(i)), time.Now().Add(time.Duration(i-40)*time.Second))
		}
		s.Start(t.Context())
		defer s.Stop()
		time.Sleep(500 * time.Millisecond)
		for i := range 4 {
			s.Set(named(fmt.Sprint(i)), time.Now()) // while they run: due again
		}
		time.Sleep(time.Minute)
		if most.Load() != DefaultLimit || runs.Load() != 44 {
			t.Errorf("%d at once, %d runs", most.Load(), runs.Load())
		}
	})
}

// The machine has slept: the runtime's timers stood still while the clock went on, and Vault calls.
func TestScheduler_PokeLooksAtTheClockAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var shift atomic.Int64
		r := &recorder{begin: time.Now()}
		s := New(Config{Run: r.run, Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }})
		s.Start(t.Context())
		defer s.Stop()
		s.Set(named("a"), time.Now().Add(24*time.Hour))
		synctest.Wait()
		shift.Store(int64(48 * time.Hour))
		s.Poke()
		s.Poke() // also while one waits to be noticed
		synctest.Wait()
		if ran := r.ran(); !slices.Equal(ran, []string{"a 0s"}) {
			t.Errorf("runs %q", ran)
		}
	})
}

func TestScheduler_SetAndRemoveDuringARun(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		during func(s *Scheduler, now time.Time)
		runs   int
	}{
		"nothing":     {func(*Scheduler, time.Time) {}, 2},
		"set earlier": {func(s *Scheduler, now time.Time) { s.Set(named("a"), now.Add(time.Minute)) }, 3},
		"set later":   {func(s *Scheduler, now time.Time) { s.Set(named("a"), now.Add(9*time.Hour)) }, 2},
		"removed":     {func(s *Scheduler, _ time.Time) { s.Remove(named("a")) }, 1},
		"removed and set": {func(s *Scheduler, now time.Time) {
			s.Remove(named("a"))
			s.Set(named("a"),
				now.Add(time.Minute))
		}, 3},
		"set to zero: gone": {func(s *Scheduler, _ time.Time) { s.Set(named("a"), time.Time{}) }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int32
				s := New(Config{Now: time.Now, Run: func(context.Context, Key) time.Time {
					time.Sleep(10 * time.Second)
					runs.Add(1)
					return time.Now().Add(time.Hour)
				}})
				s.Start(t.Context())
				defer s.Stop()
				now := time.Now()
				s.Set(named("a"), now)
				time.Sleep(5 * time.Second)
				test.during(s, now)
				time.Sleep(90 * time.Minute)
				if int(runs.Load()) != test.runs {
					t.Errorf("%d runs, want %d", runs.Load(), test.runs)
				}
			})
		})
	}
}

func TestScheduler_ClockThatIsSetIsNoticedWithinAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var shift atomic.Int64
		r := &recorder{begin: time.Now()}
		s := New(Config{Run: r.run, Now: func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }})
		s.Start(t.Context())
		defer s.Stop()
		s.Set(named("a"), time.Now().Add(24*time.Hour))
		time.Sleep(time.Hour)
		shift.Store(int64(48 * time.Hour))
		time.Sleep(maxSleep + time.Millisecond)
		if ran := r.ran(); len(ran) != 1 {
			t.Errorf("runs %q", ran)
		}
	})
}

func TestScheduler_StopEndsRunsAndWaitsForThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := New(Config{Now: time.Now, Run: func(ctx context.Context, _ Key) time.Time {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return time.Now()
		}})
		s.Stop() // before it was started
		s.Start(t.Context())
		s.Start(t.Context())
		s.Set(named("a"), time.Now())
		synctest.Wait()
		s.Stop()
		if !ended {
			t.Error("the run was left alone")
		}
	})
}

// What is not due costs nothing: a tick with 10,000 waiting jobs does as much as one with 10.
//
//nolint:paralleltest // allocations are counted
func TestScheduler_TickLooksAtTheHeadAlone(t *testing.T) {
	for _, n := range []int{10, 10_000} {
		asked := 0
		now := time.Now()
		s := New(
			Config{
				Now: func() time.Time { asked++; return now },
				Run: func(context.Context, Key) time.Time { return time.Time{} },
			},
		)
		for i := range n {
			s.Set(named(fmt.Sprint(i)), now.Add(time.Hour))
		}
		allocated := testing.AllocsPerRun(100, func() { s.begin(t.Context()) })
		if asked != 101 || allocated > 0 {
			t.Errorf("%d jobs: 101 ticks asked the clock %d times and allocated %v times", n, asked, allocated)
		}
	}
}

func BenchmarkTick(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Config{Now: time.Now, Run: func(context.Context, Key) time.Time { return time.Time{} }})
			for i := range n {
				s.Set(named(fmt.Sprint(i)), time.Now().Add(time.Hour))
			}
			b.ReportAllocs()
			for b.Loop() {
				s.begin(b.Context())
			}
		})
	}
}
