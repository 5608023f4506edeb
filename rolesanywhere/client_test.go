package rolesanywhere

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

func testInput() CreateSessionInput {
	return CreateSessionInput{
		ProfileARN:      "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:         "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN:  "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/11111111-2222-3333-4444-555555555555",
		RoleSessionName: "orders api",
		Duration:        15 * time.Minute,
	}
}

// sessionJSON is an answer with the given expiration.
func sessionJSON(expires time.Time) string {
	return fmt.Sprintf(`{"credentialSet":[{"assumedRoleUser":{"arn":"arn:aws:sts::210987654321:assumed-role/app/orders-api",
"assumedRoleId":"AROAEXAMPLE:orders-api"},"credentials":{"accessKeyId":"ASIAEXAMPLE","secretAccessKey":"SECRET",
"sessionToken":"TOKEN","expiration":%q},"packedPolicySize":7,"roleArn":"arn:aws:iam::123456789012:role/app",
"sourceIdentity":"CN=orders"}],"subjectArn":"arn:aws:rolesanywhere:us-east-1:123456789012:subject/1"}`,
		expires.Format(time.RFC3339))
}

func answerSession(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Amzn-RequestId", "req-1")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, sessionJSON(vectorTime.Add(time.Hour)))
}

// newTestClient starts a server on loopback and returns a client for it; change may alter the options.
func newTestClient(t testing.TB, handler http.HandlerFunc, change func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	o := Options{Region: "us-east-1", Endpoint: server.URL, HTTPClient: server.Client(), Now: vectorClock}
	if change != nil {
		change(&o)
	}
	client, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestNewClient_TellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		o    Options
		says string
	}{
		"no region":          {Options{}, "checking region"},
		"region in capitals": {Options{Region: "US-EAST-1"}, "lower-case letters"},
		"region with host":   {Options{Region: "x.evil.example/"}, "lower-case letters"},
		"region with dash":   {Options{Region: "-x"}, "lower-case letters"},
		"relative endpoint":  {Options{Region: "us-east-1", Endpoint: "/sessions"}, "checking endpoint"},
		"other scheme":       {Options{Region: "us-east-1", Endpoint: "ftp://h"}, "checking endpoint"},
		"no host":            {Options{Region: "us-east-1", Endpoint: "https://:443"}, "checking endpoint"},
		"user information":   {Options{Region: "us-east-1", Endpoint: "https://u:CANARY@h"}, "checking endpoint"},
		"query":              {Options{Region: "us-east-1", Endpoint: "https://h?CANARY"}, "checking endpoint"},
		"empty query":        {Options{Region: "us-east-1", Endpoint: "https://h?"}, "checking endpoint"},
		"fragment":           {Options{Region: "us-east-1", Endpoint: "https://h#CANARY"}, "checking endpoint"},
		"not a URL":          {Options{Region: "us-east-1", Endpoint: "https://CANARY:x%zz"}, "checking endpoint"},
		"negative timeout":   {Options{Region: "us-east-1", Timeout: -1}, "checking timeout"},
		"user agent":         {Options{Region: "us-east-1", UserAgent: "a\r\nX: y"}, "checking user agent"},
	} {
		client, err := NewClient(tt.o)
		if client != nil || !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), tt.says) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: error = %v; want ErrInvalidInput saying %q", name, err, tt.says)
		}
	}
}

func TestNewClient_FindsTheAddress(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"":                     "https://rolesanywhere.eu-west-1.amazonaws.com/sessions",
		"http://127.0.0.1:1":   "http://127.0.0.1:1/sessions",
		"https://h/":           "https://h/sessions",
		"https://h:8443/base/": "https://h:8443/base/sessions",
	} {
		client, err := NewClient(Options{Region: "eu-west-1", Endpoint: endpoint})
		if err != nil || client.url != want {
			t.Errorf("%q: client = %+v, %v, want %s", endpoint, client, err, want)
		}
	}
}

func TestNewClient_DefaultTransportIsClosedToTheEnvironment(t *testing.T) {
	t.Parallel()
	client, err := NewClient(Options{Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	transport := client.http.(*http.Client).Transport.(*http.Transport)
	if transport.Proxy != nil || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("Proxy set: %t, TLS from %x", transport.Proxy != nil, transport.TLSClientConfig.MinVersion)
	}
}

func TestCreateSession_SendsWhatTheServiceReads(t *testing.T) {
	t.Parallel()
	type sent struct {
		method, path, query, contentType, agent, authorization string
		body                                                   map[string]any
	}
	got := make(chan sent, 1)
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		s := sent{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), r.UserAgent(),
			r.Header.Get("Authorization"), nil}
		if err := json.NewDecoder(r.Body).Decode(&s.body); err != nil {
			t.Errorf("decoding body: %v", err)
		}
		got <- s
		answerSession(w, r)
	}, func(o *Options) { o.UserAgent = "test-agent/1" })
	out, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
	if err != nil {
		t.Fatal(err)
	}
	s := <-got
	if s.method != "POST" || s.path != "/sessions" || s.query != "" || s.contentType != "application/json" ||
		s.agent != "test-agent/1" || !strings.Contains(s.authorization, "/20261123/us-east-1/rolesanywhere/aws4_request, "+
		"SignedHeaders=content-type;host;x-amz-date;x-amz-x509, ") {
		t.Errorf("sent %+v", s)
	}
	in := testInput()
	want := map[string]any{"durationSeconds": 900.0, "profileArn": in.ProfileARN, "roleArn": in.RoleARN,
		"trustAnchorArn": in.TrustAnchorARN, "roleSessionName": "orders-api"}
	if fmt.Sprint(s.body) != fmt.Sprint(want) {
		t.Errorf("body = %v\nwant %v", s.body, want)
	}
	wantOut := CreateSessionOutput{
		Credentials: aws.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "SECRET", SessionToken: "TOKEN",
			Source: ProviderName, CanExpire: true, Expires: vectorTime.Add(time.Hour), AccountID: "210987654321"},
		AssumedRoleARN: "arn:aws:sts::210987654321:assumed-role/app/orders-api", AssumedRoleID: "AROAEXAMPLE:orders-api",
		SubjectARN: "arn:aws:rolesanywhere:us-east-1:123456789012:subject/1", SourceIdentity: "CN=orders",
		RequestID: "req-1", PackedPolicySize: 7,
	}
	if *out != wantOut {
		t.Errorf("output differs: %+v, %+v", out.Credentials, wantOut.Credentials)
	}
}

func TestCreateSession_RefusesBadInputUnsent(t *testing.T) {
	t.Parallel()
	client := newTestClient(t, func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }, nil)
	id := vectorIdentity(t, "p256")
	for name, tt := range map[string]struct {
		change func(*CreateSessionInput)
		says   string
	}{
		"no profile":       {func(in *CreateSessionInput) { in.ProfileARN = "" }, "ProfileARN"},
		"role not an ARN":  {func(in *CreateSessionInput) { in.RoleARN = "app" }, "RoleARN"},
		"no trust anchor":  {func(in *CreateSessionInput) { in.TrustAnchorARN = "" }, "TrustAnchorARN"},
		"short duration":   {func(in *CreateSessionInput) { in.Duration = 899 * time.Second }, "15m0s to 12h0m0s"},
		"long duration":    {func(in *CreateSessionInput) { in.Duration = 12*time.Hour + 1 }, "15m0s to 12h0m0s"},
		"negative":         {func(in *CreateSessionInput) { in.Duration = -time.Hour }, "15m0s to 12h0m0s"},
		"identity missing": {nil, "no identity"},
	} {
		in, who := testInput(), id
		if tt.change == nil {
			who = nil
		} else {
			tt.change(&in)
		}
		out, err := client.CreateSession(t.Context(), who, in)
		if out != nil || !errors.Is(err, ErrInvalidInput) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: error = %v; want ErrInvalidInput saying %q", name, err, tt.says)
		}
	}
	client.now = func() time.Time { return id.Certificate().NotAfter.Add(time.Second) }
	if _, err := client.CreateSession(t.Context(), id, testInput()); !errors.Is(err, ErrCertificateExpired) {
		t.Errorf("expired certificate: error = %v", err)
	}
}

func TestCreateSession_LeavesOutWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	in := testInput()
	in.RoleSessionName, in.Duration = "", 0
	body, err := in.encode()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(body); strings.Contains(s, "roleSessionName") || !strings.Contains(s, `"durationSeconds":3600,`) {
		t.Errorf("body = %s", s)
	}
}

func TestCreateSession_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, doer := range map[string]HTTPDoer{"net/http": &http.Client{}, "SDK": awshttp.NewBuildableClient()} {
			t.Run(fmt.Sprint(status, " ", name), func(t *testing.T) {
				t.Parallel()
				var followed atomic.Bool
				client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != "/sessions" {
						followed.Store(true)
					}
					http.Redirect(w, r, "/elsewhere", status)
				}, func(o *Options) { o.HTTPClient = doer })
				out, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
				apiErr, ok := errors.AsType[*APIError](err)
				if out != nil || !ok || apiErr.StatusCode != status || followed.Load() {
					t.Errorf("error = %v, followed = %t", err, followed.Load())
				}
			})
		}
	}
}

type followingDoer struct{ target *http.Request }

func (d followingDoer) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 201, Request: d.target, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(sessionJSON(vectorTime.Add(time.Hour))))}, nil
}

func TestCreateSession_RefusesAnswerFromAnotherAddress(t *testing.T) {
	t.Parallel()
	target, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://evil.example/", nil)
	client := newTestClient(t, nil, func(o *Options) { o.HTTPClient = followingDoer{target} })
	out, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
	if out != nil || !errors.Is(err, ErrInvalidResponse) {
		t.Errorf("error = %v, want ErrInvalidResponse", err)
	}
}

func TestNewClient_LeavesTheCallersHTTPClientAlone(t *testing.T) {
	t.Parallel()
	mine := &http.Client{Timeout: time.Minute}
	client, err := NewClient(Options{Region: "us-east-1", HTTPClient: mine})
	if err != nil {
		t.Fatal(err)
	}
	if mine.CheckRedirect != nil || client.http.(*http.Client).Timeout != time.Minute {
		t.Error("the client given was changed, or its settings were lost")
	}
}

func TestCredentialsProvider_GivesSessionOrNothing(t *testing.T) {
	t.Parallel()
	var refuse atomic.Bool
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() {
			http.Error(w, `{"message":"Untrusted signing certificate"}`, http.StatusForbidden)
			return
		}
		answerSession(w, r)
	}, nil)
	provider := NewCredentialsProvider(client, vectorIdentity(t, "p256"), testInput())
	got, err := provider.Retrieve(t.Context())
	if err != nil || !got.HasKeys() || got.SessionToken != "TOKEN" {
		t.Errorf("credentials complete: %t, error = %v", got.HasKeys(), err)
	}
	refuse.Store(true)
	got, err = provider.Retrieve(t.Context())
	if _, ok := errors.AsType[*APIError](err); !ok || got != (aws.Credentials{}) {
		t.Errorf("error = %v, credentials empty: %t", err, got == aws.Credentials{})
	}
}
