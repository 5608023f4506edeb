package s3conn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

func TestSession_ReaderWaitsTwelveSecondsAndTheFetchGoesOn(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate, s.deaf = gate, true })
		start := time.Now()
		var reader got
		done := make(chan struct{})
		go func() { defer close(done); reader = m.readCreds(t.Context(), "orders-0") }()
		pass(12 * time.Second)
		select {
		case <-done:
		default:
			close(gate)
			t.Fatalf("a reader still waits after %s", time.Since(start))
		}
		if coded, ok := reader.err.(logical.HTTPCodedError); !ok || coded.Code() != http.StatusServiceUnavailable ||
			reader.err.Error() != session.ErrPending.Error() || reader.took != 12*time.Second {
			t.Errorf("the reader got %+v, want a 503 after 12s", reader)
		}
		close(gate)
		synctest.Wait()
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" || aws.count() != 1 {
			t.Errorf("the next reader got %+v after %d calls, want the fetch's session and 1", g, aws.count())
		}
	})
}

func TestSession_WishForMoreLifeWaitsAMomentAlone(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(time.Hour - 10*time.Minute)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		start := time.Now()
		_, _, creds, err := m.credentialsFor(t.Context(), m.readerOf("orders-0"), sdkWant)
		if err != nil || creds.AccessKey != "ASIA1" || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("while the service hangs, the reader got %s, %v after %s; want the session that lives after 1.5s",
				creds.AccessKey, err, time.Since(start))
		}
		close(gate)
		synctest.Wait()
	})
}

// What a restarted plugin finds in storage lives, and a client that gives up after two seconds needs it.
func TestSession_WishForMoreLifeWaitsAMomentAloneAfterARestart(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(time.Hour - 10*time.Minute)
		m.Cleanup(t.Context())
		m.start()
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		start := time.Now()
		_, _, creds, err := m.credentialsFor(t.Context(), m.readerOf("orders-0"), sdkWant)
		if err != nil || creds.AccessKey != "ASIA1" || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("while the service hangs, the reader got %s, %v after %s; want the stored session after 1.5s",
				creds.AccessKey, err, time.Since(start))
		}
		close(gate)
		synctest.Wait()
	})
}

func TestSession_WishForMoreLifeWaitsOnWhenTheLifeEnds(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(time.Hour - session.MinRemaining - time.Second) // a second more counts as alive
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		time.AfterFunc(5*time.Second, func() { close(gate) })
		start := time.Now()
		_, _, creds, err := m.credentialsFor(t.Context(), m.readerOf("orders-0"), sdkWant)
		if err != nil || creds.AccessKey != "ASIA2" || time.Since(start) != 5*time.Second {
			t.Errorf("the reader got %s, %v after %s; want the next session after 5s",
				creds.AccessKey, err, time.Since(start))
		}
	})
}

func TestSession_ReaderWaitsTwelveSecondsHoweverOftenTheSettingsChange(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		gate := make(chan struct{})
		aws.set(func(s *service) { s.gate = gate })
		wait := m.readers(1, "orders-0")
		for range 2 {
			time.Sleep(5 * time.Second)
			m.writeConnections(1)
		}
		if g := wait()[0]; g.err == nil || g.err.Error() != session.ErrPending.Error() || g.took != 12*time.Second {
			t.Errorf("the reader got %+v, want a 503 after 12s", g)
		}
		close(gate)
		synctest.Wait()
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

func TestConfigWrite_VerifiesUntilItsTimeIsOverAndNoLonger(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.source = func(ctx context.Context, _ *connection.Connection, _ budget.Lane) (session.Session, error) {
			<-ctx.Done() // no turn comes
			return session.Session{}, session.ErrPending
		}
		m.start()
		start := time.Now()
		req := &logical.Request{Data: rolesAnywhereFields(t, with("verify_connection", true))}
		ctx := m.decodeRequest(t.Context(), req)
		_, _, err := m.prepareConnection(ctx, req, "orders", nil, start.Add(5*time.Second))
		if err == nil || time.Since(start) != 5*time.Second {
			t.Errorf("verifying ended after %s with %v, want 5s", time.Since(start), err)
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

func TestSession_RefusalCoolsDownForFiveSeconds(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = errors.New("refused") })
		m.readCreds(t.Context(), "orders-0")
		pass(5*time.Second - time.Millisecond)
		m.readCreds(t.Context(), "orders-0")
		if n := aws.count(); n != 1 {
			t.Errorf("%d calls within 5s of a refusal, want 1", n)
		}
		pass(time.Millisecond)
		m.readCreds(t.Context(), "orders-0")
		if n := aws.count(); n != 2 {
			t.Errorf("%d calls after 5s, want 2", n)
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

func TestSession_RefusalsCoolDownForLongerAndLonger(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) {
			s.err = failedCall(http.StatusBadRequest, "refused")
		})
		for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); pass(time.Second) {
			m.readCreds(t.Context(), "orders-0")
		}
		var pauses []time.Duration
		for i := 1; i < len(aws.calls); i++ {
			pauses = append(pauses, aws.calls[i].Sub(aws.calls[i-1]))
		}
		for i, want := range []time.Duration{5, 10, 20, 40, 60, 60, 60} {
			if pauses[i] != want*time.Second {
				t.Fatalf("the pauses between calls are %s, want 5s, 10s, 20s, 40s and then 60s", pauses)
			}
		}
	})
}

func TestSession_OutagesCoolDownForLongerAndLonger(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = failedCall(http.StatusBadGateway, "down") })
		for end := time.Now().Add(time.Minute); time.Now().Before(end); pass(time.Second) {
			m.readCreds(t.Context(), "orders-0")
		}
		if n := aws.count(); n != 4 {
			t.Errorf("%d calls in a minute's outage, want them after 0s, 5s, 15s and 35s", n)
		}
	})
}
