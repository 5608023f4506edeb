package rolesanywhere

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

func testInput() CreateSessionInput {
	return CreateSessionInput{
		ProfileARN: "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555",
		RoleARN:    "arn:aws:iam::123456789012:role/app",
		TrustAnchorARN: "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/" +
			"11111111-2222-3333-4444-555555555555",
		RoleSessionName: "orders-api",
		Duration:        15 * time.Minute,
	}
}

// sessionJSON is an answer with the given expiration.
func sessionJSON(expires time.Time) string {
	return fmt.Sprintf(
		`{"credentialSet":[{"assumedRoleUser":{"arn":"arn:aws:sts::210987654321:assumed-role/app/orders-api",
"assumedRoleId":"AROAEXAMPLE:orders-api"},"credentials":{"accessKeyId":"ASIAEXAMPLE","secretAccessKey":"SECRET",
"sessionToken":"TOKEN","expiration":%q},"packedPolicySize":7,"roleArn":"arn:aws:iam::123456789012:role/app",
"sourceIdentity":"CN=orders"}],"subjectArn":"arn:aws:rolesanywhere:us-east-1:123456789012:subject/1"}`,
		expires.Format(time.RFC3339),
	)
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
	return New(o)
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
	}, func(o *Options) { o.AppID = "my app\r\n:é/1" })
	out, err := client.CreateSession(t.Context(), vectorIdentity(t, "p256"), testInput())
	if err != nil {
		t.Fatal(err)
	}
	s := <-got
	if s.method != "POST" || s.path != "/sessions" || s.query != "" || s.contentType != "application/json" ||
		!regexp.MustCompile(`^s3conn-rolesanywhere/[0-9.]+ os/[a-z]+ lang/go#[0-9a-z.+-]+ app/my-app-----1$`).
			MatchString(s.agent) ||
		!strings.Contains(s.authorization, "/20261123/us-east-1/rolesanywhere/aws4_request, "+
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
		AssumedRoleARN: "arn:aws:sts::210987654321:assumed-role/app/orders-api",
		AssumedRoleID:  "AROAEXAMPLE:orders-api",
		SubjectARN:     "arn:aws:rolesanywhere:us-east-1:123456789012:subject/1", SourceIdentity: "CN=orders",
		RequestID: "req-1", PackedPolicySize: 7,
	}
	if *out != wantOut {
		t.Errorf("output differs: %+v, %+v", out.Credentials, wantOut.Credentials)
	}
}

type doerFunc func(*http.Request) (*http.Response, error)

func (f doerFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestCreateSession_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, doer := range map[string]aws.HTTPClient{"net/http": &http.Client{},
			"SDK": awshttp.NewBuildableClient()} {
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
