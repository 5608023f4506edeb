package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// settings are the subject of these tests: what a Vault mount would store for a connection.
type settings struct {
	revision, role string
	permanent      bool
}

func (s *settings) Revision() string { return s.revision }
func (s *settings) Permanent() bool  { return s.permanent }

var (
	errMissing = errors.New("there is no connection of that name")
	errStorage = errors.New("storage is broken")
)

// disk is the storage of one or more nodes. It counts reads and writes, and fails and hangs as it is set.
type disk struct {
	mu       sync.Mutex
	settings map[Key]settings
	sessions map[Key]storedSession
	locks    map[string]chan struct{}
	fails    error
	hangs    string // "settings" or "sessions": these are never answered
	trips    int
	loaded   func(Key) // called after settings were read; nil: nothing
	saving   func(Key) // called before a session is stored, with the name's lock held
}

type storedSession struct {
	revision string
	session  Session
}

func (d *disk) wait(ctx context.Context, what string) error {
	d.mu.Lock()
	d.trips++
	fails, hangs := d.fails, d.hangs == what
	d.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return fails
}

// uses returns how often storage was used.
func (d *disk) uses() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trips
}

func (d *disk) set(change func(*disk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// lock is the lock under which what is stored of the name is written.
func (d *disk) lock(name string) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locks[name] == nil {
		d.locks[name] = make(chan struct{}, 1)
	}
	return d.locks[name]
}

func (d *disk) Load(ctx context.Context, _ *disk, key Key) (*settings, error) {
	if err := d.wait(ctx, "settings"); err != nil {
		return nil, err
	}
	d.mu.Lock()
	found, exists := d.settings[Key{Name: key.Name, Scope: key.Scope}]
	after := d.loaded
	d.mu.Unlock()
	if after != nil {
		after(key)
	}
	if !exists {
		return nil, errMissing
	}
	return &found, nil
}

func (d *disk) Revision(ctx context.Context, _ *disk, key Key) (string, error) {
	if err := d.wait(ctx, "settings"); err != nil {
		return "", err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings[key].revision, nil
}

// store is a disk as a Store: the pool's two contracts have methods of the same name.
type store struct{ *disk }

func (d store) Load(ctx context.Context, _ *disk, key Key, subject *settings) (Session, bool) {
	if d.wait(ctx, "sessions") != nil {
		return Session{}, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	found := d.sessions[key]
	return found.session, found.revision == subject.revision
}

func (d store) Save(ctx context.Context, _ *disk, key Key, subject *settings, s Session, current func() bool) {
	lock := d.lock(key.Name)
	select {
	case lock <- struct{}{}:
		defer func() { <-lock }()
	case <-ctx.Done():
		return
	case <-time.After(StorageWait):
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StorageWait)
	defer cancel()
	if !current() || d.wait(ctx, "sessions") != nil {
		return
	}
	if d.saving != nil {
		d.saving(key)
	}
	d.set(func(d *disk) { d.sessions[key] = storedSession{subject.revision, s} })
}

func (d store) Discard(_ context.Context, _ *disk, key Key) {
	d.set(func(d *disk) {
		if _, exists := d.settings[key]; !exists {
			delete(d.sessions, key)
		}
	})
}

// service stands for AWS: it counts, fails and hangs as it is set.
type service struct {
	mu       sync.Mutex
	lifetime time.Duration
	skew     time.Duration // of its clock to the host's
	calls    []time.Duration
	requests []Request[*settings, *disk]
	err      error
	panics   bool
	gate     chan struct{} // nil: answer at once
	deaf     bool          // wait at the gate whatever becomes of ctx
	clock    Clock
}

func (s *service) Obtain(ctx context.Context, r Request[*settings, *disk]) (Session, error) {
	s.mu.Lock()
	now := s.clock()
	s.calls = append(s.calls, now.Uptime)
	s.requests = append(s.requests, r)
	n, lifetime, skew, err, gate, deaf, panics := len(s.calls), s.lifetime, s.skew, s.err, s.gate, s.deaf, s.panics
	s.mu.Unlock()
	if panics {
		panic("CANARY")
	}
	if gate != nil && deaf {
		<-gate
	} else if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return Session{}, ctx.Err()
		}
	}
	if err != nil {
		return Session{}, err
	}
	return session(n, now.Wall, lifetime, skew, r.Subject.role), nil
}

func session(n int, now time.Time, lifetime, skew time.Duration, role string) Session {
	end, theirs := now.Add(lifetime), now.Add(skew+lifetime)
	if theirs.Before(end) {
		end = theirs
	}
	return Session{
		AccessKey: fmt.Sprintf("ASIA%d", n), SecretKey: secret.New(fmt.Sprintf("secret-%d", n)),
		SessionToken: secret.New(fmt.Sprintf("token-%d", n)), ARN: role, Issued: now, Expiration: end,
	}
}

func (s *service) set(change func(*service)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// witness is the Observer: it writes down what it is called with.
type witness struct {
	mu    sync.Mutex
	lines []string
}

func (w *witness) add(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, fmt.Sprintf(format, args...))
}

func (w *witness) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

func (w *witness) Obtained(key Key, _ *settings, a Arrival) {
	w.add("obtained %s%s %s stored=%v", key.Name, key.Scope, a.Session.AccessKey, a.Stored)
}

func (w *witness) Failed(key Key, _ *settings, f Failure) {
	w.add("failed %s%s %v live=%v remaining=%s failures=%d retry=%s stack=%s",
		key.Name, key.Scope, f.Err, f.Live, f.Remaining, f.Failures, f.RetryAfter, f.Stack)
}

func (w *witness) Dropped(key Key, _ *settings) { w.add("dropped %s%s", key.Name, key.Scope) }

func (w *witness) Unconfirmed(key Key, err error) {
	w.add("unconfirmed %s%s %v", key.Name, key.Scope, err)
}
