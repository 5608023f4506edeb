package session

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const changedRole = "changed"

// changes are the ways in which a name's settings end.
var changes = map[string]func(n *node){
	"write": func(n *node) { n.write("orders-0", changedRole) },
	"delete": func(n *node) {
		lock := n.disk.lock("orders-0")
		lock <- struct{}{}
		defer func() { <-lock }()
		n.disk.set(func(d *disk) { clear(d.settings); clear(d.sessions) })
		n.Drop("orders-0")
	},
	"invalidate": func(n *node) { // another node wrote
		n.disk.set(func(d *disk) { d.settings[Key{Name: "orders-0"}] = settings{revision: "other", role: changedRole} })
		n.Drop("orders-0")
	},
}

func TestPool_SessionEndsWithItsSettings(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				n.writeMany(1)
				n.read("orders-0")
				change(n)
				assertChanged(t, name, n.read("orders-0"))
				if stored := n.stored(); name == "delete" && len(stored) != 0 {
					t.Errorf("the deleted name's session is still stored: %v", stored)
				}
			})
		})
	}
}

func TestPool_SessionBeingRequestedEndsWithItsSettings(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				n.writeMany(1)
				gate := make(chan struct{})
				n.aws.set(func(s *service) { s.gate = gate })
				waiting := n.readers(20, "orders-0")
				synctest.Wait()
				n.aws.set(func(s *service) { s.gate = nil })
				change(n)
				for _, g := range waiting() {
					assertChanged(t, name, g)
					if g.took != 0 {
						t.Errorf("a reader waited %s for a session that nobody wants any more", g.took)
					}
				}
				close(gate) // now the old request is answered
				synctest.Wait()
				assertChanged(t, name, n.read("orders-0"))
				if stored := n.stored(); name != "delete" && stored["orders-0"] != "ASIA2" {
					t.Errorf("stored is %v, want the session of the new settings", stored)
				}
			})
		})
	}
}

func assertChanged(t *testing.T, change string, g got) {
	t.Helper()
	if change == "delete" {
		if !errors.Is(g.err, errMissing) {
			t.Errorf("a reader of the deleted name got %+v", g)
		}
		return
	}
	if g.err != nil || g.key != "ASIA2" || g.role != changedRole {
		t.Errorf("a reader got %+v, want one session of the new settings", g)
	}
}

// The service may answer a request after the name was deleted, and the session must not be stored then: nothing would
// ever remove it.
func TestPool_SessionThatComesAfterTheDropIsNotStored(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				n.writeMany(1)
				gate := make(chan struct{})
				n.aws.set(func(s *service) { s.gate, s.deaf = gate, true })
				waiting := n.readers(1, "orders-0")
				synctest.Wait()
				n.aws.set(func(s *service) { s.err = errors.New("down") }) // so that nothing else is stored
				change(n)
				close(gate)
				waiting()
				synctest.Wait()
				if stored := n.stored(); len(stored) != 0 {
					t.Errorf("an outdated session was stored: %v", stored)
				}
			})
		})
	}
}

// Between the look at the settings and the store, a write or delete must not come: it removes the stored session.
func TestPool_AsksWhetherASessionIsWantedUnderTheNamesLock(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		saved := 0
		n.disk.saving = func(key Key) {
			saved++
			select {
			case n.disk.lock(key.Name) <- struct{}{}:
				t.Error("a write or delete could come between")
			default:
			}
		}
		n.read("orders-0")
		if saved != 1 {
			t.Errorf("the session was stored %d times, want once", saved)
		}
	})
}

func TestPool_SubjectReadBeforeADropIsNotKept(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: "orders"}
		drops := n.dropsOf("orders")
		n.Drop("orders")
		if kept := n.keep(n.newEntry(key, &settings{}), drops); kept != nil {
			t.Errorf("an outdated subject was kept: %+v", kept.subject)
		}
		drops = n.dropsOf("orders")
		fresh := n.newEntry(key, &settings{})
		if kept := n.keep(fresh, drops); kept != fresh {
			t.Errorf("a subject that nothing changed was not kept: %+v", kept)
		}
		if kept := n.keep(n.newEntry(key, &settings{}), drops); kept != fresh {
			t.Errorf("a second reader's copy replaced the first: %+v", kept)
		}
	})
}

func TestPool_SettingsThatChangeWhileTheyAreReadAreReadAgain(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		changed := false
		n.disk.loaded = func(Key) {
			if !changed {
				changed = true
				n.write("orders-0", changedRole)
			}
		}
		if g := n.read("orders-0"); g.role != changedRole || n.aws.count() != 1 {
			t.Errorf("the reader got %+v after %d requests, want one session of the new settings", g, n.aws.count())
		}
	})
}

func TestPool_SettingsThatNeverSettleAreATemporaryError(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.disk.loaded = func(key Key) { n.Drop(key.Name) }
		if g := n.read("orders-0"); !errors.Is(g.err, ErrUnsettled) || n.aws.count() != 0 {
			t.Errorf("the reader got %+v after %d requests, want %v and none", g, n.aws.count(), ErrUnsettled)
		}
	})
}

func TestPool_SessionOutlivesThePool(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		for range 3 {
			pass(time.Minute)
			n.start()
			if g := n.read("orders-0"); g.key != "ASIA1" {
				t.Errorf("after a restart a reader got %+v, want the stored session", g)
			}
		}
		if c := n.aws.count(); c != 1 {
			t.Errorf("%d requests over three restarts, want 1", c)
		}
	})
}

func TestPool_SessionStoredByAnotherNodeIsTakenOver(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		other := n.another()
		pass(3000 * time.Second) // the other node refreshes
		other.read("orders-0")
		synctest.Wait()
		n.Drop("orders-0") // what an invalidation does
		if g := n.read("orders-0"); g.key != "ASIA2" || n.aws.count() != 2 {
			t.Errorf("got %+v after %d requests, want the other node's session and 2", g, n.aws.count())
		}
	})
}

func TestPool_StoredSessionThatIsNotUsableIsRequestedAnew(t *testing.T) {
	for name, change := range map[string]func(n *node, s *storedSession){
		"another revision":     func(_ *node, s *storedSession) { s.revision = "other" },
		"ended":                func(*node, *storedSession) { pass(2 * time.Hour) },
		"under sixty seconds":  func(*node, *storedSession) { pass(time.Hour - time.Minute + time.Second) },
		"the clock was set":    func(n *node, _ *storedSession) { n.clock.jump(-6 * time.Hour) },
		"from a minute ahead":  func(n *node, _ *storedSession) { n.clock.jump(-time.Minute - time.Second) },
		"of another's, no end": func(_ *node, s *storedSession) { s.session = Session{} },
	} {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				n.writeMany(1)
				n.read("orders-0")
				key := Key{Name: "orders-0"}
				stored := n.disk.sessions[key]
				change(n, &stored)
				n.disk.set(func(d *disk) { d.sessions[key] = stored })
				n.start()
				if g := n.read("orders-0"); g.err != nil || g.key != "ASIA2" {
					t.Errorf("a reader got %+v, want a new session", g)
				}
				if n.stored()["orders-0"] != "ASIA2" {
					t.Error("the new session was not stored")
				}
			})
		})
	}
}

func TestPool_StorageThatFailsDoesNotFailAReader(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.disk.loaded = func(Key) {
			go n.disk.set(func(d *disk) { d.fails, d.loaded = errStorage, nil })
			synctest.Wait()
		}
		for range 2 {
			if g := n.read("orders-0"); g.err != nil || g.key != "ASIA1" {
				t.Errorf("with broken storage a reader got %+v", g)
			}
		}
	})
}
