package session

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPool_ConcurrentColdReadersCauseOneRequest(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		names := n.writeMany(50)
		for i, g := range n.readers(500, names[0])() {
			if g.err != nil || g.key != "ASIA1" {
				t.Fatalf("reader %d got %+v, want the one session", i, g)
			}
		}
		if c := n.aws.count(); c != 1 {
			t.Errorf("500 readers of one name caused %d requests, want 1", c)
		}
		for i, g := range n.readers(10, names[1:]...)() {
			if g.err != nil {
				t.Fatalf("reader %d: %v", i, g.err)
			}
		}
		if c := n.aws.count(); c != 50 {
			t.Errorf("50 names caused %d requests, want 50", c)
		}
	})
}

func TestPool_CancelledReaderLeavesAloneAndAtOnce(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })

		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan got, 1)
		go func() { first <- n.get(ctx, Key{Name: "orders-0"}, MinRemaining) }()
		synctest.Wait()
		others := n.readers(20, "orders-0")
		synctest.Wait()
		cancel() // the reader that began the request goes
		if g := <-first; !errors.Is(g.err, ErrGone) || g.took != 0 {
			t.Errorf("the cancelled reader got %+v, want %v at once", g, ErrGone)
		}
		pass(time.Second)
		close(gate)
		for _, g := range others() {
			if g.err != nil || g.key != "ASIA1" || g.took != time.Second {
				t.Errorf("another reader got %+v, want the session as soon as it came", g)
			}
		}
		if c := n.aws.count(); c != 1 {
			t.Errorf("%d requests, want 1", c)
		}
	})
}

func TestPool_RefreshesInTheLastThirdWhileReadersGetTheCurrentSession(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(3600*time.Second - 1241*time.Second)
		n.read("orders-0")
		synctest.Wait()
		if c := n.aws.count(); c != 1 {
			t.Fatalf("%d requests with 1241 s left, want 1", c)
		}
		gate := make(chan struct{})
		n.aws.set(func(s *service) { s.gate = gate })
		pass(time.Second)
		for _, g := range n.readers(100, "orders-0")() {
			if g.key != "ASIA1" || g.left != 1240*time.Second || g.took != 0 {
				t.Fatalf("a reader in the last third got %+v, want the current session at once", g)
			}
		}
		close(gate)
		synctest.Wait()
		if g := n.read("orders-0"); g.key != "ASIA2" || n.aws.count() != 2 {
			t.Errorf("after the refresh: %+v and %d requests, want the second session and 2", g, n.aws.count())
		}
	})
}

func TestPool_NobodyReadsNobodyRefreshes(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(24 * time.Hour)
		if c := n.aws.count(); c != 1 {
			t.Errorf("%d requests for a name that nobody reads, want 1", c)
		}
		if g := n.read("orders-0"); g.key != "ASIA2" || g.left != time.Hour {
			t.Errorf("a reader after a day got %+v, want a new session", g)
		}
	})
}

func TestPool_RefreshAheadRefreshesWhatIsInUseAndDue(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		key := Key{Name: n.writeMany(1)[0]}
		ahead := func(want int, when string) {
			t.Helper()
			n.RefreshAhead(n.disk, key)
			synctest.Wait()
			if c := n.aws.count(); c != want {
				t.Errorf("%s: %d requests, want %d", when, c, want)
			}
		}
		ahead(0, "nobody has read")
		n.read(key.Name)
		ahead(1, "the session is new")
		pass(45 * time.Minute)
		ahead(2, "in the last third")
	})
}

func TestPool_NeverHandsOutASessionUnderSixtySeconds(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		down := errors.New("the service is down")
		n.aws.set(func(s *service) { s.err = down })
		pass(3540 * time.Second)
		if g := n.read("orders-0"); g.key != "ASIA1" || g.left != time.Minute {
			t.Errorf("with 60 s left a reader got %+v, want the session", g)
		}
		pass(time.Second)
		if g := n.read("orders-0"); !errors.Is(g.err, down) {
			t.Errorf("with 59 s left a reader got %+v, want the service's error", g)
		}
	})
}

func TestPool_FailedRefreshKeepsServingAndBacksOff(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		n.aws.set(func(s *service) { s.err = errors.New("the service is down") })
		pass(3600*time.Second - 1240*time.Second)
		start := n.clock.Now().Uptime
		for range 300 { // a read each second for five minutes
			if g := n.read("orders-0"); g.key != "ASIA1" || g.took != 0 {
				t.Fatalf("a reader during the outage got %+v", g)
			}
			pass(time.Second)
		}
		assertCalls(t, n.aws.calls[1:], start, 0, 5, 15, 35, 75, 135, 195, 255)
		const first = "failed orders-0 the service is down live=true remaining=20m40s failures=1 retry=5s"
		if seen := n.seen.String(); !strings.Contains(seen, first) {
			t.Errorf("the observer was given\n%s", seen)
		}
		for i, r := range n.aws.requests[:3] {
			if want := []Reason{First, Refresh, Retry}[i]; r.Reason != want || r.Key != (Key{Name: "orders-0"}) {
				t.Errorf("request %d is of %+v for reason %d, want %d", i, r.Key, r.Reason, want)
			}
		}
		n.aws.set(func(s *service) { s.err = nil })
		pass(time.Minute)
		n.read("orders-0")
		synctest.Wait()
		if g := n.read("orders-0"); g.left != time.Hour {
			t.Errorf("after the outage a reader got %+v, want a new session", g)
		}
	})
}

// assertCalls compares the calls' uptimes with seconds after the start.
func assertCalls(t *testing.T, calls []time.Duration, start time.Duration, seconds ...time.Duration) {
	t.Helper()
	if len(calls) < len(seconds) {
		t.Fatalf("%d calls, want at least %d", len(calls), len(seconds))
	}
	for i, want := range seconds {
		if at := calls[i] - start; at != want*time.Second {
			t.Errorf("call %d at %s, want %s", i, at, want*time.Second)
		}
	}
}

// Without a live session the pauses grow as those of refreshes do, whatever the failure is: a thousand connections that
// are refused, or whose way is dead, must not use up what the others need.
func TestPool_FailureIsRepeatedWithoutARequestForLongerAndLonger(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(2)
		down := errors.New("down")
		n.aws.set(func(s *service) { s.err = down })
		start := n.clock.Now().Uptime
		for range 240 {
			for _, g := range n.readers(3, "orders-0")() {
				if !errors.Is(g.err, down) || g.took != 0 {
					t.Fatalf("a reader got %+v, want the failure at once", g)
				}
			}
			pass(time.Second)
		}
		assertCalls(t, n.aws.calls, start, 0, 5, 15, 35, 75, 135, 195)
		n.aws.set(func(s *service) { s.err = nil })
		if g := n.read("orders-1"); g.err != nil {
			t.Errorf("another name pauses too: %v", g.err)
		}
		n.Forgive(Key{Name: "orders-0"})
		if g := n.read("orders-0"); g.err != nil {
			t.Errorf("after a test has passed: %v", g.err)
		}
	})
}

func TestPool_FailedRefreshDoesNotPauseItsFirstReaderWithoutASession(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(3600*time.Second - 62*time.Second)
		n.aws.set(func(s *service) { s.err = errors.New("the service is down") })
		n.read("orders-0") // served, and its refresh fails
		pass(3 * time.Second)
		if g := n.read("orders-0"); g.err == nil || n.aws.count() != 3 {
			t.Errorf("with 59 s left and the service down: %+v after %d requests, want its error and a third", g,
				n.aws.count())
		}
		n.aws.set(func(s *service) { s.err = nil })
		if g := n.read("orders-0"); g.err == nil || n.aws.count() != 3 {
			t.Errorf("right after: %+v after %d requests, want the pause", g, n.aws.count())
		}
	})
}

// However long the refreshes have failed, whoever has no session any more waits for the first pause and not for the
// last.
func TestPool_PausesStartAnewWhenTheSessionEnds(t *testing.T) {
	poolTest(t, func(t *testing.T, n *node) {
		n.writeMany(1)
		n.read("orders-0")
		pass(45 * time.Minute)
		n.aws.set(func(s *service) { s.err = errors.New("the service is down") })
		for range 14 * 60 {
			pass(time.Second)
			n.read("orders-0")
		}
		before, end := n.aws.count(), n.clock.Now().Uptime
		for range 40 {
			pass(time.Second)
			n.read("orders-0")
		}
		assertCalls(t, n.aws.calls[before:], end, 1, 6, 16, 36)
	})
}
