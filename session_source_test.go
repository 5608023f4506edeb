package s3conn

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"golang.org/x/time/rate"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// budgetOf is a budget that has this many calls for the connection and then none for an hour.
func budgetOf(conn *connection.Connection, calls int) *budget {
	b := newBudget()
	b.of(conn).calls = rate.NewLimiter(rate.Every(time.Hour), calls)
	b.of(conn).tests = rate.NewLimiter(rate.Every(time.Hour), 0)
	return b
}

func TestRolesAnywhereSource_BuysOneSession(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.sessionFields(with("duration", 1800)))
	s, err := rolesAnywhereSource(l.clock.Now, newBudget().forReads)(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if !s.expiration.Equal(testTime.Add(30*time.Minute)) || !s.issued.Equal(testTime) || s.accessKey == "" || s.secretKey.Empty() ||
		s.sessionToken.Empty() || !strings.Contains(s.arn, ":assumed-role/app/orders-api") {
		t.Errorf("the session is %+v", s)
	}
	got := l.aws.Requests()
	if len(got) != 1 || got[0].Duration != 30*time.Minute || got[0].RoleSessionName != "orders-api" || got[0].ProfileARN != conn.ProfileARN ||
		got[0].RoleARN != conn.RoleARN || got[0].TrustAnchorARN != conn.TrustAnchorARN {
		t.Errorf("the service got %+v", got)
	}
}

func TestRolesAnywhereSource_SendsNoSessionNameWhereNoneIsAccepted(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{RefuseRoleSessionName: true})
	buy := rolesAnywhereSource(l.clock.Now, newBudget().forReads)
	var failed *upstream.Error
	if _, err := buy(t.Context(), l.connection(l.sessionFields())); !errors.As(err, &failed) || !strings.Contains(failed.Error(), "send_session_name=false") {
		t.Errorf("with a session name: %v, want the field that helps", err)
	}
	if _, err := buy(t.Context(), l.connection(l.sessionFields(with("send_session_name", false)))); err != nil {
		t.Errorf("without a session name: %v", err)
	}
	if got := l.aws.Requests(); got[len(got)-1].RoleSessionName != "" {
		t.Errorf("session name %q was sent", got[len(got)-1].RoleSessionName)
	}
}

func TestRolesAnywhereSource_WaitsForItsTurn(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.sessionFields())
	buy := rolesAnywhereSource(l.clock.Now, budgetOf(conn, 1).forReads)
	if _, err := buy(t.Context(), conn); err != nil {
		t.Fatalf("the first call: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var failed *upstream.Error
	if _, err := buy(short, conn); !errors.As(err, &failed) || upstreamStatus(failed) != http.StatusServiceUnavailable || failed.Error() != sessionPending().Error() {
		t.Errorf("without a turn: %v, want %v", err, sessionPending())
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := buy(gone, conn); !errors.Is(err, context.Canceled) || !errors.As(err, &failed) || failed.Error() == sessionPending().Error() {
		t.Errorf("given up while waiting: %v, want the cancellation", err)
	}
	if n := l.aws.Calls(); n != 1 {
		t.Errorf("%d calls with one turn", n)
	}
}

func TestRolesAnywhereSource_RetryWithoutATurnEndsWithTheServicesWords(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.aws.Inject(rolesanywheretest.Fault{Status: 429, Code: "ThrottlingException", Message: "Rate exceeded"})
	conn := l.connection(l.sessionFields())
	_, err := rolesAnywhereSource(l.clock.Now, budgetOf(conn, 1).forReads)(t.Context(), conn)
	var failed *upstream.Error
	if !errors.As(err, &failed) || upstreamStatus(failed) != http.StatusTooManyRequests || failed.Code != "ThrottlingException" ||
		!strings.HasPrefix(failed.Error(), "CreateSession: ThrottlingException: Rate exceeded (HTTP 429, request id ") {
		t.Errorf("throttled with an empty budget: %v", err)
	}
	if n := l.aws.Calls(); n != 1 {
		t.Errorf("%d calls with one turn: retries are outside the budget", n)
	}
}

func TestRetriesInTurn_EachTakesATurn(t *testing.T) {
	t.Parallel()
	limiter := rate.NewLimiter(rate.Every(time.Hour), 2)
	retryer := &retriesInTurn{Standard: retry.NewStandard(), turns: limiter}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for left := 1; left >= 0; left-- {
		release, err := retryer.GetRetryToken(ctx, errStorage)
		if err != nil {
			t.Fatalf("a retry in turn: %v", err)
		}
		if err := release(nil); err != nil {
			t.Errorf("giving the token back: %v", err)
		}
		if got := int(limiter.Tokens()); got != left {
			t.Errorf("%d turns are left, want %d", got, left)
		}
	}
	if release, err := retryer.GetRetryToken(ctx, errStorage); err == nil || release != nil {
		t.Error("a retry without a turn was allowed")
	}
}

func TestRolesAnywhereSource_EndedCertificateIsRefusedWithoutACall(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.sessionFields())
	for moved, says := range map[time.Duration]string{
		366 * 24 * time.Hour: "write a new certificate and private_key", -2 * time.Hour: "compare this host's clock",
	} {
		now := func() time.Time { return testTime.Add(moved) }
		_, err := rolesAnywhereSource(now, newBudget().forReads)(t.Context(), conn)
		var refused *upstream.Error
		if !errors.As(err, &refused) || !strings.HasPrefix(refused.Error(), "certificate: ") || !strings.Contains(refused.Error(), says) {
			t.Errorf("%s later: %v, want a refusal that says %q", moved, err, says)
		}
	}
	if n := l.aws.Calls(); n != 0 {
		t.Errorf("%d calls with a certificate that is not valid", n)
	}
}

// The mounts of one process share an account's quota: what one has used up, another has not.
func TestNewFactory_MountsShareOneBudget(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.sessionFields())
	shared := budgetOf(conn, 1)
	factory := newFactory(l.clock.Now, shared)
	var mounts []*mount
	for range 2 {
		made, err := factory(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: logical.TestSystemView()})
		if err != nil {
			t.Fatal(err)
		}
		m := &mount{t: t, backend: made.(*backend), storage: &brokenStorage{Storage: &logical.InmemStorage{}}, log: &lockedBuffer{}}
		t.Cleanup(func() { m.Cleanup(context.Background()) })
		m.write("orders", l.sessionFields())
		mounts = append(mounts, m)
	}
	mounts[0].read("creds/orders")
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got := mounts[1].readCreds(short, "orders"); got.err == nil {
		t.Error("the second mount has a budget of its own, or there is none: it got a session without a turn")
	}
	if n := l.aws.Calls(); n != 1 {
		t.Errorf("%d calls with one turn", n)
	}

	shared.of(conn).tests = rate.NewLimiter(rate.Every(time.Hour), 1)
	mounts[1].must(logical.UpdateOperation, "test/orders", nil)
	if n := l.aws.Calls(); n != 2 {
		t.Errorf("%d calls after a test, which has turns of its own, want 2", n)
	}
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
		var failed *upstream.Error
		if !errors.Is(err, errShortSession) || !errors.As(err, &failed) || upstreamStatus(failed) != http.StatusBadGateway {
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
