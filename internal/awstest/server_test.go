package awstest_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/awscall"
	"github.com/s3conn/vault-plugin-s3conn/internal/awstest"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const roleARN = "arn:aws:iam::123456789012:role/path/orders"

// clock moves when a test advances it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a server and the plugin's own client for it.
type world struct {
	*awstest.Server
	*awscall.Client
	clock *clock
	sts   awscall.STS
	iam   awscall.IAM
	s3    awscall.S3
}

func newWorld(t *testing.T, o awstest.Options) *world {
	t.Helper()
	clock := newClock()
	o.Now = clock.Now
	server := awstest.NewServer(o)
	t.Cleanup(server.Close)
	return &world{server, &awscall.Client{HTTP: http.DefaultClient, Now: clock.Now}, clock,
		awscall.STS{Endpoint: server.URL, Region: "us-east-1"}, awscall.IAM{Endpoint: server.URL, Region: "us-east-1"},
		awscall.S3{Endpoint: server.URL, Region: "us-east-1"}}
}

func credentialsOf(key awstest.Key) awscall.Credentials {
	return awscall.Credentials{AccessKeyID: key.ID, SecretAccessKey: secret.New(key.Secret)}
}

func wantCode(t *testing.T, err error, code, words string) {
	t.Helper()
	var refusal *awscall.Refusal
	switch {
	case code == "" && err != nil:
		t.Errorf("the error is %v, want none", err)
	case code != "" && (!errors.As(err, &refusal) || refusal.Code != code || !strings.Contains(refusal.Message, words)):
		t.Errorf("the error is %v, want %s: %s", err, code, words)
	}
}

func TestCallerIdentity_IsTheUsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{})
	key := credentialsOf(w.AddUser("app"))
	identity, err := w.GetCallerIdentity(t.Context(), w.sts, key)
	if err != nil || identity.ARN != "arn:aws:iam::123456789012:user/app" {
		t.Errorf("the identity is %+v, %v", identity, err)
	}
	for name, change := range map[string]func(*awscall.Credentials){
		"another secret": func(c *awscall.Credentials) { c.SecretAccessKey = secret.New("x") },
		"another key":    func(c *awscall.Credentials) { c.AccessKeyID = "AKIAOTHER" },
		"a token":        func(c *awscall.Credentials) { c.SessionToken = secret.New("x") },
	} {
		other := key
		change(&other)
		if _, err := w.GetCallerIdentity(t.Context(), w.sts, other); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestAssumeRole_JudgesParametersAndTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{Roles: []awstest.Role{
		{ARN: roleARN, MaxDuration: 2 * time.Hour},
		{ARN: roleARN + "-external", ExternalID: "x:1"},
		{ARN: roleARN + "-untagged", DenyTagSession: true},
		{ARN: roleARN + "-unnamed", DenySetSourceIdentity: true},
		{ARN: roleARN + "-other", Trusts: "arn:aws:iam::123456789012:user/other"},
	}})
	user, root := credentialsOf(w.AddUser("app")), credentialsOf(w.AddUser("root"))
	w.AddSession(
		awstest.Session{
			AccessKey:      "ASIA1",
			SecretKey:      "s",
			SessionToken:   "t",
			ARN:            "arn:aws:sts::123456789012:assumed-role/base/x",
			SourceIdentity: "cn",
			Expiration:     w.clock.Now().Add(time.Hour),
		},
	)
	session := awscall.Credentials{
		AccessKeyID:     "ASIA1",
		SecretAccessKey: secret.New("s"),
		SessionToken:    secret.New("t"),
	}
	many := make([]awscall.Tag, 51)
	for i := range many {
		many[i] = awscall.Tag{Key: strings.Repeat("k", i+1), Value: "v"}
	}
	for name, tt := range map[string]struct {
		caller      awscall.Credentials
		change      func(*awscall.AssumeRoleInput)
		code, words string
	}{
		"as it should be": {user, func(*awscall.AssumeRoleInput) {}, "", ""},
		"two hours":       {user, func(in *awscall.AssumeRoleInput) { in.Duration = 2 * time.Hour }, "", ""},
		"over the role's limit": {user, func(in *awscall.AssumeRoleInput) { in.Duration = 3 * time.Hour },
			"ValidationError", "MaxSessionDuration"},
		"over AWS's limit": {user, func(in *awscall.AssumeRoleInput) { in.Duration = 13 * time.Hour },
			"ValidationError", "43200"},
		"too short": {user, func(in *awscall.AssumeRoleInput) { in.Duration = 899 * time.Second },
			"ValidationError", "900"},
		"chained": {session, func(*awscall.AssumeRoleInput) {}, "", ""},
		"chained over an hour": {session, func(in *awscall.AssumeRoleInput) { in.Duration = 3601 * time.Second },
			"ValidationError", "role chaining"},
		"another identity": {session, func(in *awscall.AssumeRoleInput) { in.SourceIdentity = "me" },
			"AccessDenied", "sts:SetSourceIdentity"},
		"identity not trusted": {session, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-unnamed" },
			"AccessDenied", "sts:SetSourceIdentity"},
		"own identity": {user, func(in *awscall.AssumeRoleInput) { in.SourceIdentity = "me" }, "", ""},
		"root":         {root, func(*awscall.AssumeRoleInput) {}, "AccessDenied", "root"},
		"no such role": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-none" }, "AccessDenied",
			"sts:AssumeRole"},
		"another's role": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-other" }, "AccessDenied",
			"sts:AssumeRole"},
		"no ARN": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN = "orders" }, "ValidationError",
			"invalid"},
		"no session name": {user, func(in *awscall.AssumeRoleInput) { in.SessionName = "" }, "ValidationError",
			"roleSessionName"},
		"a long session name": {user, func(in *awscall.AssumeRoleInput) { in.SessionName = strings.Repeat("a", 65) },
			"ValidationError", "roleSessionName"},
		"a wrong session name": {user, func(in *awscall.AssumeRoleInput) { in.SessionName = "a/b" },
			"ValidationError", "roleSessionName"},
		"a wrong external id": {user, func(in *awscall.AssumeRoleInput) { in.ExternalID = "a b" }, "ValidationError",
			"externalId"},
		"no external id": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-external" },
			"AccessDenied", "sts:AssumeRole"},
		"external id": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-external"; in.ExternalID = "x:1" },
			"", ""},
		"tags not trusted": {user, func(in *awscall.AssumeRoleInput) { in.RoleARN += "-untagged"; in.Tags = many[:1] },
			"AccessDenied", "sts:TagSession"},
		"tags": {user, func(in *awscall.AssumeRoleInput) { in.Tags = many[:50]; in.TransitiveTagKeys = []string{"k"} },
			"", ""},
		"too many tags": {user, func(in *awscall.AssumeRoleInput) { in.Tags = many }, "ValidationError",
			"tags"},
		"an unknown transitive": {user, func(in *awscall.AssumeRoleInput) { in.TransitiveTagKeys = []string{"k"} },
			"InvalidParameterValue", "transitive"},
		"a tag twice": {user, func(in *awscall.AssumeRoleInput) {
			in.Tags = []awscall.Tag{{Key: "a"}, {Key: "A"}}
		}, "InvalidParameterValue", "Duplicate"},
		"AWS's own tag": {user, func(in *awscall.AssumeRoleInput) { in.Tags = []awscall.Tag{{Key: "aws:x"}} },
			"ValidationError", "tags.1"},
		"a wrong tag": {user, func(in *awscall.AssumeRoleInput) {
			in.Tags = []awscall.Tag{{Key: "a", Value: "a;b"}}
		}, "ValidationError", "value"},
		"a policy": {user, func(in *awscall.AssumeRoleInput) { in.Policy = policyOf(2048) }, "", ""},
		"a policy too long": {user, func(in *awscall.AssumeRoleInput) { in.Policy = policyOf(2049) },
			"ValidationError", "2048"},
		"no JSON": {user, func(in *awscall.AssumeRoleInput) { in.Policy = "allow" },
			"MalformedPolicyDocument", "Json"},
		"no policy's characters": {user, func(in *awscall.AssumeRoleInput) { in.Policy = `{"Statement":"€"}` },
			"ValidationError", "policy"},
		"packed too big": {user, func(in *awscall.AssumeRoleInput) { in.Policy = policyOf(2048); in.Tags = many[:50] },
			"PackedPolicyTooLarge", "% of allotted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := awscall.AssumeRoleInput{RoleARN: roleARN, SessionName: "orders-read"}
			tt.change(&in)
			_, err := w.AssumeRole(t.Context(), w.sts, tt.caller, in)
			wantCode(t, err, tt.code, tt.words)
		})
	}
}

func policyOf(size int) string {
	const empty = `{"Statement":[{"Sid":""}]}`
	return `{"Statement":[{"Sid":"` + strings.Repeat("a", size-len(empty)) + `"}]}`
}

func TestAssumeRole_IssuesCredentialsThatEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awstest.Options{Roles: []awstest.Role{{ARN: roleARN}}})
	out, err := w.AssumeRole(
		t.Context(),
		w.sts,
		credentialsOf(w.AddUser("app")),
		awscall.AssumeRoleInput{
			RoleARN:     roleARN,
			SessionName: "read",
			Policy:      policyOf(205),
			Duration:    15 * time.Minute,
		},
	)
	if err != nil || out.ARN != "arn:aws:sts::123456789012:assumed-role/orders/read" || out.PackedPolicySize != 11 ||
		!out.Expiration.Equal(w.clock.Now().Add(15*time.Minute)) {
		t.Fatalf("the session is %+v, %v", out, err)
	}
	identity, err := w.GetCallerIdentity(t.Context(), w.sts, out.Credentials)
	if err != nil || identity.ARN != out.ARN {
		t.Errorf("the identity is %+v, %v", identity, err)
	}
	w.clock.advance(15 * time.Minute)
	_, err = w.GetCallerIdentity(t.Context(), w.sts, out.Credentials)
	wantCode(t, err, "ExpiredToken", "expired")
}

func TestAssumeRole_HandsTheRequestOff(t *testing.T) {
	t.Parallel()
	var handed awstest.AssumeRoleRequest
	w := newWorld(
		t,
		awstest.Options{
			Roles: []awstest.Role{{ARN: roleARN}},
			HandOff: func(r awstest.AssumeRoleRequest) (awstest.Session, error) {
				handed = r
				if r.SessionName == "refused" {
					return awstest.Session{}, &awstest.Refusal{
						Status:  403,
						Code:    "AccessDenied",
						Message: "the store refused",
					}
				}
				return awstest.Session{AccessKey: "STORE", SecretKey: "s", SessionToken: "t"}, nil
			},
		},
	)
	user := credentialsOf(w.AddUser("app"))
	in := awscall.AssumeRoleInput{
		RoleARN:     roleARN,
		SessionName: "read",
		Policy:      policyOf(100),
		Tags:        []awscall.Tag{{Key: "a", Value: "b"}},
	}
	out, err := w.AssumeRole(t.Context(), w.sts, user, in)
	if err != nil || out.Credentials.AccessKeyID != "STORE" || handed.Policy != in.Policy || handed.Tags["a"] != "b" {
		t.Errorf("the session is %+v, %v, of %+v", out, err, handed)
	}
	in.SessionName = "refused"
	_, err = w.AssumeRole(t.Context(), w.sts, user, in)
	wantCode(t, err, "AccessDenied", "the store refused")
}
