package s3conn

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
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

func TestSession_LockThatIsHeldCostsAReaderTwoSeconds(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		lock := m.locks.of("orders-0")
		lock <- struct{}{}
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || g.took != 2*time.Second {
			t.Errorf("a reader got %+v, want a session after 2s", g)
		}
		<-lock
		if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); entry != nil || err != nil {
			t.Errorf("stored without the lock: %v, %v", entry, err)
		}
		if !strings.Contains(m.log.String(), "serves from memory") {
			t.Error("the log does not say why the session was not stored")
		}
	})
}

func TestSession_LockThatComesInTimeIsWaitedFor(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		lock := m.locks.of("orders-0")
		lock <- struct{}{}
		time.AfterFunc(session.StorageWait-100*time.Millisecond, func() { <-lock })
		m.readCreds(t.Context(), "orders-0")
		if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); entry == nil || err != nil {
			t.Errorf("not stored: %v", err)
		}
	})
}

func TestSession_StorageThatHangsCostsAReaderTwoSecondsEachWay(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.storage.hangOn(sessionPrefix)
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || g.took != 4*time.Second {
			t.Errorf("a reader got %+v, want a session after 2s for reading and 2s for storing", g)
		}
	})
}

func TestTestConnection_WaitsFourteenSecondsForItsSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.source = func(ctx context.Context, _ *connection.Connection, _ budget.Lane) (session.Session, error) {
			<-ctx.Done() // no turn comes
			return session.Session{}, session.ErrPending
		}
		m.start()
		m.writeConnections(1)
		start := time.Now()
		resp, err := m.do(t.Context(), logical.UpdateOperation, "test/orders-0", nil)
		took := time.Since(start)
		status, text := asVaultSeesIt(t, resp, err)
		if status != http.StatusServiceUnavailable || text != session.ErrPending.Error() || took != 14*time.Second {
			t.Errorf("answered with %d, %q after %s; want a 503 after 14s", status, text, time.Since(start))
		}
	})
}

func TestBackend_CleanEndsFetchesAndTheirReaders(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		names := m.writeConnections(3)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		waiting := m.readers(5, names...)
		synctest.Wait()
		m.Cleanup(t.Context())
		synctest.Wait() // no time passes
		close(gate)     // what has not ended by now would succeed
		for _, g := range waiting() {
			coded, ok := g.err.(logical.HTTPCodedError)
			if !ok || coded.Code() != http.StatusServiceUnavailable || g.err.Error() != session.ErrClosing.Error() {
				t.Errorf("a reader of the closed mount got %+v, want %v", g, session.ErrClosing)
			}
		}
	})
}

func TestSession_RequestsWaitInTheLaneOfTheirReason(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		var lanes []budget.Lane
		m.source = func(ctx context.Context, conn *connection.Connection, lane budget.Lane) (session.Session, error) {
			lanes = append(lanes, lane)
			return aws.createSession(ctx, conn, lane)
		}
		m.start()
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(50 * time.Minute)
		aws.set(func(s *service) { s.err = errors.New("down") })
		m.readCreds(t.Context(), "orders-0") // in the last third
		pass(time.Minute)
		m.readCreds(t.Context(), "orders-0")
		pass(time.Second)
		if want := []budget.Lane{budget.First, budget.Refresh, budget.Retry}; !slices.Equal(lanes, want) {
			t.Errorf("the lanes are %v, want %v", lanes, want)
		}
	})
}
