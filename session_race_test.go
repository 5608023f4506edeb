package s3conn

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/helper/locksutil"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func TestLiveConnections_SettingsReadBeforeADropAreNotKept(t *testing.T) {
	t.Parallel()
	c := newLiveConnections()
	drops := c.dropsOf("orders")
	c.drop("orders")
	if kept := c.keep(&liveConnection{name: "orders"}, drops); kept != nil {
		t.Errorf("outdated settings were kept: %+v", kept)
	}
	drops = c.dropsOf("orders")
	fresh := &liveConnection{name: "orders"}
	if kept := c.keep(fresh, drops); kept != fresh {
		t.Errorf("settings that nothing changed were not kept: %+v", kept)
	}
	if kept := c.keep(&liveConnection{name: "orders"}, drops); kept != fresh {
		t.Errorf("a second reader's copy replaced the first: %+v", kept)
	}
}

func TestSession_SettingsThatChangeWhileTheyAreReadAreReadAgain(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		conn, err := loadConnection(t.Context(), m.storage, "orders-0")
		if err != nil {
			t.Fatal(err)
		}
		var changed atomic.Bool
		m.storage.afterGet = func(key string) {
			if key != "config/orders-0" || !changed.CompareAndSwap(false, true) {
				return
			}
			next := *conn
			next.revision, next.RoleARN = newRevision(), changedRole
			if err := saveConnection(t.Context(), m.storage, "orders-0", &next); err != nil {
				t.Error(err)
			}
			m.InvalidateKey(t.Context(), key)
		}
		resp := m.read("creds/orders-0")
		if resp.Data["arn"] != changedRole || aws.count() != 1 {
			t.Errorf("the reader got a session of %v after %d calls, want one of the new settings", resp.Data["arn"], aws.count())
		}
	})
}

func TestSession_SettingsThatNeverSettleAreATemporaryError(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.storage.afterGet = func(key string) { m.InvalidateKey(t.Context(), key) }
		resp, err := m.do(t.Context(), logical.ReadOperation, "creds/orders-0", nil)
		if status, text := asVaultSeesIt(t, resp, err); status != http.StatusServiceUnavailable || text != errUnsettled.Error() {
			t.Errorf("answered with %d, %q", status, text)
		}
		if aws.count() != 0 {
			t.Errorf("%d sessions were bought with outdated settings", aws.count())
		}
	})
}

// AWS may answer a call after the connection was deleted, and the session must not be stored then: nothing would ever
// remove it.
func TestSession_AnsweredAfterTheDropIsNotStored(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, aws *service) {
				m.storage.Storage = deafStorage{m.storage.Storage}
				m.writeConnections(1)
				gate := make(chan struct{})
				aws.set(func(s *service) { s.gate, s.deaf = gate, true })
				waiting := m.readers(1, "orders-0")
				synctest.Wait()
				aws.set(func(s *service) { s.err = errors.New("down") }) // so that nothing else is stored
				change(m)
				close(gate)
				waiting()
				synctest.Wait()
				if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); err != nil || entry != nil {
					t.Errorf("an outdated session was stored: %s (%v)", entry.Value, err)
				}
			})
		})
	}
}

// deafStorage stores also when the caller has gone: a write may be on its way by then.
type deafStorage struct{ logical.Storage }

func (s deafStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	return s.Storage.Put(context.WithoutCancel(ctx), entry)
}

// hangingUp is a storage whose caller goes as soon as the connection is deleted or replaced.
type hangingUp struct {
	logical.Storage
	hangUp context.CancelFunc
}

func (s hangingUp) Delete(ctx context.Context, key string) error {
	err := s.Storage.Delete(ctx, key)
	if key == configPrefix+"orders-0" {
		s.hangUp()
	}
	return err
}

func TestSession_OfADeletedConnectionGoesAlsoWhenTheCallerHasHungUp(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		ctx, cancel := context.WithCancel(t.Context())
		m.storage.Storage = hangingUp{m.storage.Storage, cancel}
		if _, err := m.do(ctx, logical.DeleteOperation, "config/orders-0", nil); err != nil {
			t.Errorf("deleting: %v", err)
		}
		if entry, err := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); err != nil || entry != nil {
			t.Errorf("the deleted connection's session is still stored (%v)", err)
		}
	})
}

// Between the look at the connection and the store, a write or delete must not come: it removes the stored session.
func TestSession_IsStoredUnderTheNamesLock(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		stored := 0
		m.storage.beforePut = func(key string) {
			if key != sessionPrefix+"orders-0" {
				return
			}
			stored++
			if lock := locksutil.LockForKey(m.locks, "orders-0"); lock.TryLock() {
				lock.Unlock()
				t.Error("a write or delete could come between")
			}
		}
		m.readCreds(t.Context(), "orders-0")
		if stored != 1 {
			t.Errorf("the session was stored %d times, want once", stored)
		}
	})
}

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
			reader.err.Error() != busy().Error() || reader.took != 12*time.Second {
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
		_, creds, err := m.credentialsFor(t.Context(), m.storage, "orders-0", sdkWant)
		if err != nil || creds.accessKey != "ASIA1" || time.Since(start) != 1500*time.Millisecond {
			t.Errorf("while the service hangs, the reader got %s, %v after %s; want the session that lives after 1.5s", creds.accessKey, err, time.Since(start))
		}
		close(gate)
		synctest.Wait()
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
		m.source = func(ctx context.Context, _ *connection) (session, error) {
			<-ctx.Done() // no turn comes
			return session{}, busy()
		}
		m.start()
		m.writeConnections(1)
		start := time.Now()
		resp, err := m.do(t.Context(), logical.UpdateOperation, "test/orders-0", nil)
		if status, text := asVaultSeesIt(t, resp, err); status != http.StatusServiceUnavailable || text != busy().Error() || time.Since(start) != 14*time.Second {
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
			if coded, ok := g.err.(logical.HTTPCodedError); !ok || coded.Code() != http.StatusServiceUnavailable || g.err.Error() != errClosing.Error() {
				t.Errorf("a reader of the closed mount got %+v, want %v", g, errClosing)
			}
		}
	})
}

func TestNewSession_RefusesOneThatIsTooShort(t *testing.T) {
	t.Parallel()
	for left, accepted := range map[time.Duration]bool{time.Hour: true, 60 * time.Second: true, 60*time.Second - 1: false, 59 * time.Second: false, -time.Hour: false} {
		out := &rolesanywhere.CreateSessionOutput{AssumedRoleARN: "arn"}
		out.Credentials.AccessKeyID, out.Credentials.SecretAccessKey, out.Credentials.SessionToken = "ASIA", "CANARY", "CANARY"
		out.Credentials.Expires = testTime.Add(left)
		s, err := newSession(out, testTime)
		if accepted {
			if err != nil || s.accessKey != "ASIA" || s.arn != "arn" || !s.issued.Equal(testTime) || !s.expiration.Equal(testTime.Add(left)) {
				t.Errorf("a session with %s left: %+v, %v", left, s, err)
			}
			continue
		}
		var failed *upstreamError
		if !errors.Is(err, errShortSession) || !errors.As(err, &failed) || failed.status != http.StatusBadGateway {
			t.Errorf("a session with %s left is accepted: %v", left, err)
		}
		if s != (session{}) {
			t.Errorf("the refused session is returned: %+v", s)
		}
	}
}

func TestNewSession_RefusesOneLongerThanAWSSells(t *testing.T) {
	t.Parallel()
	out := &rolesanywhere.CreateSessionOutput{}
	for left, accepted := range map[time.Duration]bool{12 * time.Hour: true, 12*time.Hour + 5*time.Minute: true, 13 * time.Hour: false, 600000 * time.Hour: false} {
		out.Credentials.Expires = testTime.Add(left)
		if _, err := newSession(out, testTime); (err == nil) != accepted || err != nil && !errors.Is(err, errLongSession) {
			t.Errorf("a session with %s left: %v", left, err)
		}
	}
}

func TestSession_StoredUnderItsOwnKeys(t *testing.T) {
	t.Parallel()
	if configPrefix != "config/" || sessionPrefix != "session/" {
		t.Errorf("connections are stored under %q and sessions under %q; others would lose what is stored", configPrefix, sessionPrefix)
	}
}
