package rolesanywhere

import (
	"crypto/elliptic"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// bubbleService answers on the clock of a synctest bubble: sessions of an hour, or 503 in an outage.
type bubbleService struct {
	lifetime time.Duration
	mu       sync.Mutex
	down     bool
	calls    int
}

func (s *bubbleService) Do(*http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	status, body := 503, ""
	if !s.down {
		status = 201
		body = strings.Replace(sessionJSON(time.Now().Add(s.lifetime)), "ASIAEXAMPLE", fmt.Sprint("ASIA", s.calls), 1)
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (s *bubbleService) set(down bool) (calls int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	calls, s.calls = s.calls, 0
	return calls
}

// bubbleIdentity is valid at a bubble's time, which begins in the year 2000.
func bubbleIdentity(t *testing.T) *Identity {
	t.Helper()
	key, template := ecKey(t, elliptic.P256()), leafTemplate()
	template.NotBefore, template.NotAfter = time.Date(
		1999,
		1,
		1,
		0,
		0,
		0,
		0,
		time.UTC,
	), time.Date(
		2001,
		1,
		1,
		0,
		0,
		0,
		0,
		time.UTC,
	)
	id, err := NewIdentity([]*x509.Certificate{selfSigned(t, template, key)}, key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func window(d time.Duration) func(*aws.CredentialsCacheOptions) {
	return func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = d }
}

// poll retrieves once a second for d, and returns how often that failed.
func poll(t *testing.T, cache *aws.CredentialsCache, d time.Duration, check func(aws.Credentials)) (failures int) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); <-time.After(time.Second) {
		got, err := cache.Retrieve(t.Context())
		if err != nil {
			failures++
		} else if check != nil {
			check(got)
		}
	}
	return failures
}
