package s3conn

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

func atTestTime() time.Time { return testTime }

// newAuthority makes a CA whose clock is the tests'.
func newAuthority(t testing.TB) *rolesanywheretest.Authority {
	t.Helper()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{Now: atTestTime})
	if err != nil {
		t.Fatalf("making an authority: %v", err)
	}
	return authority
}

// issue makes a certificate that is valid for a year unless the options say otherwise.
func issue(t testing.TB, authority *rolesanywheretest.Authority,
	o rolesanywheretest.IssueOptions) *rolesanywheretest.Issued {
	t.Helper()
	if o.NotAfter.IsZero() {
		o.NotAfter = testTime.Add(365 * 24 * time.Hour)
	}
	issued, err := authority.Issue(o)
	if err != nil {
		t.Fatalf("issuing a certificate: %v", err)
	}
	return issued
}

// lab is a mount that talks to a stand-in for the service and to a store, both on loopback.
type lab struct {
	*mount
	aws      *rolesanywheretest.Server
	identity *rolesanywheretest.Issued
	store    *store
}

func newLab(t *testing.T, options rolesanywheretest.Options) *lab {
	t.Helper()
	authority := newAuthority(t)
	options.TrustAnchors = append(options.TrustAnchors, authority.Certificate())
	l := &lab{mount: newMount(t), identity: issue(t, authority, rolesanywheretest.IssueOptions{}), store: newStore(t)}
	options.Now = l.clock.Now
	l.aws = rolesanywheretest.NewServer(options)
	t.Cleanup(l.aws.Close)
	return l
}

// sessionFields is a roles_anywhere connection to the stand-ins.
func (l *lab) sessionFields(changes ...map[string]any) map[string]any {
	l.t.Helper()
	return changed(rolesAnywhereFields(l.t,
		with("certificate", string(l.identity.CertificatePEM)), with("private_key", string(l.identity.PrivateKeyPEM)),
		with("rolesanywhere_endpoint", l.aws.URL), with("s3_endpoint", l.store.URL), with("s3_path_style", true)),
		changes)
}

// keyFields is an access_key connection to the store.
func (l *lab) keyFields(changes ...map[string]any) map[string]any {
	return changed(accessKeyFields(with("s3_endpoint", l.store.URL), with("s3_path_style", true)), changes)
}

// connection returns the stored connection.
func (l *lab) connection(fields map[string]any) *connection.Connection {
	l.t.Helper()
	l.write("x", fields)
	conn, err := loadConnection(l.t.Context(), l.mount.storage, "x")
	if err != nil || conn == nil {
		l.t.Fatalf("loading the connection: %v", err)
	}
	return conn
}

const twoBuckets = `<?xml version="1.0" encoding="UTF-8"?>
<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>x</ID></Owner><Buckets>
<Bucket><Name>invoices</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket>
<Bucket><Name>orders</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets>
</ListAllMyBucketsResult>`

// failedCall is a failed CreateSession that clients of Vault's API get as the status.
func failedCall(status int, text string) *upstream.Error {
	kinds := map[int]upstream.Kind{http.StatusBadRequest: upstream.Permanent,
		http.StatusTooManyRequests: upstream.Throttled}
	kind, known := kinds[status]
	if !known {
		kind = upstream.Unavailable
	}
	failed := upstream.New(source.CreateSession, kind, text, nil)
	failed.Busy, failed.TimedOut = status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout
	return failed
}

// store answers ListBuckets, or responds as the test says.
type store struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	heads  []http.Header
}

func newStore(t *testing.T) *store {
	s := &store{answer: say(http.StatusOK, "application/xml", twoBuckets)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func say(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Amz-Request-Id", "s3-req")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// refusing is S3's own form of an error.
func refusing(status int, code, message string) http.HandlerFunc {
	return say(status, "application/xml", "<Error><Code>"+code+"</Code><Message>"+message+"</Message></Error>")
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.heads = append(s.heads, r.Header.Clone())
	answer := s.answer
	s.mu.Unlock()
	answer(w, r)
}

func (s *store) say(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// calls returns the headers of the requests that came.
func (s *store) calls() []http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heads
}

// signer is the access key ID that a request was signed with.
func signer(head http.Header) string {
	_, after, _ := strings.Cut(head.Get("Authorization"), "Credential=")
	id, _, _ := strings.Cut(after, "/")
	return id
}

// nullLog keeps the handshakes that a server is meant to refuse out of the tests' output.
func nullLog() *log.Logger { return log.New(io.Discard, "", 0) }
