package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watchedDisk is a disk whose comparisons are done by a test.
type watchedDisk struct {
	*disk
	revision func() (string, error)
}

func (d watchedDisk) Revision(context.Context, *disk, Key) (string, error) { return d.revision() }

func TestPool_ReaderThatTheSubjectRefusesCausesNoRequest(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		refused := errors.New("not for you")
		_, _, err := n.GetIf(t.Context(), n.disk, key, MinRemaining, func(s *settings) error {
			if s.role != "role-orders-0" {
				t.Errorf("asked about %+v", s)
			}
			return refused
		})
		if !errors.Is(err, refused) || n.aws.count() != 0 {
			t.Errorf("got %v after %d requests, want the refusal and none", err, n.aws.count())
		}
	})
}

func TestPool_SubjectThatEndsBeforeItsSessionIsReadAgain(t *testing.T) {
	for name, test := range map[string]struct {
		drops int
		want  error
	}{"once": {1, nil}, "always": {1000, ErrUnsettled}} {
		t.Run(name, func(t *testing.T) {
			poolTest(t, func(t *testing.T, n *node) {
				key := Key{Name: n.writeMany(1)[0]}
				left := test.drops
				_, s, err := n.GetIf(t.Context(), n.disk, key, MinRemaining, func(*settings) error {
					if left--; left >= 0 {
						n.Drop(key.Name)
					}
					return nil
				})
				if !errors.Is(err, test.want) || (s.AccessKey == "ASIA1") != (err == nil) {
					t.Errorf("got %q, %v; want %v", s.AccessKey, err, test.want)
				}
			})
		})
	}
}

func TestPool_SubjectIsReadWithoutASession(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		for range 2 {
			if s, err := n.Subject(t.Context(), n.disk, key); err != nil || s.role != "role-orders-0" {
				t.Errorf("the subject is %+v, %v", s, err)
			}
		}
		if n.aws.count() != 0 || !n.InUse(key) {
			t.Errorf("%d requests, in use: %v", n.aws.count(), n.InUse(key))
		}
		if s, err := n.Subject(t.Context(), n.disk, Key{Name: "nothing"}); !errors.Is(err, errMissing) || s != nil {
			t.Errorf("of an unknown name: %+v, %v", s, err)
		}
		n.Close()
		if s, err := n.Subject(t.Context(), n.disk, Key{Name: "nothing"}); !errors.Is(err, ErrClosing) || s != nil {
			t.Errorf("of a closed pool: %+v, %v", s, err)
		}
	})
}

func TestPool_SummaryCountsTheSessionsThatLive(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		if sum := n.Summary(); sum != (Summary{}) {
			t.Errorf("of an empty pool: %+v", sum)
		}
		names := n.writeMany(3)
		n.read(names[0])
		first := n.clock.Now().Wall.Add(time.Hour)
		pass(30 * time.Minute)
		n.read(names[1])
		if _, err := n.Subject(t.Context(), n.disk, Key{Name: names[2]}); err != nil {
			t.Fatal(err)
		}
		for range 20 { // a map's order changes
			if sum := n.Summary(); sum.Live != 2 || !sum.FirstEnd.Equal(first) {
				t.Errorf("of two sessions and a name without: %+v, want the end at %s", sum, first)
			}
		}
		pass(30 * time.Minute)
		if sum := n.Summary(); sum.Live != 1 || !sum.FirstEnd.Equal(first.Add(30*time.Minute)) {
			t.Errorf("after the end of the first: %+v", sum)
		}
	})
}

func TestPool_StatusHasTheUptimeAtWhichTheSessionEnds(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		pass(time.Minute)
		requested := n.clock.Now().Uptime
		n.read(key.Name)
		pass(10 * time.Minute)
		n.clock.jump(-time.Hour)
		status, _ := n.Status(key)
		if end := status.Session.UptimeAtEnd(); end != requested+time.Hour {
			t.Errorf("the session ends at %s of uptime, want %s", end, requested+time.Hour)
		}
	})
}

func TestNew_PoolObtainsSessionsUnlessItIsConfiguredOtherwise(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.Close()
		n.Pool = New(Config[*settings, *disk]{Clock: n.clock.Now, Loader: n.disk, Store: store{n.disk}, Source: n.aws,
			Observer: n.seen})
		if g := n.read("orders-0"); g.key != "ASIA1" {
			t.Errorf("a reader got %+v", g)
		}
	})
}

func TestPool_PanicOfAComparisonLeavesReadersAlone(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.Loader = watchedDisk{n.disk, func() (string, error) { panic("CANARY") }}
		for range 2 { // the second shows that another comparison can run
			pass(time.Minute)
			if g := n.read("orders-0"); g.key != "ASIA1" {
				t.Errorf("a reader got %+v", g)
			}
		}
		synctest.Wait()
		if seen := n.seen.String(); strings.Count(seen, "unconfirmed orders-0 "+ErrDefect.Error()) != 2 ||
			!strings.Contains(seen, "subject_test.go") {
			t.Errorf("the observer was given\n%s", seen)
		}
	})
}

func TestPool_ChangeThatIsFoundAndReportedAtOnceIsOneDrop(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.Loader = watchedDisk{n.disk, func() (string, error) {
			n.Drop("orders-0")
			return "late", nil
		}}
		pass(time.Minute)
		n.read("orders-0")
		synctest.Wait()
		if seen := n.seen.String(); strings.Contains(seen, "dropped") {
			t.Errorf("the observer was given\n%s", seen)
		}
	})
}

func TestPool_OneComparisonOfANameRunsAtOnce(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.disk.set(func(d *disk) { d.hangs = "settings" })
		before := n.disk.uses()
		pass(55 * time.Second)
		for range 3 {
			if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 0 {
				t.Errorf("a reader got %+v, want the session at once", g)
			}
		}
		synctest.Wait()
		if trips := n.disk.uses() - before; trips != 1 {
			t.Errorf("%d comparisons run at once, want 1", trips)
		}
		pass(time.Minute)
		_, g := n.look(Key{Name: "orders-0"})
		now := n.clock.Now() // at which two readers find that a comparison is due
		first, second := n.beginConfirm(n.disk, "orders-0", g, now), n.beginConfirm(n.disk, "orders-0", g, now)
		synctest.Wait()
		if trips := n.disk.uses() - before; first == nil || first != second || trips != 2 {
			t.Errorf("two readers at once wait for %v and %v; %d comparisons, want one of them more", first, second,
				trips)
		}
	})
}

func TestGroup_RemovesNoOtherEntryOfAKey(t *testing.T) {
	t.Parallel()
	for _, key := range []Key{{Name: "orders"}, {Name: "orders", Scope: "/team"}} {
		kept, other := &entry[*settings, *disk]{key: key}, &entry[*settings, *disk]{key: key}
		g := &group[*settings, *disk]{}
		g.put(kept)
		g.remove(other)
		if g.entry(key) != kept || g.empty() {
			t.Errorf("%+v: another entry of the key was removed", key)
		}
		if g.remove(kept); !g.empty() {
			t.Errorf("%+v: the entry was not removed", key)
		}
	}
}
