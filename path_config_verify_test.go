package s3conn

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func TestConfigWrite_VerifiesOnlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		given any
		calls int
	}{
		{absent, 0}, {false, 0}, {"false", 0}, {"", 0}, {nil, 0},
		{true, 1}, {"true", 1}, {"1", 1},
	} {
		l := newLab(t, rolesanywheretest.Options{})
		l.write("reports", l.keyFields(with("verify_connection", test.given)))
		if n := len(l.store.calls()); n != test.calls {
			t.Errorf("verify_connection=%#v called the store %d times, want %d", test.given, n, test.calls)
		}
		if l.stored("reports") == "" {
			t.Errorf("verify_connection=%#v: nothing was stored", test.given)
		}
		if strings.Contains(l.stored("reports"), "verify") ||
			l.read("config/reports").Data["verify_connection"] != nil {
			t.Errorf("verify_connection=%#v was stored", test.given)
		}
	}
}

func TestConfigWrite_VerifyConnectionIsAFlag(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	for _, given := range []any{"CANARY", 2, map[string]any{"a": "CANARY"}, []any{true}} {
		text := l.refused(logical.UpdateOperation, "config/reports", l.keyFields(with("verify_connection", given)))
		assertRefused(t, text, "verify_connection: ", "true or false")
	}
	if l.stored("reports") != "" || len(l.store.calls()) != 0 {
		t.Error("a refused write was tested or stored")
	}
}

func TestConfigWrite_FailedVerificationChangesNothing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		status int
		says   string
	}{
		"refused": {refusing(http.StatusForbidden, "InvalidAccessKeyId", "unknown"), http.StatusBadRequest,
			"ListBuckets: InvalidAccessKeyId: unknown (HTTP 403, request id s3-req)"},
		"throttled": {refusing(http.StatusServiceUnavailable, "SlowDown", "busy"), http.StatusTooManyRequests,
			"SlowDown: busy"},
		"no store": {say(http.StatusOK, "text/html", "<html>"), http.StatusBadRequest,
			"the response is not one of S3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t, rolesanywheretest.Options{})
			l.store.say(test.answer)
			verified := l.keyFields(with("verify_connection", true), with("secret_key", "CANARY"))
			write := func(op logical.Operation, outcome string) {
				t.Helper()
				resp, err := l.do(t.Context(), op, "config/reports", verified)
				status, text := asVaultSeesIt(t, resp, err)
				if status != test.status || !strings.HasPrefix(text,
					`writing connection "reports": testing it first: `) ||
					!strings.Contains(text, test.says) || !strings.HasSuffix(text, "; "+outcome) ||
					strings.Contains(text, "CANARY") {
					t.Errorf("%s is answered with %d, %q; want %d, %q and %q", op, status, text, test.status, test.says,
						outcome)
				}
			}
			write(logical.UpdateOperation, "nothing was stored")
			if l.stored("reports") != "" {
				t.Error("a connection that failed its test was stored")
			}
			l.write("reports", l.keyFields())
			before := l.stored("reports")
			write(logical.UpdateOperation, "the stored connection is unchanged")
			write(logical.PatchOperation, "the stored connection is unchanged")
			if l.stored("reports") != before {
				t.Error("a failed test changed what is stored")
			}
		})
	}
}

func TestConfigWrite_FailedVerificationLeavesTheSession(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.write("orders", l.sessionFields())
	shared := l.read("creds/orders").Data["access_key"]
	l.aws.Inject(rolesanywheretest.Fault{Times: 1, Status: 403, Code: "AccessDeniedException", Message: "no"})
	text := l.refused(logical.PatchOperation, "config/orders",
		map[string]any{"duration": 1200, "verify_connection": true})
	if !strings.Contains(text, "CreateSession: AccessDeniedException: no") {
		t.Errorf("the error is %q", text)
	}
	if got := l.read("creds/orders").Data["access_key"]; got != shared {
		t.Errorf("readers lost their session: %v, want %v", got, shared)
	}
	l.must(logical.PatchOperation, "config/orders", map[string]any{"duration": 1200, "verify_connection": true})
	if got := l.read("creds/orders").Data; got["access_key"] == shared || got["ttl"] != int64(1200) {
		t.Errorf("after a verified write readers get %v", got)
	}
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
