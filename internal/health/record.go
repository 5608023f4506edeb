package health

import (
	"sync"
	"sync/atomic"
	"time"
)

// Activity is work on a connection that can fail while its credentials are still good.
type Activity int

// The activities, each with failures of its own.
const (
	Session  Activity = iota // requesting or refreshing a session
	Renewal                  // renewing the certificate
	Rotation                 // rotating the access key

	activities = int(iota)
)

func (a Activity) String() string { return [activities]string{"session", "renewal", "rotation"}[a] }

// Failure is the last failure of an activity. It is zero while none has happened since the start.
type Failure struct {
	Time    time.Time
	Error   string    // in the service's words, without secrets
	Count   int       // failures in a row; 0 once a later try has succeeded
	NextTry time.Time // when the activity is tried again at the earliest; zero when it is not failing
}

// Failing reports whether the last try failed.
func (f Failure) Failing() bool { return f.Count > 0 }

// Record is what is known of one connection since the start of the process. Its zero value is a connection that nobody
// has read. It is safe for concurrent use.
type Record struct {
	reads [paths]atomic.Uint64

	mu       sync.Mutex
	failures *[activities]Failure // nil before the first one: most connections never fail
	state    State
	noted    time.Time // when the end of the certificate was last announced
}

// Read counts a read of the connection's credentials. It costs a few nanoseconds and allocates nothing.
func (r *Record) Read(path Path) { r.reads[path].Add(1) }

// Reads returns how many reads of the path have been counted.
func (r *Record) Reads(path Path) uint64 { return r.reads[path].Load() }

// HasReads reports whether anybody has read the connection's credentials.
func (r *Record) HasReads() bool {
	for i := range r.reads {
		if r.reads[i].Load() > 0 {
			return true
		}
	}
	return false
}

// Failed notes that a try failed at this time, why, and when the next one is due. It returns how many have failed in a
// row, so that a log has one line for the first.
func (r *Record) Failed(activity Activity, at time.Time, why string, nextTry time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil {
		r.failures = new([activities]Failure)
	}
	r.failures[activity] = Failure{Time: at, Error: why, Count: r.failures[activity].Count + 1, NextTry: nextTry}
	return r.failures[activity].Count
}

// Succeeded notes that a try succeeded, and reports whether the one before had failed. The last failure stays readable.
func (r *Record) Succeeded(activity Activity) (recovered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil {
		return false
	}
	failure := &r.failures[activity]
	recovered = failure.Failing()
	failure.Count, failure.NextTry = 0, time.Time{}
	return recovered
}

// Failure returns the last failure of the activity.
func (r *Record) Failure(activity Activity) Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failures == nil {
		return Failure{}
	}
	return r.failures[activity]
}

// Changed notes the connection's state and reports which one it had, so that a log has one line for each change. The
// state before the first is "".
func (r *Record) Changed(state State) (before State, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, r.state = r.state, state
	return before, before != state
}

// announceEvery is the time between announcements of a certificate's end.
const announceEvery = 24 * time.Hour

// AnnounceEnd reports whether the end of the connection's certificate is to be announced now: once a day.
func (r *Record) AnnounceEnd(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.noted) < announceEvery {
		return false
	}
	r.noted = now
	return true
}

// Records holds the records of a mount's connections by name. Its zero value is ready for use. It is safe for
// concurrent use.
type Records struct {
	byName sync.Map // of string to *Record

	mu     sync.Mutex    // held while a record goes, and while all of them are added up
	before [paths]uint64 // reads of connections that have been deleted
}

// Of returns the connection's record and makes one where there is none. It is for connections that exist: names that a
// request merely mentions must not come here, because records stay until they are forgotten.
func (r *Records) Of(name string) *Record {
	if found, ok := r.byName.Load(name); ok {
		return found.(*Record)
	}
	record, _ := r.byName.LoadOrStore(name, new(Record))
	return record.(*Record)
}

// Find returns the connection's record, or an empty one that is not kept.
func (r *Records) Find(name string) *Record {
	if found, ok := r.byName.Load(name); ok {
		return found.(*Record)
	}
	return new(Record)
}

// Forget drops the record of a connection that has been deleted. Its reads stay counted, but for those that end after
// this.
func (r *Records) Forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.byName.LoadAndDelete(name)
	if !ok {
		return
	}
	for path := range Path(paths) {
		r.before[path] += found.(*Record).Reads(path)
	}
}

// reads returns how many reads of the path have been counted, of all connections. It never decreases.
func (r *Records) reads(path Path) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.before[path]
	r.byName.Range(func(_, record any) bool {
		sum += record.(*Record).Reads(path)
		return true
	})
	return sum
}
