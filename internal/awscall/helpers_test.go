package awscall

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	canaryKey   = "CANARY-SECRET-KEY"
	canaryToken = "CANARY-SESSION-TOKEN"
)

func testTime() time.Time { return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) }

func testCredentials() Credentials {
	return Credentials{
		AccessKeyID:     "ASIAEXAMPLE",
		SecretAccessKey: secret.New(canaryKey),
		SessionToken:    secret.New(canaryToken),
	}
}

// sent is a request as it arrived.
type sent struct {
	*http.Request
	body string
}

// service responds to every call in the same way.
type service struct {
	url  string
	last atomic.Pointer[sent]
}

// newService starts a server that responds with the status, the body and headers in pairs of name and value.
func newService(t testing.TB, status int, body string, headers ...string) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received, _ := io.ReadAll(r.Body)
		s.last.Store(&sent{r, string(received)})
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func testClient() *Client { return &Client{HTTP: http.DefaultClient, Now: testTime} }

// transport stands for a connection.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// respondWith returns a client whose service sends a body of any size with HTTP 200.
func respondWith(body io.Reader) *Client {
	return &Client{
		Now: testTime,
		HTTP: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK,
				Header:     http.Header{},
				Body:       io.NopCloser(body),
				Request:    r,
			}, nil
		})},
	}
}

func wantRefusal(t *testing.T, err error, want Refusal) {
	t.Helper()
	var got *Refusal
	if !errors.As(err, &got) {
		t.Fatalf("the error is %T: %v, want a *Refusal", err, err)
	}
	if *got != want {
		t.Errorf("the refusal is %+v, want %+v", *got, want)
	}
}

func wantMalformed(t *testing.T, err error) {
	t.Helper()
	var got *MalformedResponse
	if !errors.As(err, &got) {
		t.Fatalf("the error is %T: %v, want a *MalformedResponse", err, err)
	}
}
