package rolesanywheretest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/mldsa"
)

const (
	testProfile = "arn:aws:rolesanywhere:us-east-1:123456789012:profile/11111111-2222-3333-4444-555555555555"
	testAnchor  = "arn:aws:rolesanywhere:us-east-1:123456789012:trust-anchor/11111111-2222-3333-4444-555555555555"
	testRole    = "arn:aws:iam::123456789012:role/app"
	testHost    = "rolesanywhere.us-east-1.amazonaws.com"
)

func testTime() time.Time { return time.Date(2030, time.March, 1, 12, 0, 0, 0, time.UTC) }

func mustAuthority(t testing.TB, o AuthorityOptions) *Authority {
	t.Helper()
	if o.Now == nil {
		o.Now = testTime
	}
	a, err := NewAuthority(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mustIssue(t testing.TB, a *Authority, o IssueOptions) *Issued {
	t.Helper()
	issued, err := a.Issue(o)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// unsigned is everything that a client decides before it signs; a test changes what it is about.
type unsigned struct {
	key                               crypto.Signer
	method, target, host              string
	headers                           map[string]string // lower-case names
	unsignedHeaders                   []string          // names left out of SignedHeaders
	body                              string
	algorithm, serial                 string
	date, region, service, terminator string
}

func body(members map[string]any) string { return string(marshal(members)) }

func members() map[string]any {
	return map[string]any{"profileArn": testProfile, "roleArn": testRole, "trustAnchorArn": testAnchor}
}

// with returns a request body with some members set, or removed where the value is nil.
func with(pairs ...any) string {
	m := members()
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == nil {
			delete(m, pairs[i].(string))
			continue
		}
		m[pairs[i].(string)] = pairs[i+1]
	}
	return body(m)
}

func newUnsigned(issued *Issued) *unsigned {
	u := &unsigned{
		key: issued.Key, method: http.MethodPost, target: "/sessions", host: testHost,
		headers: map[string]string{
			"content-type": "application/json",
			"x-amz-date":   testTime().Format("20060102T150405Z"),
			"x-amz-x509":   base64.StdEncoding.EncodeToString(issued.Certificate.Raw),
		},
		body:      body(members()),
		algorithm: "AWS4-X509-ECDSA-SHA256",
		serial:    issued.Certificate.SerialNumber.String(),
		date:      testTime().Format("20060102"),
		region:    "us-east-1", service: "rolesanywhere", terminator: "aws4_request",
	}
	switch issued.Key.(type) {
	case *rsa.PrivateKey:
		u.algorithm = "AWS4-X509-RSA-SHA256"
	case *mldsa.PrivateKey:
		u.algorithm = "AWS4-X509-MLDSA"
	}
	if len(issued.Chain) > 0 {
		u.headers["x-amz-x509-chain"] = chainHeader(issued.Chain)
	}
	return u
}

func chainHeader(chain []*x509.Certificate) string {
	parts := make([]string, len(chain))
	for i, certificate := range chain {
		parts[i] = base64.StdEncoding.EncodeToString(certificate.Raw)
	}
	return strings.Join(parts, ",")
}

// sign spells the canonical request out for these few headers. It shares no code with the service, so
// that the two can only agree where both are right; the vectors say which.
func (u *unsigned) sign(t testing.TB) *http.Request {
	t.Helper()
	values := map[string]string{"host": u.host}
	for name, value := range u.headers {
		if !slices.Contains(u.unsignedHeaders, name) {
			values[name] = value
		}
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	path, query, _ := strings.Cut(u.target, "?")
	canonical := u.method + "\n" + path + "\n" + query + "\n"
	for _, name := range names {
		canonical += name + ":" + values[name] + "\n"
	}
	hash := func(s string) string {
		digest := sha256.Sum256([]byte(s))
		return hex.EncodeToString(digest[:])
	}
	list := strings.Join(names, ";")
	canonical += "\n" + list + "\n" + hash(u.body)
	scope := u.date + "/" + u.region + "/" + u.service + "/" + u.terminator
	signature := signString(u.key, u.algorithm+"\n"+u.headers["x-amz-date"]+"\n"+scope+"\n"+hash(canonical))

	r := httptest.NewRequest(u.method, u.target, strings.NewReader(u.body))
	r.Host = u.host
	for name, value := range u.headers {
		r.Header.Set(name, value)
	}
	r.Header.Set(
		"Authorization",
		u.algorithm+" Credential="+u.serial+"/"+scope+", SignedHeaders="+list+", Signature="+hex.EncodeToString(
			signature,
		),
	)
	return r
}

func signString(key crypto.Signer, toSign string) []byte {
	message, options := []byte(toSign), crypto.Hash(0)
	if _, ok := key.(*mldsa.PrivateKey); !ok {
		digest := sha256.Sum256(message)
		message, options = digest[:], crypto.SHA256
	}
	signature, err := key.Sign(rand.Reader, message, options)
	if err != nil {
		// Ed25519 signs no digest; the service refuses the key before it looks at the signature.
		return []byte{0}
	}
	return signature
}

// world is a service with an authority that it trusts and a clock that tests move.
type world struct {
	*Service
	authority *Authority
	issued    *Issued
	clock     *testClock
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{clock: &testClock{at: testTime()}, authority: mustAuthority(t, AuthorityOptions{})}
	w.issued = mustIssue(t, w.authority, IssueOptions{CommonName: "orders"})
	if o.TrustAnchors == nil {
		o.TrustAnchors = []*x509.Certificate{w.authority.Certificate()}
	}
	o.Now = w.clock.now
	w.Service = NewService(o)
	t.Cleanup(w.Close)
	return w
}

// call signs and serves a request that edit may change first.
func (w *world) call(t testing.TB, edit func(*unsigned)) *httptest.ResponseRecorder {
	t.Helper()
	u := newUnsigned(w.issued)
	u.headers["x-amz-date"] = w.clock.now().Format("20060102T150405Z")
	if edit != nil {
		edit(u)
	}
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, u.sign(t))
	return recorder
}

func (w *world) lastReason() string {
	requests := w.Requests()
	if len(requests) == 0 {
		return ""
	}
	return requests[len(requests)-1].Reason
}

func decode[T any](t testing.TB, recorder *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(recorder.Body.Bytes(), &v); err != nil {
		t.Fatalf("status %d: %v in %q", recorder.Code, err, recorder.Body)
	}
	return v
}
