package s3conn

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// upkeepFailure returns the last failure of the activity as status/NAME shows it.
func upkeepFailure(data map[string]any, activity health.Activity) map[string]any {
	part, _ := data[activity.String()].(map[string]any)
	failure, _ := part["last_failure"].(map[string]any)
	return failure
}

// What keeps the credentials good fails in the service's words, also where the process or the node has not seen it.
func TestStatus_IssuerThatRefusesDegradesOnEveryNodeAndAfterARestart(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		issuer := renewed(t, m)
		m.readCreds(t.Context(), "orders")
		data := m.wantState("orders", health.StateOK, "nothing to do")
		if part := data["renewal"].(map[string]any); part["issuer_type"] != "step_ca" ||
			part["renew_at"] != m.read("identity/orders").Data["renew_at"] || part["last_renewal"] == nil {
			t.Errorf("the renewal is %v", part)
		}
		issuer.fail(&enroll.RefusalError{Operation: "rekey", Status: 403, Message: "not today"})
		pass(17 * time.Hour)
		m.readCreds(t.Context(), "orders")
		pass(0)
		seen := upkeepFailure(m.wantState("orders", health.StateDegraded, "renewal"), health.Renewal)
		if count, _ := seen["count"].(int); !strings.Contains(seen["error"].(string), "not today") || count < 2 ||
			seen["next_try"] == nil {
			t.Errorf("the failure is %v", seen)
		}

		m.Cleanup(t.Context())
		m.start()
		again := upkeepFailure(m.wantState("orders", health.StateDegraded, "renewal"), health.Renewal)
		if again["error"] != seen["error"] || again["count"] != seen["count"] || again["next_try"] != seen["next_try"] {
			t.Errorf("after a restart the failure is %v, before it was %v", again, seen)
		}
		m.wantFigures(`s3conn_connections_failing{activity="renewal"} 1`, `s3conn_connections{state="degraded"} 1`)

		m.newIssuer = func(enroll.Settings) (enroll.Issuer, error) { return issuer, nil }
		issuer.fail(nil)
		m.must(logical.UpdateOperation, "identity/orders/renew", nil)
		m.readCreds(t.Context(), "orders")
		pass(0)
		m.wantState("orders", health.StateOK, "nothing to do")
	})
}

func TestStatus_IAMThatRefusesDegradesOnEveryNodeAndAfterARestart(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	l.read("creds/reports")
	l.wantState("reports", health.StateOK, "")
	l.aws.Deny("app", "iam:CreateAccessKey")
	l.clock.Advance(25 * time.Hour)
	next := l.runDue()
	seen := upkeepFailure(l.wantState("reports", health.StateDegraded, "rotation"), health.Rotation)
	if !strings.Contains(seen["error"].(string), "CreateAccessKey: AccessDenied") || seen["count"] != 1 ||
		seen["next_try"] != instant(next) {
		t.Errorf("the failure is %v, and it is tried again at %s", seen, next)
	}

	l.start()
	l.System().(*logical.StaticSystemView).ReplicationStateVal = consts.ReplicationPerformanceStandby
	again := upkeepFailure(l.wantState("reports", health.StateDegraded, "rotation"), health.Rotation)
	if again["error"] != seen["error"] || again["count"] != seen["count"] {
		t.Errorf("on another node the failure is %v, want %v", again, seen)
	}

	l.aws.Deny("app")
	standby := l.backend
	l.start()
	l.clock.Advance(next.Sub(l.clock.Now()))
	l.runDue()
	l.read("creds/reports")
	l.wantState("reports", health.StateOK, "")
	l.backend = standby
	l.InvalidateKey(t.Context(), rotationPrefix+"reports")
	l.wantState("reports", health.StateIdle, "")
}

// A state that cannot be read keeps the key from being rotated, and hides no other connection.
func TestStatus_UnreadableRotationDegrades(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t, with("rotation_period", "24h"))
	l.read("creds/reports")
	entry := &logical.StorageEntry{Key: rotationPrefix + "reports", Value: []byte(`{"CANARY`)}
	if err := l.mount.storage.Put(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	l.InvalidateKey(t.Context(), entry.Key)
	data := l.wantState("reports", health.StateDegraded, "rotation")
	failure := upkeepFailure(data, health.Rotation)
	if text, _ := failure["error"].(string); !strings.Contains(text, "cannot be read") ||
		strings.Contains(text, "CANARY") || failure["next_try"] != nil {
		t.Errorf("the failure is %v", failure)
	}
	l.mount.storage.breakOn(errStorage, "get")
	l.vitals.drop("reports")
	if _, err := l.do(t.Context(), logical.ReadOperation, "status", nil); !errors.Is(err, errStorage) {
		t.Errorf("where storage fails: %v", err)
	}
}

func TestStatus_CertificateThatEndsWithItsIntermediate(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	root := newAuthority(t)
	middle, err := root.Intermediate(rolesanywheretest.AuthorityOptions{CommonName: "Middle CA", Now: atTestTime,
		NotAfter: testTime.Add(48 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	issued := issue(t, middle, rolesanywheretest.IssueOptions{NotAfter: testTime.Add(90 * 24 * time.Hour)})
	m.write("orders", rolesAnywhereFields(t, with("certificate", string(issued.CertificatePEM)),
		with("private_key", string(issued.PrivateKeyPEM))))
	shown, _ := m.status("orders")["certificate"].(map[string]any)
	if text, _ := shown["intermediate"].(string); !strings.Contains(text, "Middle CA") ||
		shown["not_after"] != instant(testTime.Add(48*time.Hour)) {
		t.Errorf("the certificate is %v, want the end of its intermediate", shown)
	}
}

// A defect in reading one connection is an error that says which one, and ends no process.
func TestStatus_DefectIsAnErrorThatNamesTheConnection(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", accessKeyFields())
	m.storage.afterGet = func(string) { panic("CANARY") }
	_, err := m.do(t.Context(), logical.ReadOperation, "status", nil)
	if err == nil || !strings.Contains(err.Error(), `"orders"`) || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the error is %v", err)
	}
}

func TestStatus_StandbyPassesOnReadsOfAConnectionWithoutIdentity(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("new", rolesAnywhereFields(t, with("certificate", absent), with("private_key", absent)))
	s := m.standby()
	s.wantState("new", health.StateIncomplete, "identity/new/csr")
	s.forwards(logical.ReadOperation, "creds/new", nil)
}

func TestMetrics_CountConnectionsWithoutSessions(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.writeConnections(2)
		aws.set(func(s *service) { s.err = failedCall(http.StatusForbidden, "AccessDeniedException") })
		m.readCreds(t.Context(), "orders-0")
		pass(0)
		m.wantFigures(`s3conn_connections_failing{activity="session"} 1`, `s3conn_connections{state="failing"} 1`,
			`s3conn_connections{state="idle"} 1`)
	})
}

// A scope whose role lets nobody in would not show anywhere else: the connection itself is well.
func TestStatus_ScopeWithoutASessionDegrades(t *testing.T) {
	withScopes(t, func(t *testing.T, s *scopeTest) {
		s.writeTemplated()
		s.readCreds(t.Context(), "orders")
		s.readCreds(t.Context(), "orders/reports")
		pass(0)
		if data := s.wantState("orders", health.StateOK, "nothing to do"); data["scopes"] != nil {
			t.Errorf("no scope fails, and the status says %v", data["scopes"])
		}
		s.sts.err = failedCall(http.StatusForbidden, "AccessDenied: not this role")
		for range 3 {
			_, _ = s.readAs("e-1", "creds/orders/"+templated)
			pass(time.Minute)
		}
		_, _ = s.readAs("e-2", "creds/orders/"+templated)
		pass(0)
		data := s.wantState("orders", health.StateDegraded, "scopes")
		scopes, _ := data["scopes"].(map[string]any)
		failing, _ := scopes[templated].(map[string]any)
		text, _ := failing["error"].(string)
		if len(scopes) != 1 || failing["count"] != 3 || !strings.Contains(text, "not this role") ||
			failing["next_try"] == nil {
			t.Errorf("the scopes are %v, want the entity that has failed three times", scopes)
		}
		s.sts.err = nil
		pass(time.Minute)
		for _, id := range []string{"e-1", "e-2"} {
			_, _ = s.readAs(id, "creds/orders/"+templated)
		}
		pass(0)
		if data := s.wantState("orders", health.StateOK, "nothing to do"); data["scopes"] != nil {
			t.Errorf("after a success the status says %v", data["scopes"])
		}
	})
}
