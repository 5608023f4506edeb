package session

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hostClock is a host's: the wall clock can be set, the uptime goes on. It runs with a bubble's time.
type hostClock struct {
	mu  sync.Mutex
	set time.Duration
}

func (c *hostClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set += d
}

var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *hostClock) Now() Instant {
	c.mu.Lock()
	defer c.mu.Unlock()
	uptime := time.Since(bubbleStart)
	return Instant{Wall: bubbleStart.Add(uptime + c.set), Uptime: uptime}
}

// node is a pool with everything around it, on storage that other nodes may share.
type node struct {
	*Pool[*settings, *disk]
	t        *testing.T
	disk     *disk
	aws      *service
	seen     *witness
	clock    *hostClock
	readOnly bool
	variants int
}

// start makes a new pool on the node's storage, as a restart of the plugin does.
func (n *node) start() {
	if n.Pool != nil {
		n.Close()
	}
	n.Pool = New(Config[*settings, *disk]{Clock: n.clock.Now, Loader: n.disk, Store: store{n.disk}, Source: n.aws,
		Observer: n.seen,
		ReadOnly: func() bool { return n.readOnly }, MaxVariants: n.variants})
}

// another is a node beside n that shares its storage and the service.
func (n *node) another() *node {
	other := &node{t: n.t, disk: n.disk, aws: n.aws, seen: n.seen, clock: &hostClock{}}
	other.start()
	n.t.Cleanup(other.Close)
	return other
}

// poolTest runs a test in a bubble, whose clock stands still while anything runs, on a node whose sessions last an
// hour. The bubble fails a test that leaves a goroutine behind.
func poolTest(t *testing.T, run func(t *testing.T, n *node)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		clock := &hostClock{}
		n := &node{t: t, clock: clock, seen: &witness{},
			disk: &disk{settings: map[Key]settings{}, sessions: map[Key]storedSession{},
				locks: map[string]chan struct{}{}},
			aws: &service{lifetime: time.Hour, clock: clock.Now}}
		n.start()
		run(t, n)
		n.Close()
		synctest.Wait()
		if strings.Contains(n.seen.String(), "CANARY") {
			t.Errorf("the observer was given what a panic quoted:\n%s", n.seen)
		}
	})
}

// pass moves a bubble's clock on; nothing sleeps.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// write stores settings as a mount does, with a new revision.
func (n *node) write(name, role string) {
	lock := n.disk.lock(name)
	lock <- struct{}{}
	defer func() { <-lock }()
	n.disk.set(func(d *disk) {
		key := Key{Name: name}
		d.settings[key] = settings{revision: d.settings[key].revision + "+", role: role}
		delete(d.sessions, key)
	})
	n.Drop(name)
}

// writeMany stores settings under this many names.
func (n *node) writeMany(many int) (names []string) {
	for i := range many {
		names = append(names, fmt.Sprintf("orders-%d", i))
		n.write(names[i], "role-"+names[i])
	}
	return names
}

// got is what one reader got.
type got struct {
	key  string
	role string
	left time.Duration
	took time.Duration
	err  error
}

func (n *node) get(ctx context.Context, key Key, want time.Duration) got {
	start := time.Now()
	subject, s, err := n.Get(ctx, n.disk, key, want)
	if err != nil {
		return got{err: err, took: time.Since(start)}
	}
	return got{key: s.AccessKey, role: subject.role, left: s.Remaining(n.clock.Now()), took: time.Since(start)}
}

func (n *node) read(name string) got { return n.get(n.t.Context(), Key{Name: name}, MinRemaining) }

// readers starts this many readers of each name and returns what they get.
func (n *node) readers(many int, names ...string) func() []got {
	var wg sync.WaitGroup
	all := make([]got, many*len(names))
	for i := range all {
		wg.Go(func() { all[i] = n.read(names[i%len(names)]) })
	}
	return func() []got { wg.Wait(); return all }
}

// stored returns the keys of the stored sessions and their access keys.
func (n *node) stored() map[string]string {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	found := map[string]string{}
	for key, s := range maps.All(n.disk.sessions) {
		found[key.Name+key.Scope+key.Variant] = s.session.AccessKey
	}
	return found
}
