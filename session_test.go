package s3conn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

func TestSession_ConcurrentColdReadersCauseOneCall(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		names := m.writeConnections(50)
		for i, g := range m.readers(500, names[0])() {
			if g.err != nil || g.accessKey != "ASIA1" {
				t.Fatalf("reader %d got %+v, want the one session", i, g)
			}
		}
		if n := aws.count(); n != 1 {
			t.Errorf("500 readers of one connection caused %d calls, want 1", n)
		}
		for i, g := range m.readers(10, names[1:]...)() {
			if g.err != nil {
				t.Fatalf("reader %d: %v", i, g.err)
			}
		}
		if n := aws.count(); n != 50 {
			t.Errorf("50 connections caused %d calls, want 50", n)
		}
		for role, n := range aws.roles {
			if n != 1 {
				t.Errorf("%s was assumed %d times", role, n)
			}
		}
	})
}

func TestSession_CancelledReaderLeavesAloneAndAtOnce(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })

		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan got, 1)
		go func() { first <- m.readCreds(ctx, "orders-0") }()
		synctest.Wait()
		others := m.readers(20, "orders-0")
		synctest.Wait()
		cancel() // the reader that began the fetch goes
		if g := <-first; g.err == nil || g.err.Error() != session.ErrGone.Error() || g.took != 0 {
			t.Errorf("the cancelled reader got %+v, want %v at once", g, session.ErrGone)
		}
		pass(time.Second)
		close(gate)
		for _, g := range others() {
			if g.err != nil || g.accessKey != "ASIA1" || g.took != time.Second {
				t.Errorf("another reader got %+v, want the session as soon as it came", g)
			}
		}
		if n := aws.count(); n != 1 {
			t.Errorf("%d calls, want 1", n)
		}
	})
}

func TestSession_IsRefreshedInItsLastThirdWhileReadersGetTheCurrentOne(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(3600*time.Second - 1241*time.Second)
		m.readCreds(t.Context(), "orders-0")
		synctest.Wait()
		if n := aws.count(); n != 1 {
			t.Fatalf("%d calls with 1241 s left, want 1", n)
		}
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		pass(time.Second)
		for _, g := range m.readers(100, "orders-0")() {
			if g.accessKey != "ASIA1" || g.ttl != 1240 || g.took != 0 {
				t.Fatalf("a reader in the last third got %+v, want the current session at once", g)
			}
		}
		close(gate)
		synctest.Wait()
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA2" || aws.count() != 2 {
			t.Errorf("after the refresh: %+v and %d calls, want the second session and 2", g, aws.count())
		}
	})
}

func TestSession_NobodyReadsNobodyRefreshes(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(24 * time.Hour)
		if n := aws.count(); n != 1 {
			t.Errorf("%d calls for a connection that nobody reads, want 1", n)
		}
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA2" || g.ttl != 3600 {
			t.Errorf("a reader after a day got %+v, want a new session", g)
		}
	})
}

func TestSession_NeverHandedOutUnderSixtySeconds(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		aws.set(func(s *service) { s.err = upstream.Describe(source.CreateSession, context.DeadlineExceeded) })
		pass(3540 * time.Second)
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || g.ttl != 60 {
			t.Errorf("with 60 s left a reader got %+v, want the session", g)
		}
		pass(time.Second)
		if g := m.readCreds(t.Context(), "orders-0"); g.err == nil ||
			!strings.Contains(g.err.Error(), "did not answer") {
			t.Errorf("with 59 s left a reader got %+v, want the service's error", g)
		}
	})
}

func TestSession_FailedRefreshKeepsServingAndBacksOff(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		aws.set(func(s *service) { s.err = errors.New("the service is down") })
		pass(3600*time.Second - 1240*time.Second)
		start := bubbleNow()
		for range 300 { // a read each second for five minutes
			if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || g.took != 0 {
				t.Fatalf("a reader during the outage got %+v", g)
			}
			pass(time.Second)
		}
		var at []time.Duration
		for _, call := range aws.calls[1:] {
			at = append(at, call.Sub(start))
		}
		want := []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second, 75 * time.Second,
			135 * time.Second, 195 * time.Second, 255 * time.Second}
		if len(at) != len(want) {
			t.Fatalf("attempts at %v, want %v", at, want)
		}
		for i := range at {
			if at[i] != want[i] {
				t.Errorf("attempt %d at %s, want %s", i, at[i], want[i])
			}
		}
		if log := m.log.String(); !strings.Contains(log, "the service is down") || !strings.Contains(log, "remaining") {
			t.Errorf("the log does not show the failing refresh:\n%s", log)
		}
		aws.set(func(s *service) { s.err = nil })
		pass(time.Minute)
		m.readCreds(t.Context(), "orders-0")
		synctest.Wait()
		if g := m.readCreds(t.Context(), "orders-0"); g.ttl != 3600 {
			t.Errorf("after the outage a reader got %+v, want a new session", g)
		}
	})
}

func TestSession_RefusalIsRepeatedWithoutACallForAWhile(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(2)
		refusal := failedCall(400, "AccessDeniedException: no")
		aws.set(func(s *service) { s.err = refusal })
		for range 10 {
			for _, g := range m.readers(10, "orders-0")() {
				if g.err == nil || g.err.Error() != refusal.Error() {
					t.Fatalf("a reader got %+v, want the refusal", g)
				}
			}
			pass(400 * time.Millisecond)
		}
		if n := aws.count(); n != 1 {
			t.Errorf("100 reads within 4 s of a refusal caused %d calls, want 1", n)
		}
		aws.set(func(s *service) { s.err = nil })
		if g := m.readCreds(t.Context(), "orders-1"); g.err != nil {
			t.Errorf("another connection is cooled down too: %v", g.err)
		}
		pass(firstPause)
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil {
			t.Errorf("after the cool-down: %v", g.err)
		}
	})
}

func TestSession_FailedRefreshDoesNotCoolDownItsFirstReaderWithoutASession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(3600*time.Second - 62*time.Second)
		aws.set(func(s *service) { s.err = errors.New("the service is down") })
		m.readCreds(t.Context(), "orders-0") // served, and its refresh fails
		pass(3 * time.Second)
		if g := m.readCreds(t.Context(), "orders-0"); g.err == nil || aws.count() != 3 {
			t.Errorf("with 59 s left and the service down: %+v after %d calls, want its error and a third call", g,
				aws.count())
		}
		aws.set(func(s *service) { s.err = nil })
		if g := m.readCreds(t.Context(), "orders-0"); g.err == nil || aws.count() != 3 {
			t.Errorf("right after: %+v after %d calls, want the cool-down", g, aws.count())
		}

		pass(firstPause)
		m.readCreds(t.Context(), "orders-0")
		pass(3600*time.Second - 62*time.Second)
		aws.set(func(s *service) { s.err = errors.New("the service is down") })
		m.readCreds(t.Context(), "orders-0")
		aws.set(func(s *service) { s.err = nil })
		pass(3 * time.Second)
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil {
			t.Errorf("the service is back before anybody went without: %v", g.err)
		}
	})
}

func TestSession_WriteEndsTheCoolDown(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = errors.New("refused") })
		m.readCreds(t.Context(), "orders-0")
		aws.set(func(s *service) { s.err = nil })
		m.write("orders-0", with("duration", 1200))
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil {
			t.Errorf("after the connection was mended: %v", g.err)
		}
	})
}

func TestSession_PanicOfAFetchIsItsReadersErrorAlone(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.panics = true })
		if g := m.readCreds(t.Context(), "orders-0"); !errors.Is(g.err, session.ErrDefect) {
			t.Errorf("a reader of a fetch that panicked got %+v", g)
		}
		aws.set(func(s *service) { s.panics = false })
		pass(firstPause)
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil {
			t.Errorf("the next fetch: %v", g.err)
		}
	})
}

func TestSession_ReaderThatWantsMoreLifeWaitsForTheNextSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		const want = 15 * time.Minute
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(time.Hour - want + time.Second)
		_, _, creds, err := m.credentialsFor(t.Context(), m.readerOf("orders-0"), want)
		if err != nil || creds.AccessKey != "ASIA2" {
			t.Errorf("with 899 s left got %s, %v; want the next session", creds.AccessKey, err)
		}
		pass(time.Hour - want + time.Second)
		aws.set(func(s *service) { s.err = errors.New("down") })
		_, _, creds, err = m.credentialsFor(t.Context(), m.readerOf("orders-0"), want)
		if err != nil || creds.AccessKey != "ASIA2" {
			t.Errorf("while the service is down got %s, %v; want the session that still lives", creds.AccessKey, err)
		}
	})
}

func TestSession_AccessKeysCauseNoCall(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.write("reports", accessKeyFields())
		resp := m.must(logical.ReadOperation, "creds/reports", nil)
		if resp.Secret != nil || resp.Data["session_token"] != "" || resp.Data["secret_key"] != "sEcReT/key+1" ||
			aws.count() != 0 {
			t.Errorf("access keys came back as %+v after %d calls", resp, aws.count())
		}
	})
}
