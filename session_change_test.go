package s3conn

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// changes are the ways in which a connection's settings end.
var changes = map[string]func(m *mount){
	"write":  func(m *mount) { m.write("orders-0", with("role_arn", changedRole)) },
	"patch":  func(m *mount) { m.must(logical.PatchOperation, "config/orders-0", with("role_arn", changedRole)) },
	"delete": func(m *mount) { m.must(logical.DeleteOperation, "config/orders-0", nil) },
	"invalidate": func(m *mount) { // another node wrote
		conn, err := loadConnection(m.t.Context(), m.storage, "orders-0")
		if err != nil {
			m.t.Fatal(err)
		}
		conn.Revision, conn.RoleARN = connection.NewRevision(), changedRole
		if err := saveConnection(m.t.Context(), m.storage, "orders-0", conn); err != nil {
			m.t.Fatal(err)
		}
		m.InvalidateKey(m.t.Context(), "config/orders-0")
	},
}

const changedRole = "arn:aws:iam::" + testAccount + ":role/changed"

func TestSession_EndsWithItsSettings(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, aws *service) {
				m.writeConnections(1)
				m.readCreds(t.Context(), "orders-0")
				change(m)
				assertChanged(t, name, m.readCreds(t.Context(), "orders-0"), aws)
				if entry, _ := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); name == "delete" && entry != nil {
					t.Error("the deleted connection's session is still stored")
				}
			})
		})
	}
}

func TestSession_BeingFetchedEndsWithItsSettings(t *testing.T) {
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, aws *service) {
				m.writeConnections(1)
				gate := make(chan struct{})
				aws.set(func(s *service) { s.gate = gate })
				waiting := m.readers(20, "orders-0")
				synctest.Wait()
				aws.set(func(s *service) { s.gate = nil })
				change(m)
				for _, g := range waiting() {
					assertChanged(t, name, g, aws)
					if g.took != 0 {
						t.Errorf("a reader waited %s for a session that nobody wants any more", g.took)
					}
				}
				close(gate) // now the old fetch is answered
				synctest.Wait()
				assertChanged(t, name, m.readCreds(t.Context(), "orders-0"), aws)
				if entry, _ := m.storage.Get(t.Context(), sessionPrefix+"orders-0"); entry != nil &&
					!strings.Contains(string(entry.Value), changedRole) {
					t.Errorf("the outdated session was stored: %s", entry.Value)
				}
			})
		})
	}
}

func assertChanged(t *testing.T, change string, g got, aws *service) {
	t.Helper()
	if change == "delete" {
		if g.err == nil || !strings.Contains(g.err.Error(), "there is no connection") {
			t.Errorf("a reader of the deleted connection got %+v", g)
		}
		return
	}
	if g.err != nil || g.accessKey != "ASIA2" || aws.roles[changedRole] != 1 {
		t.Errorf("a reader got %+v (roles %v), want one session of the new settings", g, aws.roles)
	}
}

func TestSession_SameNameOnTwoMountsIsTwoSessions(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		other := &mount{t: t, storage: &brokenStorage{Storage: &logical.InmemStorage{}}, log: m.log,
			source: aws.createSession}
		other.start()
		defer other.Cleanup(t.Context())
		for i, one := range []*mount{m, other} {
			one.writeConnections(1)
			if g := one.readCreds(t.Context(), "orders-0"); g.accessKey != []string{"ASIA1", "ASIA2"}[i] {
				t.Errorf("mount %d got %+v", i, g)
			}
		}
		other.must(logical.DeleteOperation, "config/orders-0", nil)
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" {
			t.Errorf("deleting on one mount touched the other: %+v", g)
		}
	})
}

func TestSession_OutlivesThePlugin(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		for range 3 {
			pass(time.Minute)
			m.Cleanup(t.Context())
			m.start()
			if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA1" {
				t.Errorf("after a restart a reader got %+v, want the stored session", g)
			}
		}
		if n := aws.count(); n != 1 {
			t.Errorf("%d calls over three restarts, want 1", n)
		}
	})
}

func TestSession_WrittenOnAnotherNodeIsTakenOver(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		other := &mount{t: t, storage: m.storage, log: m.log, source: aws.createSession}
		other.start()
		defer other.Cleanup(t.Context())
		pass(3000 * time.Second) // the other node refreshes
		other.readCreds(t.Context(), "orders-0")
		synctest.Wait()
		m.InvalidateKey(t.Context(), "session/orders-0")
		if g := m.readCreds(t.Context(), "orders-0"); g.accessKey != "ASIA2" || aws.count() != 2 {
			t.Errorf("got %+v after %d calls, want the other node's session and 2 calls", g, aws.count())
		}
	})
}

func TestSession_StoredOneThatIsNotUsableIsAMiss(t *testing.T) {
	good := func(m *mount) string {
		entry, err := m.storage.Get(m.t.Context(), sessionPrefix+"orders-0")
		if err != nil || entry == nil {
			m.t.Fatalf("no stored session: %v", err)
		}
		return string(entry.Value)
	}
	for name, damage := range map[string]func(m *mount, stored string) string{
		"not JSON": func(*mount, string) string { return "CANARY{" },
		"empty":    func(*mount, string) string { return "" },
		"another version": func(_ *mount, s string) string {
			return strings.Replace(s, `"version":1`, `"version":2`,
				1)
		},
		"another revision": func(_ *mount, s string) string {
			return strings.Replace(s, `"revision":"`, `"revision":"X`,
				1)
		},
		"no access key": func(_ *mount, s string) string { return strings.Replace(s, `"ASIA1"`, `""`, 1) },
		"no token": func(_ *mount, s string) string {
			return strings.Replace(s, `"session_token":"token`,
				`"x":"`, 1)
		},
		"expired": func(_ *mount, s string) string {
			pass(2 * time.Hour)
			return s
		},
		"absurd expiration": func(_ *mount, s string) string {
			return strings.Replace(s, `"expiration":"2026`, `"expiration":"2036`, 1)
		},
		"no dates": func(_ *mount, s string) string {
			return strings.Replace(strings.Replace(s, `"expiration"`, `"a"`, 1), `"issued"`, `"b"`, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, aws *service) {
				m.writeConnections(1)
				m.readCreds(t.Context(), "orders-0")
				before := good(m)
				after := damage(m, before)
				if after == before && name != "expired" {
					t.Fatalf("the entry was not changed: %s", before)
				}
				if err := m.storage.Put(t.Context(),
					&logical.StorageEntry{Key: sessionPrefix + "orders-0", Value: []byte(after)}); err != nil {
					t.Fatal(err)
				}
				m.Cleanup(t.Context())
				m.start()
				if g := m.readCreds(t.Context(), "orders-0"); g.err != nil || g.accessKey != "ASIA2" {
					t.Errorf("a reader got %+v, want a new session", g)
				}
				if !strings.Contains(good(m), "ASIA2") {
					t.Error("the new session was not stored")
				}
			})
		})
	}
}

func TestSession_StorageThatFailsOrHangsDoesNotFailAReader(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		names := m.writeConnections(3)
		m.storage.breakOn(logical.ErrReadOnly, "put")
		if g := m.readCreds(t.Context(), names[0]); g.err != nil {
			t.Errorf("on a read-only node: %v", g.err)
		}
		if g := m.readCreds(t.Context(), names[0]); g.accessKey != "ASIA1" || aws.count() != 1 {
			t.Errorf("the session is not kept in memory: %+v after %d calls", g, aws.count())
		}
		if !strings.Contains(m.log.String(), logical.ErrReadOnly.Error()) {
			t.Error("the log does not say why the session was not stored")
		}
		m.storage.breakOn(nil)
		m.storage.hangOn(sessionPrefix)
		g := m.readCreds(t.Context(), names[1])
		if g.err != nil || g.took > 2*session.StorageWait {
			t.Errorf("with storage that hangs: %+v, want a session within %s", g, 2*session.StorageWait)
		}
	})
}

func TestSession_StoredUnderItsOwnKeys(t *testing.T) {
	t.Parallel()
	if configPrefix != "config/" || sessionPrefix != "session/" {
		t.Errorf("connections are stored under %q and sessions under %q; others would lose what is stored",
			configPrefix, sessionPrefix)
	}
}

// A write that lands after its caller has gone is found by the comparison with storage.
func TestSession_OfAConnectionThatIsGoneIsDiscarded(t *testing.T) {
	for name, hinder := range map[string]func(m *mount){
		"at once":                         func(*mount) {},
		"with storage that cannot delete": func(m *mount) { m.storage.breakOn(errStorage, "delete") },
		"while a write takes long":        func(m *mount) { m.locks.of("orders-0") <- struct{}{} },
	} {
		t.Run(name, func(t *testing.T) {
			sessionTest(t, func(t *testing.T, m *mount, _ *service) {
				m.writeConnections(1)
				m.readCreds(t.Context(), "orders-0")
				if err := m.storage.Storage.Delete(t.Context(), configPrefix+"orders-0"); err != nil {
					t.Fatal(err)
				}
				hinder(m)
				pass(time.Minute)
				g := m.readCreds(t.Context(), "orders-0")
				if g.err == nil || !strings.Contains(g.err.Error(), "there is no connection") {
					t.Errorf("a minute after the delete a reader got %+v", g)
				}
				pass(time.Minute)
				entry, _ := m.storage.Get(t.Context(), sessionPrefix+"orders-0")
				if (entry == nil) != (name == "at once") {
					t.Errorf("the session is stored: %v", entry != nil)
				}
				const line = "deleting the stored session of a connection that is gone"
				if logged := strings.Contains(m.log.String(), line); logged != strings.Contains(name, "cannot delete") {
					t.Errorf("the log says that the session cannot be deleted: %v", logged)
				}
			})
		})
	}
}
