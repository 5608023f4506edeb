package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// standby is a node that only reads, beside an active one.
func (n *node) standby() *node {
	other := n.another()
	other.readOnly = true
	return other
}

func TestStandby_ServesTheStoredSessionAndObtainsNone(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		names := n.writeMany(2)
		standby := n.standby()
		for _, g := range standby.readers(30, names...)() {
			if !errors.Is(g.err, ErrReadOnly) || g.took != 0 {
				t.Fatalf("before there is a session a reader got %+v, want %v at once", g, ErrReadOnly)
			}
		}
		n.read(names[0])
		standby.Drop(names[0]) // the session's invalidation
		for _, g := range standby.readers(30, names[0])() {
			if g.err != nil || g.key != "ASIA1" {
				t.Fatalf("a reader got %+v, want the active node's session", g)
			}
		}
		if g := standby.read(names[1]); !errors.Is(g.err, ErrReadOnly) {
			t.Errorf("without a session a reader got %+v", g)
		}
		if c := n.aws.count(); c != 1 {
			t.Errorf("%d requests, want the active node's", c)
		}
	})
}

func TestStandby_WritesNothing(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		standby := n.standby()
		standby.read("orders-0")
		n.disk.saving = func(Key) { t.Error("the standby stored a session") }
		pass(50 * time.Minute)
		standby.read("orders-0")
		standby.RefreshAhead(n.disk, Key{Name: "orders-0"})
		n.behindTheBack(Key{Name: "orders-0"}, nil)
		pass(time.Minute)
		if g := standby.read("orders-0"); !errors.Is(g.err, errMissing) {
			t.Errorf("after the delete a reader got %+v", g)
		}
		if n.stored()["orders-0"] != "ASIA1" || n.aws.count() != 1 {
			t.Errorf("stored is %v after %d requests; want what the active node stored", n.stored(), n.aws.count())
		}
	})
}

// In the last third one read a pause is sent on to the active node, so that it refreshes; all others are served.
func TestStandby_SendsOneReadAPauseOnUntilTheNextSessionArrives(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		standby := n.standby()
		pass(2361 * time.Second)
		start := n.clock.Now().Uptime
		var forwarded []time.Duration
		for range 100 {
			for _, g := range standby.readers(5, "orders-0")() {
				switch {
				case errors.Is(g.err, ErrReadOnly):
					forwarded = append(forwarded, n.clock.Now().Uptime)
				case g.key != "ASIA1" || g.took != 0:
					t.Fatalf("a reader got %+v", g)
				}
			}
			pass(time.Second)
		}
		assertCalls(t, forwarded, start, 0, 5, 15, 35, 75)
		if len(forwarded) != 5 {
			t.Errorf("%d of 500 reads were forwarded, want 5", len(forwarded))
		}
		n.read("orders-0") // a forwarded read on the active node
		synctest.Wait()
		pass(40 * time.Second) // the session's invalidation is lost; the standby looks before it sends a read on
		if g := standby.read("orders-0"); g.key != "ASIA2" || n.aws.count() != 2 {
			t.Errorf("a reader got %+v after %d requests, want the active node's next session and 2", g, n.aws.count())
		}
	})
}

func TestStandby_ReaderThatWantsMoreLifeIsSentOnOnce(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.aws.set(func(s *service) { s.lifetime = 30 * time.Minute })
		n.writeMany(1)
		n.read("orders-0")
		standby := n.standby()
		pass(16 * time.Minute) // 14 minutes are less than half, and more than the last third
		key := Key{Name: "orders-0"}
		if g := standby.get(t.Context(), key, longLife); !errors.Is(g.err, ErrReadOnly) || g.took != 0 {
			t.Errorf("the first reader got %+v, want %v", g, ErrReadOnly)
		}
		if g := standby.get(t.Context(), key, longLife); g.key != "ASIA1" || g.took != 0 {
			t.Errorf("the next reader got %+v, want the session that lives", g)
		}
	})
}

func TestStandby_EndedSessionIsNotServed(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		standby := n.standby()
		standby.read("orders-0")
		pass(time.Hour)
		for range 3 {
			if g := standby.read("orders-0"); !errors.Is(g.err, ErrReadOnly) {
				t.Errorf("after the session's end a reader got %+v", g)
			}
		}
	})
}
