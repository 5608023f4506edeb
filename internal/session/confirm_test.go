package session

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// behindTheBack stores other settings without a notice to anybody: a write that lands after its caller has gone, or on
// another node whose invalidation is lost.
func (n *node) behindTheBack(key Key, s *settings) {
	n.disk.set(func(d *disk) {
		if s == nil {
			delete(d.settings, key)
			return
		}
		d.settings[key] = *s
	})
}

func TestPool_ChangeThatNobodyReportedEndsWithinAMinute(t *testing.T) {
	for name, every := range map[string]time.Duration{
		"read each second": time.Second, "read now and then": 17 * time.Second,
		"read again after a minute": time.Minute, "read rarely": 7 * time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				n.writeMany(1)
				n.read("orders-0")
				pass(10 * time.Second)
				n.behindTheBack(Key{Name: "orders-0"}, &settings{revision: "late", role: changedRole})
				for passed := time.Duration(0); passed < 15*time.Minute; passed += every {
					pass(every)
					if g := n.read("orders-0"); g.err != nil || passed+every >= time.Minute && g.role != changedRole {
						t.Fatalf("%s after the change a reader got %+v", passed+every, g)
					}
				}
				if !strings.Contains(n.seen.String(), "dropped orders-0") || n.aws.count() != 2 {
					t.Errorf("%d requests, and the observer was given\n%s", n.aws.count(), n.seen)
				}
			})
		})
	}
}

func TestPool_LateDeleteEndsWithinAMinuteAndLeavesNoSession(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.behindTheBack(Key{Name: "orders-0"}, nil)
		pass(time.Minute)
		if g := n.read("orders-0"); !errors.Is(g.err, errMissing) {
			t.Errorf("a minute after the delete a reader got %+v", g)
		}
		if stored := n.stored(); len(stored) != 0 {
			t.Errorf("the deleted name's session is still stored: %v", stored)
		}
	})
}

func TestPool_SettingsAreComparedBeforeASessionIsRequested(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(40 * time.Minute)
		n.read("orders-0") // which compares them in the background
		n.behindTheBack(Key{Name: "orders-0"}, &settings{revision: "late", role: changedRole})
		pass(30 * time.Second)
		n.read("orders-0") // in the last third: the current one, and the next is due
		synctest.Wait()
		if g := n.read("orders-0"); g.role != changedRole ||
			n.aws.requests[n.aws.count()-1].Subject.role != changedRole {
			t.Errorf("a reader got %+v, want a session of the new settings", g)
		}
		for _, r := range n.aws.requests[1:] {
			if r.Subject.role != changedRole {
				t.Errorf("a session was requested for %s, whose settings are gone", r.Subject.role)
			}
		}
	})
}

// A reader each second costs storage at most one comparison a minute, and a name that nobody reads none.
func TestPool_WarmReadsUseNoStorage(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.aws.set(func(s *service) { s.lifetime = 12 * time.Hour })
		n.writeMany(2)
		n.readers(1, "orders-0", "orders-1")()
		before := n.disk.uses()
		for range 49 {
			pass(time.Second)
			n.readers(10, "orders-0")()
		}
		synctest.Wait()
		if trips := n.disk.uses() - before; trips != 0 {
			t.Errorf("490 reads within 49s used storage %d times", trips)
		}
		for range 60*60 - 49 {
			pass(time.Second)
			n.read("orders-0")
		}
		if trips := n.disk.uses() - before; trips < 60 || trips > 72 {
			t.Errorf("an hour of reads used storage %d times, want once or a little more a minute", trips)
		}
	})
}

func TestPool_ReadsGoOnWhileStorageCannotConfirm(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.disk.set(func(d *disk) { d.fails = errStorage })
		for range 30 {
			pass(time.Minute)
			if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 0 {
				t.Fatalf("with broken storage a reader got %+v, want the session at once", g)
			}
		}
		if !strings.Contains(n.seen.String(), "unconfirmed orders-0 storage is broken") {
			t.Errorf("the observer was given\n%s", n.seen)
		}
		n.disk.set(func(d *disk) { d.fails, d.hangs = nil, "settings" })
		pass(time.Minute)
		if g := n.read("orders-0"); g.key != "ASIA1" || g.took != maxRefreshWait {
			t.Errorf("with storage that hangs a reader got %+v, want the session after %s", g, maxRefreshWait)
		}
		if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 0 {
			t.Errorf("the next reader got %+v, want the session at once", g)
		}
	})
}

func TestPool_FewComparisonsRunAtOnce(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		names := n.writeMany(10 * maxConfirms)
		n.readers(1, names...)()
		n.disk.set(func(d *disk) { d.hangs = "settings" })
		before := n.disk.uses()
		pass(55 * time.Second)
		for i, g := range n.readers(1, names...)() {
			if g.err != nil || g.took != 0 {
				t.Fatalf("reader %d got %+v", i, g)
			}
		}
		if trips := n.disk.uses() - before; trips > maxConfirms {
			t.Errorf("%d comparisons run at once, want at most %d", trips, maxConfirms)
		}
	})
}

// The host's clock is set while a session lives: no reader gets it after its end, by any clock.
func TestPool_NoSessionOutlivesItsDurationWhenTheClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, jump := range []time.Duration{0, -5 * time.Minute, 5 * time.Minute, -6 * time.Hour, 6 * time.Hour, -day} {
		for _, skew := range []time.Duration{0, -5 * time.Minute, 5 * time.Minute} {
			for _, restart := range []bool{false, true} {
				if restart && jump == -5*time.Minute {
					// A restart forgets the uptime, and the wall clock alone does not show that it was set by so
					// little.
					continue
				}
				t.Run(fmt.Sprintf("set by %s, service's clock %s ahead, restart %v", jump, skew, restart),
					func(t *testing.T) {
						poolTest(t, func(t *testing.T, n *node) {
							n.aws.set(func(s *service) { s.skew = skew })
							n.writeMany(1)
							n.read("orders-0")
							requested := n.clock.Now().Uptime
							pass(10 * time.Minute)
							n.aws.set(func(s *service) { s.err = errors.New("down") })
							n.clock.jump(jump)
							if restart {
								n.start()
							}
							for range 80 {
								pass(time.Minute)
								g := n.read("orders-0")
								if end := requested + time.Hour; g.err == nil && n.clock.Now().Uptime+g.left > end {
									t.Fatalf("%s after the request a reader got a session with %s left",
										n.clock.Now().Uptime-requested, g.left)
								}
							}
							if g := n.read("orders-0"); g.err == nil {
								t.Errorf("long after the end a reader got %+v", g)
							}
						})
					})
			}
		}
	}
}
