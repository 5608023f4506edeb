package s3conn

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/enroll"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
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
