// Package schedule runs jobs at their times: those that are due first, a few of each kind at once, on one clock.
// Certificates are renewed and access keys rotated by it.
package schedule

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

const (
	// DefaultLimit is how many jobs of a kind run at once.
	DefaultLimit = 4
	// maxSleep bounds how long the clock is trusted to run evenly: after a machine slept or its clock was set, jobs
	// that became due are late by no more than this.
	maxSleep = time.Minute
)

// Key names a job. One connection may have jobs of several kinds. Jobs of one kind do not wait for those of another,
// whose services may not respond.
type Key struct{ Kind, Name string }

// Config is what a Scheduler is made of.
type Config struct {
	// Run does what is due and returns when the job is due again; the zero time ends the job until it is set again. It
	// decides from what is stored, so that running too early does nothing. Its context ends with the Scheduler. It must
	// not panic.
	Run func(ctx context.Context, key Key) (next time.Time)
	// Now is the clock that deadlines are compared with. Waiting uses the runtime's timers, a minute at most at a time.
	Now func() time.Time
	// Limit is how many jobs of a kind run at once; 0 is [DefaultLimit].
	Limit int
}

// Scheduler runs each job no more than once at a time, those of a kind that have been due longest first. What waits
// costs one entry of a heap and nothing else: neither a timer nor a goroutine of its own, and no work while others are
// due.
//
// Set, Remove, Due and Len may be called at any time, also before Start and by Run itself. It is safe for concurrent
// use.
type Scheduler struct {
	config Config
	wake   chan struct{} // holds one: the heap's head may have changed

	mutex   sync.Mutex
	kinds   map[string]*kind // those that there were jobs of: a handful
	jobs    map[Key]*job
	started bool
	running sync.WaitGroup
	stop    context.CancelFunc
}

// kind is the jobs of one kind that wait, and how many run.
type kind struct {
	waiting deadlines
	active  int
}

// New returns a Scheduler that has not been started.
func New(config Config) *Scheduler {
	if config.Limit <= 0 {
		config.Limit = DefaultLimit
	}
	return &Scheduler{config: config, wake: make(chan struct{}, 1), jobs: map[Key]*job{}, kinds: map[string]*kind{}}
}

// Start begins to run jobs, until the context ends or Stop is called. A second call does nothing.
func (s *Scheduler) Start(ctx context.Context) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.started {
		return
	}
	s.started = true
	ctx, s.stop = context.WithCancel(ctx)
	s.running.Add(1)
	go s.loop(ctx)
}

// Stop ends the jobs' context and waits for those that run. A Scheduler that was never started is not waited for.
func (s *Scheduler) Stop() {
	s.mutex.Lock()
	stop := s.stop
	s.mutex.Unlock()
	if stop != nil {
		stop()
		s.running.Wait()
	}
}

// Set makes the job due at the time, whatever it was before; the zero time removes it. A job that runs meanwhile is due
// again at this time or the one that its run returns, whichever is first.
func (s *Scheduler) Set(key Key, due time.Time) {
	if due.IsZero() {
		s.Remove(key)
		return
	}
	s.mutex.Lock()
	s.put(key, due)
	s.mutex.Unlock()
	s.poke()
}

// Remove forgets the job. A run that has begun goes on, and what it returns does not count.
func (s *Scheduler) Remove(key Key) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	one := s.jobs[key]
	if one == nil {
		return
	}
	if one.place < 0 {
		one.removed, one.due = true, time.Time{}
		return
	}
	delete(s.jobs, key)
	heap.Remove(&one.kind.waiting, one.place)
}

// Due returns when the job is due, or false when it is not waiting.
func (s *Scheduler) Due(key Key) (due time.Time, waiting bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	one := s.jobs[key]
	if one == nil || one.place < 0 {
		return time.Time{}, false
	}
	return one.due, true
}

// Len returns how many jobs wait or run.
func (s *Scheduler) Len() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.jobs)
}

// Poke looks at the clock at once. Vault's periodic call does so, in case that timers have stood still.
func (s *Scheduler) Poke() { s.poke() }

func (s *Scheduler) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// put needs the lock.
func (s *Scheduler) put(key Key, due time.Time) {
	one := s.jobs[key]
	switch {
	case one == nil:
		one = &job{key: key, due: due, kind: s.kindOf(key)}
		s.jobs[key] = one
		heap.Push(&one.kind.waiting, one)
	case one.place < 0: // it runs
		if one.due.IsZero() || due.Before(one.due) {
			one.due = due
		}
	default:
		one.due = due
		heap.Fix(&one.kind.waiting, one.place)
	}
}

func (s *Scheduler) kindOf(key Key) *kind {
	if s.kinds[key.Kind] == nil {
		s.kinds[key.Kind] = &kind{}
	}
	return s.kinds[key.Kind]
}

func (s *Scheduler) loop(ctx context.Context) {
	defer s.running.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		timer.Reset(s.begin(ctx))
	}
}

// begin starts what is due, as far as the limits let it, and returns how long there is nothing to do.
func (s *Scheduler) begin(ctx context.Context) time.Duration {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	now, idle := s.config.Now(), maxSleep // the end of a run, or another job, wakes the loop
	for _, kind := range s.kinds {
		for len(kind.waiting) > 0 && kind.active < s.config.Limit {
			if left := kind.waiting[0].due.Sub(now); left > 0 {
				idle = min(idle, left)
				break
			}
			one := heap.Pop(&kind.waiting).(*job)
			one.due = time.Time{} // what is set from now on
			kind.active++
			s.running.Add(1)
			go s.run(ctx, one)
		}
	}
	return idle
}

func (s *Scheduler) run(ctx context.Context, one *job) {
	defer s.running.Done()
	next := s.config.Run(ctx, one.key)
	s.mutex.Lock()
	one.kind.active--
	set := one.due
	if one.removed || next.IsZero() || !set.IsZero() && set.Before(next) {
		next = set
	}
	if next.IsZero() {
		delete(s.jobs, one.key)
	} else {
		one.due, one.removed = next, false
		heap.Push(&one.kind.waiting, one)
	}
	s.mutex.Unlock()
	s.poke()
}

// job is one entry.
type job struct {
	key     Key
	kind    *kind
	due     time.Time // while it runs: what has been set meanwhile, zero when nothing has
	place   int       // index in the heap, below 0 while it runs
	removed bool      // while it ran: what the run returns does not count
}

// deadlines is a heap of jobs, the one that is due first at its head.
type deadlines []*job

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, k int) bool { return d[i].due.Before(d[k].due) }

func (d deadlines) Swap(i, k int) {
	d[i], d[k] = d[k], d[i]
	d[i].place, d[k].place = i, k
}

// Push appends a job, for package heap.
func (d *deadlines) Push(x any) {
	one := x.(*job)
	one.place = len(*d)
	*d = append(*d, one)
}

// Pop takes the last job off, for package heap.
func (d *deadlines) Pop() any {
	last := len(*d) - 1
	one := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	one.place = -1
	return one
}
