package session

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// renewed is a subject with another identity and the same revision.
func renewed(key Key, s *settings) *settings {
	return &settings{revision: s.revision, role: "renewed" + key.Scope, permanent: s.permanent}
}

// swap puts a proving session in as a mount does: stored and live under the name's lock.
func (n *node) swap(name string, s Session) {
	lock := n.disk.lock(name)
	lock <- struct{}{}
	defer func() { <-lock }()
	key := Key{Name: name}
	n.disk.set(func(d *disk) {
		next := *renewed(key, &settings{revision: d.settings[key].revision})
		d.settings[key], d.sessions[key] = next, storedSession{next.revision, s}
	})
	n.Replace(key, s, renewed)
}

func TestPool_ReplaceChangesTheSessionUnderReaders(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		var readers sync.WaitGroup
		stop := make(chan struct{})
		for range 50 {
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
					}
					if g := n.read("orders-0"); g.err != nil || g.took != 0 {
						t.Errorf("a reader during a swap got %+v", g)
					}
				}
			})
		}
		for i := range 100 {
			pass(1500 * time.Millisecond)
			n.swap("orders-0", session(100+i, n.clock.Now().Wall, time.Hour, 0, "renewed"))
			if g := n.read("orders-0"); g.key != fmt.Sprintf("ASIA%d", 100+i) || g.role != "renewed" {
				t.Errorf("after swap %d a reader got %+v", i, g)
			}
		}
		close(stop)
		readers.Wait()
		if c := n.aws.count(); c != 1 {
			t.Errorf("the pool made %d requests, want 1: each swap brings its own session", c)
		}
	})
}

func TestPool_ReplaceSuppliesTheWaitersOfARequest(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate, s.deaf = gate, true })
		waiting := n.readers(10, "orders-0")
		synctest.Wait()
		n.swap("orders-0", session(100, n.clock.Now().Wall, time.Hour, 0, "renewed"))
		for _, g := range waiting() {
			if g.key != "ASIA100" || g.role != "renewed" || g.took != 0 {
				t.Errorf("a reader that waited got %+v, want the proving session at once", g)
			}
		}
		close(gate) // the request with the identity before is answered
		synctest.Wait()
		if g := n.read("orders-0"); g.key != "ASIA100" || n.stored()["orders-0"] != "ASIA100" {
			t.Errorf("after the old answer a reader got %+v, and %v is stored", g, n.stored())
		}
	})
}

func TestPool_ReplaceOfWhatNobodyReadsServesFromStorage(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.swap("orders-0", session(100, n.clock.Now().Wall, time.Hour, 0, "renewed"))
		if g := n.read("orders-0"); g.key != "ASIA100" || n.aws.count() != 0 {
			t.Errorf("a reader got %+v after %d requests, want the proving session", g, n.aws.count())
		}
	})
}

func TestPool_ReplaceKeepsTheSessionsOfScopes(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		scope := Key{Name: "orders-0", Scope: "/reports"}
		n.behindTheBack(scope, &settings{revision: "s", role: "scope"})
		n.read("orders-0")
		n.get(t.Context(), scope, MinRemaining)
		n.swap("orders-0", session(100, n.clock.Now().Wall, time.Hour, 0, "renewed"))
		if g := n.get(t.Context(), scope, MinRemaining); g.key != "ASIA2" || g.role != "renewed/reports" {
			t.Errorf("a reader of the scope got %+v, want its session and the renewed subject", g)
		}
	})
}

// A session that goes on with another identity must not live longer for it.
func TestPool_ReplaceByTheSameSessionKeepsItsEnd(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(30 * time.Minute)
		n.clock.jump(-6 * time.Hour)
		known, _ := n.Status(Key{Name: "orders-0"})
		n.swap("orders-0", known.Session)
		after, _ := n.Status(Key{Name: "orders-0"})
		if after.Remaining != known.Remaining || after.Session.AccessKey != known.Session.AccessKey {
			t.Errorf("the session has %s left after it was put in again, and had %s", after.Remaining, known.Remaining)
		}
	})
}
