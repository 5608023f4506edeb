package source

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

const (
	baseRole   = "arn:aws:iam::123456789012:role/base"
	scopedRole = "arn:aws:iam::999999999999:role/scoped"
	secretText = "CANARY-7f3a"
)

// chain is a connection with Roles Anywhere, whose session is the caller, and the STS that knows it.
type chain struct {
	*awstest.Server
	conn   *connection.Connection
	caller session.Session
	assume *STS
}

func newChain(t *testing.T, o awstest.Options) *chain {
	t.Helper()
	c := &chain{Server: awstest.NewServer(o)}
	t.Cleanup(c.Close)
	conn := connection.New()
	conn.AuthType, conn.RoleARN, conn.STSEndpoint = connection.AuthRolesAnywhere, baseRole, c.URL
	c.conn = &conn
	c.caller = session.Session{AccessKey: "ASIABASE", SecretKey: secret.New(secretText),
		SessionToken: secret.New(secretText + "-token")}
	c.AddSession(awstest.Session{AccessKey: "ASIABASE", SecretKey: secretText, SessionToken: secretText + "-token",
		ARN: "arn:aws:sts::123456789012:assumed-role/base/x", SourceIdentity: "cn",
		Expiration: time.Now().Add(time.Hour)})
	turns, err := budget.NewGroup(time.Now, budget.DefaultRates())
	if err != nil {
		t.Fatal(err)
	}
	c.assume = &STS{Now: time.Now, Turns: turns, Mount: &budget.Mount{}}
	return c
}

func (c *chain) obtain(t *testing.T, r *scope.Rendered) (session.Session, error) {
	t.Helper()
	return c.assume.Obtain(t.Context(), c.conn, c.caller, r, budget.First)
}

func narrowed(change func(*scope.Rendered)) *scope.Rendered {
	r := &scope.Rendered{Policy: `{"Version":"2012-10-17","Statement":[]}`, RoleARN: scopedRole,
		SessionName: "orders-reports",
		Duration:    20 * time.Minute}
	if change != nil {
		change(r)
	}
	return r
}

func TestAssumeRole_SendsTheScopeAndReturnsItsSession(t *testing.T) {
	t.Parallel()
	c := newChain(t, awstest.Options{Roles: []awstest.Role{{ARN: scopedRole, ExternalID: "ext"}},
		PackedSize: func(awstest.AssumeRoleRequest) int { return 17 }})
	before := time.Now()
	s, err := c.obtain(t, narrowed(func(r *scope.Rendered) {
		r.ExternalID, r.Tags, r.TransitiveTagKeys = "ext",
			[]scope.Tag{{Key: "team", Value: "blue"}, {Key: "void", Value: ""}}, []string{"team"}
	}))
	if err != nil {
		t.Fatalf("Obtain: %v", err)
	}
	if s.AccessKey == "" || s.SecretKey.Empty() || s.SessionToken.Empty() || s.PackedPolicySize != 17 ||
		s.ARN != "arn:aws:sts::999999999999:assumed-role/scoped/orders-reports" {
		t.Errorf("the session is %+v", s)
	}
	if s.Issued.Before(before.Add(-time.Second)) || s.Expiration.Sub(s.Issued) > 20*time.Minute ||
		s.Expiration.Sub(s.Issued) < 19*time.Minute {
		t.Errorf("issued %s, ends %s; want 20 minutes", s.Issued, s.Expiration)
	}
	sent := c.Requests()[0].Parameters
	for name, want := range map[string]string{"RoleArn": scopedRole, "Policy": narrowed(nil).Policy,
		"DurationSeconds": "1200",
		"ExternalId":      "ext", "RoleSessionName": "orders-reports", "Tags.member.1.Key": "team",
		"Tags.member.1.Value":        "blue",
		"TransitiveTagKeys.member.1": "team"} {
		if !reflect.DeepEqual(sent[name], []string{want}) {
			t.Errorf("%s was sent as %q, want %q", name, sent[name], want)
		}
	}
}

func TestAssumeRole_RefusalsAreInSTSsWordsWithAHint(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		role   awstest.Role
		packed int
		change func(*scope.Rendered)
		says   []string
	}{
		{"another role", awstest.Role{ARN: baseRole}, 0, nil,
			[]string{"AccessDenied: ", "not authorized to perform: sts:AssumeRole", "trust policy"}},
		{"another external id", awstest.Role{ARN: scopedRole, ExternalID: "x"}, 0, nil,
			[]string{"AccessDenied", "external_id"}},
		{"no tags", awstest.Role{ARN: scopedRole, DenyTagSession: true}, 0,
			func(r *scope.Rendered) { r.Tags = []scope.Tag{{Key: "a", Value: "b"}} },
			[]string{"has to allow sts:TagSession"}},
		{"no source identity", awstest.Role{ARN: scopedRole, DenySetSourceIdentity: true}, 0, nil,
			[]string{"has to allow sts:SetSourceIdentity"}},
		{"too long for a chain", awstest.Role{ARN: scopedRole, MaxDuration: 12 * time.Hour}, 0,
			func(r *scope.Rendered) { r.Duration = 2 * time.Hour }, []string{"role chaining", "3600 s or less"}},
		{"too long for the role", awstest.Role{ARN: scopedRole, MaxDuration: 15 * time.Minute}, 0, nil,
			[]string{"MaxSessionDuration", "lower duration"}},
		{"too large", awstest.Role{ARN: scopedRole}, 143, nil,
			[]string{"PackedPolicyTooLarge", "143%", "split the scope"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, awstest.Options{Roles: []awstest.Role{row.role},
				PackedSize: func(awstest.AssumeRoleRequest) int { return row.packed }})
			s, err := c.obtain(t, narrowed(row.change))
			var failed *upstream.Error
			if !errors.As(err, &failed) || failed.Kind != upstream.Permanent || failed.Operation != AssumeRole ||
				s.AccessKey != "" {
				t.Fatalf("%+v, %v; want a permanent *upstream.Error of AssumeRole", s, err)
			}
			for _, word := range row.says {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if strings.Contains(err.Error(), secretText) || c.Calls(AssumeRole) != 1 {
				t.Errorf("%d calls, %v", c.Calls(AssumeRole), err)
			}
		})
	}
}

func TestAssumeRole_TriesAgainWhatMayPass(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		fault awstest.Fault
		calls int
		kind  upstream.Kind // of the error; with passes none
		pass  bool
	}{
		{"throttled once", awstest.Throttling(AssumeRole, 1), 2, 0, true},
		{"throttled always", awstest.Throttling(AssumeRole, 0), 3, upstream.Throttled, false},
		{"unavailable twice", awstest.Fault{Operation: AssumeRole, Times: 2, Status: 503, Code: "ServiceUnavailable"},
			3, 0, true},
		{"unavailable always", awstest.Fault{Operation: AssumeRole, Status: 500, Code: "InternalFailure"}, 3,
			upstream.Unavailable, false},
		{"dropped once", awstest.Fault{Operation: AssumeRole, Times: 1, Drop: true}, 0, 0, true},
		{"nonsense", awstest.Fault{Operation: AssumeRole, Body: "<html>" + secretText + "</html>"}, 1,
			upstream.Permanent, false},
		{"half a session", awstest.Fault{Operation: AssumeRole,
			Body: "<AssumeRoleResponse><AssumeRoleResult><Credentials>" +
				"<AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>"}, 1,
			upstream.Permanent, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newChain(t, awstest.Options{Roles: []awstest.Role{{ARN: scopedRole}}})
			c.Inject(row.fault)
			_, err := c.obtain(t, narrowed(nil))
			var failed *upstream.Error
			if row.pass != (err == nil) || err != nil && (!errors.As(err, &failed) || failed.Kind != row.kind) {
				t.Errorf("the error is %v, want kind %s", err, row.kind)
			}
			if row.calls != 0 && c.Calls(AssumeRole) != row.calls {
				t.Errorf("%d calls, want %d", c.Calls(AssumeRole), row.calls)
			}
			if err != nil && strings.Contains(err.Error(), secretText) {
				t.Errorf("the error repeats the response: %v", err)
			}
		})
	}
}

func TestAssumeRole_WithoutAPolicyNothingIsCalled(t *testing.T) {
	t.Parallel()
	c := newChain(t, awstest.Options{Roles: []awstest.Role{{ARN: scopedRole}}})
	_, err := c.obtain(t, narrowed(func(r *scope.Rendered) { r.Policy = "" }))
	if !errors.Is(err, errNoPolicy) || len(c.Requests()) != 0 {
		t.Errorf("%d requests, %v; want none and errNoPolicy", len(c.Requests()), err)
	}
}

func TestAssumeRole_WaitsForItsTurn(t *testing.T) {
	t.Parallel()
	c := newChain(t, awstest.Options{Roles: []awstest.Role{{ARN: scopedRole}}})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.assume.Obtain(cancelled, c.conn, c.caller, narrowed(nil), budget.First); err == nil ||
		errors.Is(err, session.ErrPending) {
		t.Errorf("a request that was given up: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := c.assume.Obtain(late, c.conn, c.caller, narrowed(nil), budget.First); !errors.Is(err,
		session.ErrPending) {
		t.Errorf("no turn in time: %v, want ErrPending", err)
	}
	if calls := c.Calls(AssumeRole); calls != 0 {
		t.Errorf("%d calls were made without a turn", calls)
	}
}

func TestSTS_IsTheStoresOwnOrAWSs(t *testing.T) {
	t.Parallel()
	conn := connection.New()
	conn.Region, conn.AccessKey = "eu-west-1", "AKIA1"
	if sts, queue := stsOf(&conn), stsQueue(&conn); sts.Endpoint != "" || sts.Region != "eu-west-1" ||
		queue != (budget.Key{Account: "AKIA1", Region: "eu-west-1", API: budget.STS}) {
		t.Errorf("AWS's is %+v in queue %+v", sts, queue)
	}
	conn.RoleARN = baseRole
	if queue := stsQueue(&conn); queue.Account != "123456789012" {
		t.Errorf("the account is %q", queue.Account)
	}
	conn.S3Endpoint, conn.S3Region = "https://minio.example:9000", "garage"
	if sts, queue := stsOf(&conn), stsQueue(&conn); sts.Endpoint != conn.S3Endpoint || sts.Region != "garage" ||
		queue.Account != conn.S3Endpoint {
		t.Errorf("the store's is %+v in queue %+v", sts, queue)
	}
}
