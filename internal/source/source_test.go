package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	account = "123456789012"
	uuid    = "11111111-2222-3333-4444-555555555555"
)

// lab is the stand-in for the service and a source that calls it.
type lab struct {
	*RolesAnywhere
	t    *testing.T
	aws  *rolesanywheretest.Server
	conn connection.Connection
	host time.Time // by the host's clock
}

func newLab(t *testing.T, options rolesanywheretest.Options) *lab {
	t.Helper()
	now := func() time.Time { return noon }
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := authority.Issue(rolesanywheretest.IssueOptions{NotAfter: noon.Add(365 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	options.TrustAnchors = append(options.TrustAnchors, authority.Certificate())
	options.Now = now
	l := &lab{t: t, aws: rolesanywheretest.NewServer(options), host: noon}
	t.Cleanup(l.aws.Close)
	l.RolesAnywhere = &RolesAnywhere{Now: func() time.Time { return l.host }, Mount: &budget.Mount{},
		Turns: turnsAt(t, 1000)}
	l.conn = connection.New()
	l.conn.AuthType, l.conn.Region, l.conn.SessionName = connection.AuthRolesAnywhere, "us-east-1", "orders-api"
	l.conn.ProfileARN = fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:profile/%s", account, uuid)
	l.conn.TrustAnchorARN = fmt.Sprintf("arn:aws:rolesanywhere:us-east-1:%s:trust-anchor/%s", account, uuid)
	l.conn.RoleARN = fmt.Sprintf("arn:aws:iam::%s:role/app", account)
	l.conn.RolesAnywhereEndpoint = l.aws.URL
	l.conn.Certificate, l.conn.PrivateKey = string(identity.CertificatePEM), secret.New(string(identity.PrivateKeyPEM))
	return l
}

// turnsAt is a budget with this many turns a second.
func turnsAt(t *testing.T, perSecond float64) *budget.Group {
	t.Helper()
	rate := budget.Rate{PerSecond: perSecond, Floor: perSecond}
	group, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.CreateSession: rate})
	if err != nil {
		t.Fatal(err)
	}
	return group
}

func (l *lab) obtain() (session.Session, error) {
	l.t.Helper()
	return l.Obtain(l.t.Context(), &l.conn, budget.First)
}

func TestObtain_RequestsOneSession(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.conn.Duration = 1800
	s, err := l.obtain()
	if err != nil {
		t.Fatal(err)
	}
	if !s.Expiration.Equal(noon.Add(30*time.Minute)) || !s.Issued.Equal(noon) || s.AccessKey == "" ||
		s.SecretKey.Empty() ||
		s.SessionToken.Empty() || !strings.Contains(s.ARN, ":assumed-role/app/orders-api") {
		t.Errorf("the session is %+v", s)
	}
	got := l.aws.Requests()
	if len(got) != 1 || got[0].Duration != 30*time.Minute || got[0].RoleSessionName != "orders-api" ||
		got[0].ProfileARN != l.conn.ProfileARN || got[0].RoleARN != l.conn.RoleARN ||
		got[0].TrustAnchorARN != l.conn.TrustAnchorARN {
		t.Errorf("the service got %+v", got)
	}
}

func TestObtain_SendsNoSessionNameWhereNoneIsAccepted(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{RefuseRoleSessionName: true})
	var failed *upstream.Error
	if _, err := l.obtain(); !errors.As(err, &failed) || !strings.Contains(failed.Error(), "send_session_name=false") {
		t.Errorf("with a session name: %v, want the field that helps", err)
	}
	l.conn.SendSessionName = false
	if _, err := l.obtain(); err != nil {
		t.Errorf("without a session name: %v", err)
	}
	if got := l.aws.Requests(); got[len(got)-1].RoleSessionName != "" {
		t.Errorf("session name %q was sent", got[len(got)-1].RoleSessionName)
	}
}

func TestObtain_WaitsForItsTurn(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.Turns = turnsAt(t, 0.01)
	if _, err := l.obtain(); err != nil {
		t.Fatalf("the first call: %v", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := l.Obtain(short, &l.conn, budget.First); !errors.Is(err, session.ErrPending) {
		t.Errorf("without a turn: %v, want %v", err, session.ErrPending)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var failed *upstream.Error
	if _, err := l.Obtain(gone, &l.conn, budget.First); !errors.Is(err, context.Canceled) || !errors.As(err, &failed) {
		t.Errorf("given up while waiting: %v, want the cancellation", err)
	}
	if n := l.aws.Calls(); n != 1 {
		t.Errorf("%d calls with one turn", n)
	}
}

func TestObtain_RetryWithoutATurnEndsWithTheServicesWords(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.Turns = turnsAt(t, 0.01)
	l.aws.Inject(rolesanywheretest.Fault{Status: 429, Code: "ThrottlingException", Message: "Rate exceeded"})
	observed := 0
	l.Observe = func(Call) { observed++ }
	_, err := l.obtain()
	var failed *upstream.Error
	if !errors.As(err, &failed) || failed.Kind != upstream.Throttled || failed.Code != "ThrottlingException" ||
		!strings.HasPrefix(failed.Error(), "CreateSession: ThrottlingException: Rate exceeded (HTTP 429, request id ") {
		t.Errorf("throttled with an empty budget: %v", err)
	}
	if n := l.aws.Calls(); n != 1 || observed != 1 {
		t.Errorf("%d calls with one turn, of which %d were counted: retries are outside the budget", n, observed)
	}
}

func TestObtain_EachRetryTakesATurn(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	l.Turns = turnsAt(t, 2)
	l.aws.Inject(rolesanywheretest.Fault{Times: 2, Status: 500, Code: "InternalFailure"})
	start := time.Now()
	if _, err := l.obtain(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second || l.aws.Calls() != 3 {
		t.Errorf("%d calls in %s, want three turns that are half a second apart", l.aws.Calls(), took)
	}
}

func TestObtain_CertificateThatIsNotValidIsRefusedWithoutACall(t *testing.T) {
	t.Parallel()
	for moved, says := range map[time.Duration]string{
		366 * 24 * time.Hour: "write a new certificate and private_key", -2 * time.Hour: "compare this host's clock",
	} {
		l := newLab(t, rolesanywheretest.Options{})
		l.host = noon.Add(moved)
		_, err := l.obtain()
		var failed *upstream.Error
		if !errors.As(err, &failed) || failed.Kind != upstream.Permanent ||
			!strings.HasPrefix(failed.Error(), "certificate: ") ||
			!strings.Contains(failed.Error(), says) {
			t.Errorf("%s later: %v, want a refusal that says %q", moved, err, says)
		}
		if n := l.aws.Calls(); n != 0 {
			t.Errorf("%d calls with a certificate that is not valid", n)
		}
	}
}

// By the service's clock it is noon, and the session ends the granted duration later.
func TestNewSession_EndsByBothClocks(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name               string
		clock              time.Duration // of this host, to the service's
		requested, granted time.Duration
		took               time.Duration
		life               time.Duration // 0: refused
	}{
		{"clocks agree", 0, time.Hour, time.Hour, 0, time.Hour},
		{"the call took long", 0, time.Hour, time.Hour, 8 * time.Second, time.Hour - 8*time.Second},
		{"host is behind", -5 * time.Minute, time.Hour, time.Hour, 0, time.Hour},
		{"host is ahead", 5 * time.Minute, time.Hour, time.Hour, 0, 55 * time.Minute},
		{"host is behind, 15 minutes", -5 * time.Minute, 15 * time.Minute, 15 * time.Minute, 0, 15 * time.Minute},
		{"host is ahead, 15 minutes", 5 * time.Minute, 15 * time.Minute, 15 * time.Minute, 0, 10 * time.Minute},
		{"host is behind, 12 hours", -5 * time.Minute, 12 * time.Hour, 12 * time.Hour, 0, 12 * time.Hour},
		{"the profile shortens it", 0, time.Hour, 30 * time.Minute, 0, 30 * time.Minute},
		{"more than was requested", 0, time.Hour, 2 * time.Hour, 0, time.Hour},
		{"sixty seconds", 0, time.Hour, time.Minute, 0, time.Minute},
		{"under sixty seconds", 0, time.Hour, time.Minute - 1, 0, 0},
		{"host is ahead by the whole life", 15 * time.Minute, 15 * time.Minute, 15 * time.Minute, 0, 0},
		{"ended", 0, time.Hour, -time.Hour, 0, 0},
		{"longer than AWS issues", 0, 12 * time.Hour, 13 * time.Hour, 0, 0},
		{"absurd", 0, time.Hour, 600000 * time.Hour, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			out := &rolesanywhere.CreateSessionOutput{AssumedRoleARN: "arn"}
			out.Credentials.AccessKeyID, out.Credentials.SecretAccessKey, out.Credentials.SessionToken = "ASIA",
				"CANARY", "CANARY"
			out.Credentials.Expires = noon.Add(row.granted)
			requested := noon.Add(row.clock)
			now := requested.Add(row.took)
			s, err := newSession(out, requested, row.requested, now)
			if row.life == 0 {
				var failed *upstream.Error
				if !errors.Is(err, ErrLifetime) || !errors.As(err, &failed) || failed.Kind != upstream.Unavailable ||
					!strings.Contains(err.Error(), "compare this host's clock") || s != (session.Session{}) {
					t.Errorf("got %+v, %v; want a refusal", s, err)
				}
				return
			}
			if err != nil || s.AccessKey != "ASIA" || s.ARN != "arn" || !s.Issued.Equal(requested) ||
				s.Expiration.Sub(now) != row.life {
				t.Errorf("got %+v, %v; want %s of life", s, err, row.life)
			}
		})
	}
}

func TestOutcome_DistinguishesThrottlingFromAnAnswer(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		err  error
		want budget.Outcome
	}{
		{nil, budget.Answered},
		{&rolesanywhere.APIError{StatusCode: http.StatusForbidden, Code: "AccessDeniedException"}, budget.Answered},
		{&rolesanywhere.APIError{StatusCode: http.StatusTooManyRequests}, budget.Throttled},
		{&rolesanywhere.APIError{StatusCode: http.StatusBadRequest, Code: "ThrottlingException"}, budget.Throttled},
		{fmt.Errorf("reading: %w", rolesanywhere.ErrInvalidResponse), budget.Answered},
		{rolesanywhere.ErrCertificateExpired, budget.NotCalled},
		{context.DeadlineExceeded, budget.NoAnswer},
	} {
		if got := outcome(row.err); got != row.want {
			t.Errorf("outcome(%v) = %d, want %d", row.err, got, row.want)
		}
	}
}

func TestQueueOf_IsOfAccountAndRegion(t *testing.T) {
	t.Parallel()
	conn := connection.New()
	conn.Region, conn.RoleARN = "eu-west-1", "arn:aws:iam::111111111111:role/x"
	want := budget.Key{Account: "111111111111", Region: "eu-west-1", API: budget.CreateSession}
	if got := queueOf(&conn); got != want {
		t.Errorf("queueOf = %+v, want %+v", got, want)
	}
}
