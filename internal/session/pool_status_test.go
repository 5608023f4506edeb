package session

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPool_PanicOfARequestIsItsReadersErrorAlone(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.aws.set(func(s *service) { s.panics = true })
		if g := n.read("orders-0"); !errors.Is(g.err, ErrDefect) {
			t.Errorf("a reader of a request that panicked got %+v", g)
		}
		if !strings.Contains(n.seen.String(), "helpers_test.go") {
			t.Errorf("the observer was not given the place:\n%s", n.seen)
		}
		n.aws.set(func(s *service) { s.panics = false })
		pass(firstPause)
		if g := n.read("orders-0"); g.err != nil {
			t.Errorf("the next request: %v", g.err)
		}
	})
}

func TestPool_PermanentSubjectCausesNoRequest(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.disk.set(func(d *disk) {
			d.settings[Key{Name: "reports"}] = settings{revision: "1", role: "keys", permanent: true}
		})
		if g := n.read("reports"); g.err != nil || g.role != "keys" || g.key != "" || n.aws.count() != 0 {
			t.Errorf("got %+v after %d requests, want the subject and none", g, n.aws.count())
		}
		if g := n.read("nothing"); !errors.Is(g.err, errMissing) {
			t.Errorf("an unknown name got %+v", g)
		}
		if n.InUse(Key{Name: "nothing"}) || !n.InUse(Key{Name: "reports"}) {
			t.Error("the unknown name is in use, or the other is not")
		}
	})
}

func TestPool_StatusShowsSessionAndFailures(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		if _, found := n.Status(key); found {
			t.Error("a name that nobody has read is in use")
		}
		n.read(key.Name)
		pass(50 * time.Minute)
		n.aws.set(func(s *service) { s.err = errStorage })
		n.read(key.Name)
		pass(time.Second)
		got, found := n.Status(key)
		if !found || got.Session.AccessKey != "ASIA1" || got.Remaining != 10*time.Minute-time.Second ||
			got.Failures != 1 ||
			!errors.Is(got.Err, errStorage) || got.NextTry != firstPause-time.Second {
			t.Errorf("the status is %+v, %v", got, found)
		}
	})
}
