package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	userKey      = "AKIATESTTESTTESTTEST"
	userSecret   = "user-secret-of-the-tests"
	sessionLife  = time.Hour
	sessionToken = "token-of-the-session"
)

// newTestStore returns a store whose clock is ahead of the real one by *ahead, and a session that it accepts.
func newTestStore(t *testing.T, ahead time.Duration) (*store, aws.Credentials) {
	t.Helper()
	begin := time.Now()
	s, err := startStore(t.Context(), func() time.Time { return begin.Add(ahead) }, userKey, userSecret, "one", "two")
	if err != nil {
		t.Fatalf("starting the store: %v", err)
	}
	t.Cleanup(s.close)
	session := aws.Credentials{AccessKeyID: "ASIATESTTESTTESTTEST", SecretAccessKey: "session-secret",
		SessionToken: sessionToken}
	s.admit(rolesanywheretest.Credentials{
		AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey, SessionToken: session.SessionToken,
		Expiration: begin.Add(sessionLife),
	}, nil)
	return s, session
}

func TestStore_LetsInGoodCredentials(t *testing.T) {
	t.Parallel()
	s, session := newTestStore(t, sessionLife-time.Nanosecond)
	for who, creds := range map[string]aws.Credentials{
		"a session in its last moment": session,
		"a user without a token":       {AccessKeyID: userKey, SecretAccessKey: userSecret},
	} {
		buckets, err := listBuckets(t.Context(), s.url, creds)
		if err != nil {
			t.Errorf("%s: %v", who, err)
		}
		if want := []string{"one", "two"}; !slices.Equal(buckets, want) {
			t.Errorf("%s: buckets = %v, want %v", who, buckets, want)
		}
	}
}

func TestStore_RefusesOtherCredentials(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead  time.Duration
		change func(*aws.Credentials)
		code   string
	}{
		"a session without its token": {change: func(c *aws.Credentials) { c.SessionToken = "" },
			code: "InvalidTokenId"},
		"a session with another's token": {change: func(c *aws.Credentials) { c.SessionToken = "token-of-another" },
			code: "InvalidTokenId"},
		"a token with more after it": {change: func(c *aws.Credentials) { c.SessionToken += "A" },
			code: "InvalidTokenId"},
		"a user with a token": {change: func(c *aws.Credentials) {
			*c = aws.Credentials{AccessKeyID: userKey, SecretAccessKey: userSecret, SessionToken: sessionToken}
		}, code: "InvalidTokenId"},
		"an unknown user": {change: func(c *aws.Credentials) {
			c.AccessKeyID,
				c.SessionToken = "AKIAUNKNOWNUNKNOWNUN", ""
		}, code: "InvalidAccessKeyId"},
		"a session with another secret": {change: func(c *aws.Credentials) { c.SecretAccessKey = userSecret },
			code: "SignatureDoesNotMatch"},
		"a session at its expiration": {ahead: sessionLife, change: func(*aws.Credentials) {}, code: "ExpiredToken"},
		"an expired session with another token": {ahead: sessionLife,
			change: func(c *aws.Credentials) { c.SessionToken = "x" },
			code:   "InvalidTokenId"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, creds := newTestStore(t, test.ahead)
			test.change(&creds)
			buckets, err := listBuckets(t.Context(), s.url, creds)
			if refusal, ok := errors.AsType[smithy.APIError](err); !ok || refusal.ErrorCode() != test.code {
				t.Errorf("error = %v, want %s", err, test.code)
			}
			if buckets != nil {
				t.Errorf("buckets = %v beside an error, want none", buckets)
			}
		})
	}
}

func TestStore_RefusesARequestThatIsNotSigned(t *testing.T) {
	t.Parallel()
	s, _ := newTestStore(t, 0)
	if status, body := get(t, s.url+"/one/readme.txt"); status < 400 || strings.Contains(body, "one object") {
		t.Errorf("an anonymous read was answered %d %s, want a refusal", status, body)
	}
}

// A presigned URL has the key and the token in its query.
func TestStore_ChecksPresignedURLs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead  time.Duration
		token  string
		status int
		body   string
	}{
		"with the session's token": {token: sessionToken, status: http.StatusOK, body: "one object of one"},
		"with another token": {token: "token-of-another", status: http.StatusForbidden,
			body: "<Code>InvalidTokenId</Code>"},
		"without a token": {status: http.StatusForbidden, body: "<Code>InvalidTokenId</Code>"},
		"of an expired session": {ahead: sessionLife, token: sessionToken, status: http.StatusBadRequest,
			body: "<Code>ExpiredToken</Code>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, session := newTestStore(t, test.ahead)
			session.SessionToken = test.token
			status, body := get(t, presign(t, s.url, session))
			if status != test.status || !strings.Contains(body, test.body) {
				t.Errorf("answer = %d %s, want %d %s", status, body, test.status, test.body)
			}
		})
	}
}

func presign(t *testing.T, endpoint string, c aws.Credentials) string {
	t.Helper()
	client := s3.NewPresignClient(s3.New(s3.Options{
		Region: region, BaseEndpoint: &endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
	}))
	request, err := client.PresignGetObject(t.Context(),
		&s3.GetObjectInput{Bucket: aws.String("one"), Key: aws.String("readme.txt")})
	if err != nil {
		t.Fatalf("presigning: %v", err)
	}
	return request.URL
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatalf("making a request: %v", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatalf("getting: %v", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	return response.StatusCode, string(body)
}
