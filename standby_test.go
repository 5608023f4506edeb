package s3conn

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// readOnlyStorage is a standby's: it refuses writes, and counts those that were tried.
type readOnlyStorage struct {
	logical.Storage
	writes atomic.Int64
}

func (s *readOnlyStorage) Put(context.Context, *logical.StorageEntry) error {
	s.writes.Add(1)
	return logical.ErrReadOnly
}

func (s *readOnlyStorage) Delete(context.Context, string) error {
	s.writes.Add(1)
	return logical.ErrReadOnly
}

// standby is a mount on a standby that answers reads, beside m on the active node.
type standbyMount struct {
	*mount
	storage *readOnlyStorage
}

func (m *mount) standby() *standbyMount {
	storage := &readOnlyStorage{Storage: m.storage}
	s := &standbyMount{storage: storage, mount: &mount{t: m.t, log: m.log, source: m.source,
		storage: &brokenStorage{Storage: storage},
		role:    consts.ReplicationPerformanceStandby | consts.ReplicationPerformanceDisabled}}
	s.start()
	m.t.Cleanup(func() { s.Cleanup(context.Background()) })
	return s
}

// forwards fails the test unless the request is sent on to the active node before anything was written.
func (s *standbyMount) forwards(op logical.Operation, path string, data map[string]any) {
	s.t.Helper()
	resp, err := s.HandleRequest(s.t.Context(), &logical.Request{
		Operation: op, Path: path, Data: data, Storage: s.mount.storage, MountPoint: "s3conn/"})
	if resp != nil || !errors.Is(err, logical.ErrReadOnly) {
		s.t.Errorf("%s of %s on a standby is answered with %+v, %v; want %v", op, path, resp, err, logical.ErrReadOnly)
	}
	if n := s.storage.writes.Load(); n != 0 {
		s.t.Errorf("%s of %s on a standby tried to write %d times", op, path, n)
	}
}

func leaseless(t *testing.T) map[string]any {
	return rolesAnywhereFields(t, with("generate_lease", false))
}

func TestStandby_ForwardsWhatNeedsTheActiveNode(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.write("leased", rolesAnywhereFields(t))
		m.write("leaseless", leaseless(t))
		s := m.standby()
		for _, path := range []string{
			"creds/leaseless", "sdk/leaseless", "creds/leased", "sdk/leased", "creds/unknown", "sdk/unknown",
		} {
			s.forwards(logical.ReadOperation, path, nil)
			s.forwards(logical.ReadOperation, path, nil) // also when its settings are in use
		}
		if aws.count() != 0 {
			t.Errorf("the standby obtained %d sessions", aws.count())
		}
		m.read("creds/leased")
		s.InvalidateKey(t.Context(), "session/leased")
		s.forwards(logical.ReadOperation, "creds/leased", nil) // the session is there, the lease is not
		if status, body := s.readSDK("leased"); status != 200 || body["AccessKeyId"] != "ASIA1" {
			t.Errorf("sdk/leased, which needs no lease, is answered with %d, %v", status, body)
		}
	})
}

// What a standby does not find may have been written a moment ago.
func TestStandby_ForwardsReadsThatFindNothing(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	s := m.standby()
	for _, path := range []string{
		"config/unknown", "scopes/reports/unknown", "scopes/unknown/reading", "status/unknown",
		"creds/reports/unknown", "sdk/reports/unknown",
	} {
		s.forwards(logical.ReadOperation, path, nil)
	}
	for _, path := range []string{"config/reports", "status/reports"} {
		if resp := s.read(path); resp == nil {
			t.Errorf("%s on a standby finds nothing", path)
		}
	}
}

func TestStandby_AnswersLeaselessReadsWithALiveSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.write("leaseless", leaseless(t))
		m.write("reports", accessKeyFields())
		m.read("creds/leaseless")
		s := m.standby()
		for range 3 {
			pass(time.Minute)
			if g := s.readCreds(t.Context(), "leaseless"); g.accessKey != "ASIA1" || g.took != 0 {
				t.Errorf("the standby answers %+v, want the active node's session", g)
			}
			if got := s.read("creds/reports").Data["access_key"]; got != "AKIAEXAMPLE" {
				t.Errorf("the standby answers access key %v", got)
			}
		}
		m.Cleanup(t.Context()) // the active node dies
		pass(20 * time.Minute)
		if g := s.readCreds(t.Context(), "leaseless"); g.accessKey != "ASIA1" || aws.count() != 1 {
			t.Errorf("without an active node the standby answers %+v after %d calls", g, aws.count())
		}
	})
}

func TestStandby_ForwardsOneReadAPauseInTheLastThird(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.write("leaseless", leaseless(t))
		m.read("creds/leaseless")
		s := m.standby()
		pass(45 * time.Minute)
		forwarded := 0
		for range 60 {
			g := s.readCreds(t.Context(), "leaseless")
			switch {
			case errors.Is(g.err, logical.ErrReadOnly):
				forwarded++
			case g.accessKey != "ASIA1":
				t.Fatalf("the standby answers %+v", g)
			}
			pass(time.Second)
		}
		if forwarded != 4 {
			t.Errorf("%d of 60 reads within a minute were forwarded, want those after 0s, 5s, 15s and 35s", forwarded)
		}
		m.read("creds/leaseless")
		synctest.Wait()
		s.InvalidateKey(t.Context(), "session/leaseless")
		g := s.readCreds(t.Context(), "leaseless")
		if g.accessKey != "ASIA2" || aws.count() != 2 || s.storage.writes.Load() != 0 {
			t.Errorf("the standby answers %+v after %d calls", g, aws.count())
		}
	})
}

func TestStandby_ForwardsEveryWrite(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, path := range m.Paths {
		for op, handler := range path.Operations {
			if op == logical.ReadOperation || op == logical.ListOperation {
				continue
			}
			if !handler.Properties().ForwardPerformanceStandby {
				t.Errorf("%s of %s is not forwarded by standbys", op, path.Pattern)
			}
		}
	}
	m.write("reports", accessKeyFields())
	s := m.standby()
	s.forwards(logical.UpdateOperation, "config/reports", with("region", "eu-west-1"))
	s.forwards(logical.CreateOperation, "config/other", accessKeyFields())
	s.forwards(logical.PatchOperation, "config/reports", with("region", "eu-west-1"))
	s.forwards(logical.DeleteOperation, "config/reports", nil)
	s.forwards(logical.UpdateOperation, "test/reports", nil)
	s.forwards(logical.UpdateOperation, "test", accessKeyFields())
}

func TestStandby_InvalidationsTakeEffectWithinTheCall(t *testing.T) {
	for _, key := range []string{"config/orders", "session/orders"} {
		t.Run(strings.ReplaceAll(key, "/", "_"), func(t *testing.T) {
			t.Parallel()
			m := newMount(t)
			m.write("orders", accessKeyFields())
			s := m.standby()
			s.read("creds/orders")
			m.write("orders", with("access_key", "AKIACHANGED"))
			s.InvalidateKey(t.Context(), key)
			if got := s.read("creds/orders").Data["access_key"]; got != "AKIACHANGED" {
				t.Errorf("after the invalidation of %s the standby answers access key %v", key, got)
			}
		})
	}
}

// The role costs a round trip, so it is asked for once.
func TestStandby_RoleIsAskedForOnce(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		system := &askedSystem{StaticSystemView: logical.TestSystemView()}
		system.ReplicationStateVal = consts.ReplicationPerformanceDisabled | consts.ReplicationDRDisabled
		config := &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: system, StorageView: m.storage}
		if err := m.Setup(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		m.writeConnections(2)
		m.read("creds/orders-0")
		m.read("creds/orders-1")
		system.asked.Store(0)
		for range 60 {
			pass(time.Minute)
			m.read("creds/orders-0")
			m.read("creds/orders-1")
		}
		if n := system.asked.Load(); n != 0 {
			t.Errorf("an hour of warm reads and refreshes asked Vault %d times", n)
		}
	})
}

func TestNodeRole_AnUnknownOneIsAskedForAgainAfterAMinute(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		asked, state := 0, consts.ReplicationUnknown
		role := nodeRole{ask: func() consts.ReplicationState { asked++; return state }}
		for _, row := range []struct {
			passes  time.Duration
			state   consts.ReplicationState
			standby bool
			asked   int
		}{
			{0, consts.ReplicationUnknown, false, 1},
			{time.Second, consts.ReplicationPerformanceStandby, false, 1},
			{time.Minute, consts.ReplicationPerformanceStandby, true, 2},
			{time.Hour, consts.ReplicationUnknown, true, 2},
		} {
			pass(row.passes)
			state = row.state
			if got := role.isStandby(m.backend.clock()); got != row.standby || asked != row.asked {
				t.Errorf("standby %v after %d questions, want %v after %d", got, asked, row.standby, row.asked)
			}
		}
	})
}

func TestStandby_ForwardsReadsOfAConnectionWithoutACertificate(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent)))
	s := m.standby()
	for _, path := range []string{"creds/orders", "sdk/orders"} {
		s.forwards(logical.ReadOperation, path, nil)
	}
}
