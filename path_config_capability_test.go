package s3conn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// as sends a request under the operation that Vault has authorised, whatever is stored by now.
func (m *mount) as(op logical.Operation, name string, data map[string]any) (*logical.Response, error) {
	return m.HandleRequest(m.t.Context(), &logical.Request{Operation: op, Path: configPrefix + name, Data: data,
		Storage: m.storage, MountPoint: "s3conn/"})
}

func TestConfigWrite_CreateChangesNothingThatExists(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	before := m.stored("reports")
	for _, data := range []map[string]any{
		accessKeyFields(with("region", "eu-west-1")), with("s3_endpoint", "https://store.example"),
	} {
		resp, err := m.as(logical.CreateOperation, "reports", data)
		status, text := asVaultSeesIt(t, resp, err)
		if status != http.StatusConflict || !strings.Contains(text, `"reports"`) ||
			!strings.Contains(text, "may only create; it is unchanged") {
			t.Errorf("answered with %d, %q", status, text)
		}
	}
	if m.stored("reports") != before {
		t.Error("the connection was changed")
	}
}

func TestConfigWrite_UpdateCreatesNothing(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	resp, err := m.as(logical.UpdateOperation, "reports", accessKeyFields())
	status, text := asVaultSeesIt(t, resp, err)
	if status != http.StatusConflict || !strings.Contains(text, "may only update; nothing was stored") ||
		m.stored("reports") != "" {
		t.Errorf("answered with %d, %q; stored %q", status, text, m.stored("reports"))
	}
}

// The other request comes between the first look and the store: the second look has to obey the capability too.
func TestConfigWrite_CapabilityHoldsInTheRetryLoop(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	overtake(m, "reports", 1)
	resp, err := m.as(logical.CreateOperation, "reports", accessKeyFields())
	m.storage.afterGet = nil
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusConflict {
		t.Errorf("a create that was overtaken by another is answered with %d, %q", status, text)
	}
	if got := m.read("config/reports").Data; got["access_key"] != "AKIAOTHER" {
		t.Errorf("the other's connection was changed: %v", got)
	}

	deleted := false
	m.storage.afterGet = func(string) {
		if !deleted {
			deleted = true
			if err := m.storage.Delete(t.Context(), "config/reports"); err != nil {
				t.Error(err)
			}
		}
	}
	resp, err = m.as(logical.UpdateOperation, "reports", accessKeyFields())
	m.storage.afterGet = nil
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusConflict || m.stored("reports") != "" {
		t.Errorf("an update that was overtaken by a delete is answered with %d, %q", status, text)
	}
}

func TestConfigWrite_CapabilityHoldsWhileTheConnectionIsTested(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	whole := say(http.StatusOK, "application/xml", twoBuckets)
	l.store.say(func(w http.ResponseWriter, r *http.Request) {
		l.write("reports", accessKeyFields(with("access_key", "AKIATHEIRS")))
		whole(w, r)
	})
	resp, err := l.as(logical.CreateOperation, "reports", l.keyFields(with("verify_connection", true)))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusConflict {
		t.Errorf("a create that was overtaken during its test is answered with %d, %q", status, text)
	}
	if got := l.read("config/reports").Data; got["access_key"] != "AKIATHEIRS" {
		t.Errorf("the other's connection was changed: %v", got)
	}
}

// One may only create and gives an endpoint beside the operator's secret, which it must never be joined with.
func TestConfigWrite_RacingCreatesNeverMix(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	operator := accessKeyFields(with("access_key", "AKIAOPERATOR"), with("region", "eu-west-1"))
	other := accessKeyFields(with("access_key", "AKIAOTHER"), with("s3_endpoint", "https://store.example"))
	var wins [2]int
	for range 1000 {
		var racers sync.WaitGroup
		var errs [2]error
		for i, data := range []map[string]any{operator, other} {
			racers.Go(func() { _, errs[i] = m.as(logical.CreateOperation, "reports", data) })
		}
		racers.Wait()
		conn, err := loadConnection(t.Context(), m.storage, "reports")
		if err != nil || conn == nil {
			t.Fatalf("nothing is stored after two creates: %v", err)
		}
		whose := conn.AccessKey == "AKIAOPERATOR"
		if whose != (conn.S3Endpoint == "") || whose != (conn.Region == "eu-west-1") {
			t.Fatalf("two connections were mixed: %+v", conn.Settings)
		}
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("the creates ended with %v and %v, want one success", errs[0], errs[1])
		}
		for i, err := range errs {
			if err == nil {
				wins[i]++
			}
		}
		m.must(logical.DeleteOperation, "config/reports", nil)
	}
	t.Logf("of 1000 races the first won %d and the second %d", wins[0], wins[1])
}

func TestNames_WithTwoDotsAreRefusedWithWords(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for path, op := range map[string]logical.Operation{
		"config/a..b": logical.ReadOperation, "creds/a..b": logical.ReadOperation, "test/a..b": logical.UpdateOperation,
	} {
		if text := m.refused(op, path, nil); !strings.Contains(text, `name: "a..b" holds ".."`) {
			t.Errorf("%s is answered with %q", path, text)
		}
	}
	for _, op := range []logical.Operation{logical.UpdateOperation, logical.PatchOperation, logical.DeleteOperation} {
		if text := m.refused(op, "config/a..b", accessKeyFields()); !strings.Contains(text, `name: "a..b" holds ".."`) {
			t.Errorf("%s is answered with %q", op, text)
		}
	}
	status, body := m.readSDK("a..b")
	if status != http.StatusBadRequest || !strings.Contains(body["message"].(string), `name: "a..b" holds ".."`) {
		t.Errorf("sdk/a..b is answered with %d, %v", status, body)
	}
}

func TestConfig_WaitsForStorageAndLocksEndWithTheCallerAndWithinTwelveSeconds(t *testing.T) {
	requests := map[string]struct {
		op   logical.Operation
		data map[string]any
	}{
		"read": {logical.ReadOperation, nil}, "update": {logical.UpdateOperation, with("duration", 1200)},
		"patch": {logical.PatchOperation, with("duration", 1200)}, "delete": {logical.DeleteOperation, nil},
	}
	for name, request := range requests {
		for what, hang := range map[string]func(m *mount) (release func()){
			"storage": func(m *mount) func() { m.storage.hangOn(configPrefix); return func() { m.storage.hangOn("") } },
			"lock": func(m *mount) func() {
				unlock, err := m.locks.lock(m.t.Context(), "orders-0")
				if err != nil {
					m.t.Fatal(err)
				}
				return unlock
			},
		} {
			if name == "read" && what == "lock" || name == "delete" && what == "storage" {
				continue // a read takes no lock, and the tests' storage does not hang on deletes
			}
			t.Run(name+" "+what, func(t *testing.T) {
				sessionTest(t, func(t *testing.T, m *mount, _ *service) {
					m.writeConnections(1)
					release := hang(m)
					start := time.Now()
					resp, err := m.as(request.op, "orders-0", request.data)
					took := time.Since(start)
					status, _ := asVaultSeesIt(t, resp, err)
					if status != http.StatusServiceUnavailable || took != 12*time.Second {
						t.Errorf("answered with %d, %v after %s; want a 503 after 12s", status, err, took)
					}
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					start = time.Now()
					_, err = m.HandleRequest(ctx, &logical.Request{
						Operation: request.op, Path: "config/orders-0", Data: request.data, Storage: m.storage})
					if err == nil || time.Since(start) != time.Second {
						t.Errorf("a caller that goes after 1s is held for %s: %v", time.Since(start), err)
					}
					release()
				})
			})
		}
	}
}

// A write whose caller has gone lands later: whoever reads meanwhile takes the connection before it into use.
func TestCreds_LateWriteTakesEffectWithinAMinute(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		slow := &lateStorage{Storage: m.storage.Storage, after: 10 * time.Second}
		m.storage.Storage = slow
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := m.do(ctx, logical.PatchOperation, "config/orders-0", with("role_arn", changedRole))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("the write ended with %v", err)
		}
		slow.after = 0
		m.readCreds(t.Context(), "orders-0") // the connection before it
		pass(10 * time.Second)
		for range 60 {
			m.readCreds(t.Context(), "orders-0")
			pass(time.Second)
		}
		if g := m.readCreds(t.Context(), "orders-0"); g.err != nil || aws.roles[changedRole] != 1 {
			t.Errorf("a minute after the write landed a reader got %+v (roles %v)", g, aws.roles)
		}
		if !strings.Contains(m.log.String(), "nobody reported its change") {
			t.Error("the log does not say that the connection was read again")
		}
	})
}

// lateStorage stores a connection some time after the caller has asked it to, whether it is still there or not.
type lateStorage struct {
	logical.Storage
	after time.Duration
}

func (s *lateStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if s.after == 0 || !strings.HasPrefix(entry.Key, configPrefix) {
		return s.Storage.Put(ctx, entry)
	}
	time.AfterFunc(s.after, func() { _ = s.Storage.Put(context.WithoutCancel(ctx), entry) })
	<-ctx.Done()
	return ctx.Err()
}
