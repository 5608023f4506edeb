package session

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// longLife is what an SDK wants.
const longLife = 15 * time.Minute

func TestPool_ReaderWaitsTwelveSecondsAndTheRequestGoesOn(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate, s.deaf = gate, true })
		if g := n.read("orders-0"); !errors.Is(g.err, ErrPending) || g.took != 12*time.Second {
			t.Errorf("the reader got %+v, want %v after 12s", g, ErrPending)
		}
		close(gate)
		synctest.Wait()
		if g := n.read("orders-0"); g.key != "ASIA1" || n.aws.count() != 1 {
			t.Errorf("the next reader got %+v after %d requests, want that request's session and 1", g, n.aws.count())
		}
	})
}

// The promise counts from the reader's beginning, with the wait for storage.
func TestPool_ReaderWaitsTwelveSecondsWithTheWaitForStorage(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.disk.set(func(d *disk) { d.hangs = "settings" })
		if g := n.read("orders-0"); !errors.Is(g.err, ErrPending) || g.took != 12*time.Second {
			t.Errorf("while storage hangs the reader got %+v, want %v after 12s", g, ErrPending)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if g := n.get(ctx, Key{Name: "orders-0"}, MinRemaining); !errors.Is(g.err, ErrGone) || g.took != time.Second {
			t.Errorf("a reader that goes after 1s got %+v, want %v", g, ErrGone)
		}
		n.disk.set(func(d *disk) { d.hangs = "sessions" })
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })
		if g := n.read("orders-0"); !errors.Is(g.err, ErrPending) || g.took != 12*time.Second {
			t.Errorf("while storage and service hang the reader got %+v, want %v after 12s", g, ErrPending)
		}
		close(gate)
	})
}

func TestPool_ReaderThatWantsMoreLifeWaitsForTheNextSession(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		n.read(key.Name)
		pass(time.Hour - longLife + time.Second)
		if g := n.get(t.Context(), key, longLife); g.key != "ASIA2" {
			t.Errorf("with 899 s left a reader got %+v; want the next session", g)
		}
		pass(time.Hour - longLife + time.Second)
		n.aws.set(func(s *service) { s.err = errors.New("down") })
		if g := n.get(t.Context(), key, longLife); g.key != "ASIA2" {
			t.Errorf("while the service is down a reader got %+v; want the session that still lives", g)
		}
	})
}

func TestPool_WaitForMoreLifeIsAMomentAlone(t *testing.T) {
	for name, restart := range map[string]bool{"in use": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				key := Key{Name: n.writeMany(1)[0]}
				n.read(key.Name)
				pass(time.Hour - 10*time.Minute)
				if restart {
					n.start()
				}
				gate := make(chan struct{})
				n.aws.set(func(s *service) { s.gate = gate })
				if g := n.get(t.Context(), key, longLife); g.key != "ASIA1" || g.took != 1500*time.Millisecond {
					t.Errorf("while the service hangs the reader got %+v; want the session that lives after 1.5s", g)
				}
				close(gate)
			})
		})
	}
}

func TestPool_WaitForMoreLifeGoesOnWhenTheLifeEnds(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		n.read(key.Name)
		pass(time.Hour - MinRemaining - time.Second) // a second more counts as alive
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })
		time.AfterFunc(5*time.Second, func() { close(gate) })
		if g := n.get(t.Context(), key, longLife); g.key != "ASIA2" || g.took != 5*time.Second {
			t.Errorf("the reader got %+v; want the next session after 5s", g)
		}
	})
}

func TestPool_ReaderWaitsTwelveSecondsHoweverOftenTheSettingsChange(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })
		wait := n.readers(1, "orders-0")
		for range 2 {
			time.Sleep(5 * time.Second)
			n.writeMany(1)
		}
		if g := wait()[0]; !errors.Is(g.err, ErrPending) || g.took != 12*time.Second {
			t.Errorf("the reader got %+v, want %v after 12s", g, ErrPending)
		}
		close(gate)
	})
}

func TestPool_StorageThatHangsCostsAReaderTwoSecondsEachWay(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.disk.set(func(d *disk) { d.hangs = "sessions" })
		if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 4*time.Second {
			t.Errorf("a reader got %+v, want a session after 2s for reading and 2s for storing", g)
		}
	})
}

func TestPool_LockThatIsHeldCostsAReaderTwoSeconds(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		lock := n.disk.lock("orders-0")
		lock <- struct{}{}
		if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 2*time.Second {
			t.Errorf("a reader got %+v, want a session after 2s", g)
		}
		<-lock
		if stored := n.stored(); len(stored) != 0 {
			t.Errorf("stored without the lock: %v", stored)
		}
	})
}

func TestPool_CloseEndsRequestsAndTheirReaders(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		names := n.writeMany(3)
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })
		waiting := n.readers(5, names...)
		synctest.Wait()
		n.Close()
		synctest.Wait() // no time passes
		close(gate)     // what has not ended by now would succeed
		for _, g := range waiting() {
			if !errors.Is(g.err, ErrClosing) {
				t.Errorf("a reader of the closed pool got %+v, want %v", g, ErrClosing)
			}
		}
	})
}
