package s3conn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

// status is what status/NAME says.
func (m *mount) status(name string) map[string]any {
	m.t.Helper()
	return m.read("status/" + name).Data
}

// wantState fails the test where status/NAME, status/ and status do not agree on the state.
func (m *mount) wantState(name string, want health.State, adviceSays string) map[string]any {
	m.t.Helper()
	data := m.status(name)
	if data["state"] != string(want) || !strings.Contains(data["advice"].(string), adviceSays) {
		m.t.Errorf("status/%s: %v with the advice %q, want %s with %q", name, data["state"], data["advice"], want,
			adviceSays)
	}
	info := m.must(logical.ListOperation, "status/", nil).Data["key_info"].(map[string]any)
	if listed := info[name].(map[string]any)["state"]; listed != string(want) {
		m.t.Errorf("status/ lists %s as %v, want %s", name, listed, want)
	}
	all := m.read("status").Data
	if slices.Contains(namedStates(), want) && !slices.Contains(all[string(want)].([]string), name) {
		m.t.Errorf("status does not name %s as %s: %v", name, want, all)
	}
	if n := all["counts"].(map[string]any)[string(want)]; n == 0 {
		m.t.Errorf("status counts no connection as %s", want)
	}
	return data
}

func TestStatus_FollowsASession(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.wantState("orders-0", health.StateIdle, "write test/orders-0")
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		data := m.wantState("orders-0", health.StateOK, "nothing to do")
		session := data["session"].(map[string]any)
		if session["ttl"] != int64(3600) || session["expiration"] != instant(testTime.Add(time.Hour)) ||
			session["issued"] != instant(testTime) || !strings.HasPrefix(session["arn"].(string), "arn:aws:iam::") {
			t.Errorf("the session is %v", session)
		}
		if reads := data["reads"].(map[string]any); reads["creds"] != uint64(1) || reads["sdk"] != uint64(0) {
			t.Errorf("the reads are %v, want one of creds", reads)
		}

		aws.set(func(s *service) { s.err = failedCall(http.StatusForbidden, "AccessDeniedException: Untrusted") })
		pass(50 * time.Minute)
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		data = m.wantState("orders-0", health.StateDegraded, "before the session")
		failure := data["last_failure"].(map[string]any)
		if failure["count"] != 1 || failure["time"] != instant(bubbleNow()) ||
			failure["next_try"] != instant(bubbleNow().Add(firstPause)) ||
			!strings.Contains(failure["error"].(string), "AccessDeniedException: Untrusted") {
			t.Errorf("the failure is %v", failure)
		}

		pass(11 * time.Minute)
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		data = m.wantState("orders-0", health.StateFailing, "write test/orders-0")
		if data["session"] != nil {
			t.Errorf("a session that has ended is shown: %v", data["session"])
		}

		aws.set(func(s *service) { s.err = nil })
		pass(time.Minute)
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		data = m.wantState("orders-0", health.StateOK, "nothing to do")
		if failure := data["last_failure"].(map[string]any); failure["count"] != 0 || failure["next_try"] != nil {
			t.Errorf("after a success the last failure is %v, want it with a count of 0 and no next try", failure)
		}
	})
}

func TestStatus_CallsNoService(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		m.status("orders-0")
		m.readCreds(t.Context(), "orders-0")
		pass(50 * time.Minute)
		m.status("orders-0")
		if calls := aws.count(); calls != 1 {
			t.Errorf("the service was called %d times, want once, for the read", calls)
		}
	})
}

func TestStatus_ChangeOfAConnectionEndsItsFailure(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(1)
		aws.set(func(s *service) { s.err = failedCall(http.StatusForbidden, "AccessDeniedException") })
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		m.wantState("orders-0", health.StateFailing, "last_failure")
		m.write("orders-0", with("session_name", "other"))
		m.wantState("orders-0", health.StateIdle, "")
	})
}

func TestStatus_CertificateThatHasEnded(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.writeConnections(1)
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		conn, err := loadConnection(t.Context(), m.storage, "orders-0")
		if err != nil {
			t.Fatal(err)
		}
		end := conn.CertificateEnd().NotAfter
		if got := m.status("orders-0")["certificate"].(map[string]any); got["not_after"] != instant(end) ||
			got["ttl"] != int64(end.Sub(bubbleNow())/time.Second) {
			t.Errorf("the certificate is %v, want its end %s", got, instant(end))
		}
		pass(end.Sub(bubbleNow()) - 30*time.Minute)
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		pass(30 * time.Minute)
		m.wantState("orders-0", health.StateDegraded, "certificate")
		pass(time.Hour)
		m.wantState("orders-0", health.StateFailing, "certificate")
	})
}

func TestStatus_AccessKeysAreIdleUntilTheyAreRead(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.wantState("reports", health.StateIdle, "")
	m.read("sdk/reports")
	m.wantState("reports", health.StateOK, "")
	m.start()
	m.wantState("reports", health.StateIdle, "")
}

func TestStatus_RenewalAndRotationThatFailDegrade(t *testing.T) {
	t.Parallel()
	for _, activity := range []health.Activity{health.Renewal, health.Rotation} {
		m := newMount(t)
		m.write("reports", accessKeyFields())
		m.read("creds/reports")
		m.monitor.upkeep(activity, "reports", failedCall(http.StatusBadGateway, "no answer"), testTime.Add(time.Minute))
		data := m.wantState("reports", health.StateDegraded, activity.String())
		got := data[activity.String()].(map[string]any)["last_failure"].(map[string]any)
		if got["next_try"] != instant(testTime.Add(time.Minute)) || got["count"] != 1 {
			t.Errorf("%s is %v", activity, got)
		}
		m.monitor.upkeep(activity, "reports", nil, time.Time{})
		m.wantState("reports", health.StateOK, "")
	}
}

func TestStatus_FeaturesAddToTheirFields(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.statusParts = map[health.Activity]statusPart{
		health.Rotation: func(_ context.Context, _ logical.Storage, name string) (map[string]any, error) {
			return map[string]any{"next": "soon, " + name}, nil
		},
		health.Renewal: func(context.Context, logical.Storage, string) (map[string]any, error) { return nil, nil },
	}
	data := m.status("reports")
	if rotation := data["rotation"].(map[string]any); rotation["next"] != "soon, reports" || data["renewal"] != nil {
		t.Errorf("the status is %v", data)
	}
	m.statusParts[health.Renewal] = func(context.Context, logical.Storage, string) (map[string]any, error) {
		return nil, errStorage
	}
	if _, err := m.do(t.Context(), logical.ReadOperation, "status/reports", nil); !errors.Is(err, errStorage) {
		t.Errorf("with a part that fails: %v", err)
	}
}

func TestStatus_ConnectionWithoutIdentityIsIncomplete(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("new", rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent)))
	m.wantState("new", health.StateIncomplete, "identity/new/csr")
	m.refused(logical.ReadOperation, "creds/new", nil) // reading it changes nothing
	m.wantState("new", health.StateIncomplete, "identity/new/csr")
}

func TestStatus_DamagedEntryFailsAndHidesNoOther(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	damaged := &logical.StorageEntry{Key: "config/damaged", Value: []byte(`{"CANARY`)}
	if err := m.storage.Put(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	data := m.wantState("damaged", health.StateFailing, "cannot be read")
	m.wantState("reports", health.StateIdle, "")
	if strings.Contains(fmt.Sprint(data), "CANARY") {
		t.Errorf("the status quotes the entry: %v", data)
	}
}

func TestStatus_OfAConnectionThatIsNotThere(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	if resp := m.read("status/nothing"); resp != nil {
		t.Errorf("got %+v, want nothing, which Vault answers with 404", resp)
	}
	m.write("reports", accessKeyFields())
	m.read("creds/reports")
	m.must(logical.DeleteOperation, "config/reports", nil)
	if resp := m.read("status/reports"); resp != nil {
		t.Errorf("after its deletion: %+v, want nothing", resp)
	}
	if all := m.read("status").Data; all["connections"] != 0 {
		t.Errorf("after its deletion: %v", all)
	}
	m.write("reports", accessKeyFields())
	m.wantState("reports", health.StateIdle, "")
}

func TestStatus_ShowsNoSecret(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		m.write("keys", accessKeyFields(with("secret_key", "CANARY-key"),
			with("proxy_url", "http://u:CANARY-proxy@proxy.example:80")))
		m.writeConnections(1)
		m.read("creds/keys")
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		var said []byte
		for _, data := range []map[string]any{m.status("keys"), m.status("orders-0"), m.read("status").Data,
			m.must(logical.ListOperation, "status", nil).Data} {
			text, err := json.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			said = append(said, text...)
		}
		said = append(said, m.read("metrics").Data[logical.HTTPRawBody].([]byte)...)
		for _, secret := range []string{"CANARY", "secret-1", "token-1", "ASIA1", "PRIVATE KEY", "AKIAEXAMPLE"} {
			if strings.Contains(string(said), secret) {
				t.Errorf("%s is shown in\n%s", secret, said)
			}
		}
	})
}
