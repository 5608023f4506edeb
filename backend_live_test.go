package s3conn

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// askedSystem counts the questions of which each is a round trip to Vault.
type askedSystem struct {
	*logical.StaticSystemView
	asked atomic.Int64
}

func (s *askedSystem) ReplicationState() consts.ReplicationState {
	s.asked.Add(1)
	return s.StaticSystemView.ReplicationState()
}

func TestBackend_WarmReadsAskVaultForNothing(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		system := &askedSystem{StaticSystemView: logical.TestSystemView()}
		if err := m.Setup(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: system,
			StorageView: m.storage}); err != nil {
			t.Fatal(err)
		}
		m.writeConnections(1)
		m.write("reports", accessKeyFields())
		paths := []string{"creds/orders-0", "sdk/orders-0", "creds/reports", "sdk/reports"}
		cold := map[string]*logical.Response{}
		for _, path := range paths {
			cold[path] = m.read(path)
		}
		if system.asked.Load() == 0 {
			t.Fatal("cold reads ask nothing either: the test shows nothing")
		}
		system.asked.Store(0)
		m.storage.breakOn(errStorage, "get", "put", "list", "delete")
		for _, path := range paths {
			warm := m.read(path)
			for name, value := range cold[path].Data {
				if body, ok := value.([]byte); ok {
					if string(body) != string(warm.Data[name].([]byte)) {
						t.Errorf("%s: a warm read returns %s, a cold one %s", path, warm.Data[name], body)
					}
				} else if warm.Data[name] != value {
					t.Errorf("%s: %s is %v when warm and %v when cold", path, name, warm.Data[name], value)
				}
			}
		}
		if n := system.asked.Load(); n != 0 {
			t.Errorf("%d warm reads asked Vault %d times", len(paths), n)
		}
	})
}

func TestSDK_EncodedAnswerEndsWithItsSession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		for _, key := range []string{"ASIA1", "ASIA2"} {
			for range 2 {
				if _, body := m.readSDK("orders-0"); body["AccessKeyId"] != key ||
					!strings.HasPrefix(body["Token"].(string), "token-"+key[len("ASIA"):]) {
					t.Errorf("sdk/orders-0 = %v, want the session of %s", body, key)
				}
			}
			pass(time.Hour)
		}
	})
}

func TestCreds_AnswersOfOneSessionShareNothing(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.write("reports", accessKeyFields())
		for _, name := range []string{"orders-0", "reports"} {
			answer := m.read("creds/" + name)
			first := answer.Data
			key := first["access_key"]
			first["access_key"], first["ttl"] = "changed", int64(0)
			if answer.Secret != nil {
				answer.Secret.TTL = 0
				clear(answer.Secret.InternalData)
			}
			pass(10 * time.Second)
			next := m.read("creds/" + name)
			second := next.Data
			if lease := next.Secret; answer.Secret != nil && (lease.InternalData[leaseConnection] != name ||
				lease.TTL != 3530*time.Second) {
				t.Errorf("%s: the lease is %+v after the last one was changed, want the session's", name, lease)
			}
			if second["access_key"] != key {
				t.Errorf("%s: access_key is %v after the last answer was changed, want %v", name, second["access_key"],
					key)
			}
			if ttl, found := second["ttl"]; found && ttl != int64(3590) {
				t.Errorf("%s: ttl is %v ten seconds later, want 3590", name, ttl)
			}
		}
	})
}

func TestBackend_UnusualReadsGoThroughTheFramework(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.read("creds/orders-0")
		resp, err := m.do(t.Context(), logical.ReadOperation, "creds/orders-0", map[string]any{"ttl": "1h"})
		if err != nil || !strings.Contains(strings.Join(resp.Warnings, "\n"), "ttl") {
			t.Errorf("a read with a parameter that nobody knows: %+v, %v; want the framework's warning", resp, err)
		}
		if _, err := m.do(t.Context(), logical.DeleteOperation, "creds/orders-0", nil); err == nil {
			t.Error("creds/ can be deleted")
		}
	})
}
