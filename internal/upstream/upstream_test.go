package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func TestDescribe_CertificateOutsideItsTimeNamesTheField(t *testing.T) {
	t.Parallel()
	for cause, says := range map[error]string{
		rolesanywhere.ErrCertificateExpired:     "write a new certificate and private_key",
		rolesanywhere.ErrCertificateNotYetValid: "compare this host's clock",
	} {
		err := Describe("CreateSession", fmt.Errorf("%w: on 2026-01-01", cause))
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != Permanent || !errors.Is(err, cause) ||
			!strings.HasPrefix(err.Error(), "certificate: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v is described as %v", cause, err)
		}
	}
}

func TestDescribe_FailureOnTheWayIsAFixedPhrase(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	broken, slow, busy := Error{Kind: Unavailable}, Error{Kind: Unavailable, TimedOut: true},
		Error{Kind: Unavailable, Busy: true}
	for name, test := range map[string]struct {
		cause error
		want  Error
		says  string
	}{
		"scheme":     {http.ErrSchemeMismatch, broken, "s3.example:9000 does not speak TLS at that address"},
		"TLS record": {tls.RecordHeaderError{Msg: "CANARY"}, broken, "does not speak TLS"},
		"host name": {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "CANARY"}, broken,
			"is not valid for it"},
		"ended": {x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired, Detail: "CANARY"},
			broken,
			"is not valid for it"},
		"verification": {&tls.CertificateVerificationError{Err: errors.New("CANARY")}, broken, "is not valid for it"},
		"authority": {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, broken,
			"its CA goes into ca_cert"},
		"proxy out": {&net.OpError{Op: "proxyconnect", Err: errors.New("CANARY")}, broken, "the proxy broke"},
		"proxy refuses": {&network.ProxyError{Status: 407}, Error{Kind: Permanent},
			"the proxy refused the connection (HTTP 407); check proxy_url"},
		"DNS times out":  {dial(&net.DNSError{IsTimeout: true, Name: "CANARY"}), slow, "did not answer within 10s"},
		"no such host":   {dial(&net.DNSError{IsNotFound: true, Name: "CANARY"}), broken, "does not resolve"},
		"dial times out": {dial(context.DeadlineExceeded), slow, "s3.example:9000 did not answer within 10s"},
		"refused":        {dial(syscall.ECONNREFUSED), broken, "s3.example:9000 refused the connection"},
		"given up":       {context.Canceled, busy, "given up before it was answered"},
		"anything else":  {errors.New("CANARY"), broken, "the connection to s3.example:9000 broke before it answered"},
		"metadata by DNS": {dial(network.ErrForbiddenAddress), Error{Kind: Permanent},
			"link-local or metadata address"},
		"not localhost": {dial(network.ErrNotLocal), Error{Kind: Permanent},
			"localhost resolves to an address of another host"},
	} {
		err := Describe("ListBuckets", &url.Error{Op: "Get", URL: "https://s3.example:9000/?CANARY", Err: test.cause})
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != test.want.Kind || failed.TimedOut != test.want.TimedOut ||
			failed.Busy != test.want.Busy || failed.Code != "" {
			t.Errorf("%s: %+v, want %+v", name, failed, test.want)
		}
		if text := err.Error(); !strings.Contains(text, test.says) || !strings.HasPrefix(text, "ListBuckets: ") ||
			strings.Contains(text, "CANARY") {
			t.Errorf("%s: %s, want words with %q", name, text, test.says)
		}
		if !errors.Is(err, test.cause) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
	if err := Describe("ListBuckets", context.DeadlineExceeded); !strings.Contains(err.Error(),
		"the service did not answer") {
		t.Errorf("without an address: %v", err)
	}
}

// refusal is a service's.
type refusal struct {
	status            int
	code, message, id string
}

func (r *refusal) Error() string        { return "not to be shown" }
func (r *refusal) HTTPStatus() int      { return r.status }
func (r *refusal) ErrorCode() string    { return r.code }
func (r *refusal) ErrorMessage() string { return r.message }
func (r *refusal) RequestID() string    { return r.id }

func TestDescribe_RefusalIsRepeatedWithItsKind(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want Error
		text string
	}{
		"refused": {&refusal{403, "AccessDenied", "no", "1"}, Error{Kind: Permanent, Code: "AccessDenied"},
			"GetObject: AccessDenied: no (HTTP 403, request id 1)"},
		"without a code": {&refusal{400, "", "no", ""}, Error{Kind: Permanent}, "GetObject: no (HTTP 400)"},
		"another server": {&refusal{404, "", "", ""}, Error{Kind: Permanent},
			"GetObject: HTTP 404 without an error of the service in it; is this the address of the service?"},
		"throttled": {&refusal{429, "", "no", ""}, Error{Kind: Throttled}, "GetObject: no (HTTP 429)"},
		"throttled by code": {&refusal{400, "Throttling", "no", ""}, Error{Kind: Throttled, Code: "Throttling"},
			"GetObject: Throttling: no (HTTP 400)"},
		"slow down": {&refusal{503, "SlowDown", "no", ""}, Error{Kind: Throttled, Busy: true, Code: "SlowDown"},
			"GetObject: SlowDown: no (HTTP 503)"},
		"broken": {&refusal{500, "Internal", "", ""}, Error{Kind: Unavailable, Code: "Internal"},
			"GetObject: Internal (HTTP 500)"},
		"busy": {&refusal{503, "", "no", ""}, Error{Kind: Unavailable, Busy: true}, "GetObject: no (HTTP 503)"},
		"slow": {&refusal{504, "", "no", ""}, Error{Kind: Unavailable, TimedOut: true},
			"GetObject: no (HTTP 504)"},
		"redirected": {&refusal{301, "", "no", ""}, Error{Kind: Permanent}, "GetObject: no (HTTP 301)"},
		"of the library": {&rolesanywhere.APIError{StatusCode: 403, Code: "ExpiredTokenException", Message: "no",
			RequestID: "1",
			ClockSkew: -time.Hour}, Error{Kind: Permanent, Code: "ExpiredTokenException"},
			"GetObject: ExpiredTokenException: no (HTTP 403, request id 1); this host's clock and the service's " +
				"differ by 1h0m0s"},
	} {
		err := Describe("GetObject", fmt.Errorf("wrapped: %w", test.err))
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != test.want.Kind || failed.TimedOut != test.want.TimedOut ||
			failed.Busy != test.want.Busy || failed.Code != test.want.Code || err.Error() != test.text ||
			!errors.Is(err, test.err) {
			t.Errorf("%s: %+v (%v), want %+v %q", name, failed, err, test.want, test.text)
		}
	}
}

type malformed struct{}

func (malformed) Error() string      { return "the response is a web page" }
func (malformed) MalformedResponse() {}

func TestDescribe_UnusableResponseKeepsItsWords(t *testing.T) {
	t.Parallel()
	for text, test := range map[string]struct {
		err  error
		kind Kind
	}{
		"CreateSession: the response is a web page": {fmt.Errorf("listing: %w", malformed{}), Permanent},
		"CreateSession: unusable response from IAM Roles Anywhere: no credentials": {
			fmt.Errorf("%w: no credentials", rolesanywhere.ErrInvalidResponse), Unavailable},
	} {
		err := Describe("CreateSession", test.err)
		var failed *Error
		if !errors.As(err, &failed) || failed.Kind != test.kind || err.Error() != text {
			t.Errorf("%v is described as %v (%+v), want %q", test.err, err, failed, text)
		}
	}
}

func TestKind_IsNamedAsMetricsNameIt(t *testing.T) {
	t.Parallel()
	for kind, want := range map[Kind]string{Permanent: "permanent", Throttled: "throttled",
		Unavailable: "unavailable"} {
		if got := kind.String(); got != want {
			t.Errorf("kind %d is %q, want %q", kind, got, want)
		}
	}
}

// A service's words go into logs, where they must not look like lines of their own.
func TestOneLine_KeepsWordsOnOneBoundedLine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain":                          "plain",
		"a\r\nb\tc\x1b[31m\x00\u2028d":   "a  b c [31m  d",
		"übel":                           "übel",
		strings.Repeat("x", maxLine):     strings.Repeat("x", maxLine),
		strings.Repeat("x", 1<<20):       strings.Repeat("x", maxLine) + "...",
		strings.Repeat("ü", 1000):        strings.Repeat("ü", maxLine/2) + "...",
		"x" + strings.Repeat("ü", 1<<10): "x" + strings.Repeat("ü", maxLine/2-1) + "...",
		"\xff\xfe":                       "��",
	} {
		got := oneLine(given)
		if got != want {
			t.Errorf("oneLine(%.40q) = %.80q, want %.80q", given, got, want)
		}
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x1b") {
			t.Errorf("oneLine(%.40q) is not one line of text: %.80q", given, got)
		}
	}
}

func TestHintFor_SaysWhatToChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ code, message, says string }{
		{"", "", "the address of the S3 API"},
		{"AccessDeniedException", "Untrusted signing certificate", "trust anchor"},
		{"AccessDeniedException", "Untrusted certificate. Insufficient certificate", "digitalSignature"},
		{"AccessDeniedException", "Not authorized to set roleSessionName", "send_session_name=false"},
		{"AccessDeniedException", "Unable to assume role for arn:aws:iam::1:role/x", "sts:SetSourceIdentity"},
		{"ValidationException", "exceeds the MaxSessionDuration set for this role", "lower duration"},
		{"InvalidAccessKeyId", "", "access key"}, {"SignatureDoesNotMatch", "", "secret key"},
		{"InvalidTokenId", "", "session token"},
		{"AuthorizationHeaderMalformed", "", "s3_region"}, {"RequestTimeTooSkewed", "", "clock"},
		{"AccessDenied", "", "s3:ListAllMyBuckets"},
	} {
		operation := "CreateSession"
		if !strings.HasSuffix(test.code, "Exception") {
			operation = "ListBuckets"
		}
		if got := hintFor(operation, test.code, test.message); !strings.Contains(got, test.says) {
			t.Errorf("%s: %s has the hint %q, want one with %q", test.code, test.message, got, test.says)
		}
	}
	for _, test := range []struct{ code, message, says string }{
		{"PackedPolicyTooLarge", "Packed policy consumes 143% of allotted space", "split the scope"},
		{"AccessDenied", "User: x is not authorized to perform: sts:TagSession on resource: y", "sts:TagSession"},
		{"AccessDenied", "User: x is not authorized to perform: sts:SetSourceIdentity", "sts:SetSourceIdentity"},
		{"AccessDenied", "User: x is not authorized to perform: sts:AssumeRole",
			"trust policy has to allow sts:AssumeRole"},
		{"ValidationError", "exceeds the 1 hour session limit for roles assumed by role chaining", "3600 s or less"},
		{"RegionDisabledException", "", "sts_endpoint"}, {"InvalidClientTokenId", "", "access key"},
		{"MalformedPolicyDocument", "", "policy"},
	} {
		if got := hintFor("AssumeRole", test.code, test.message); !strings.Contains(got, test.says) {
			t.Errorf("%s: %s has the hint %q, want one with %q", test.code, test.message, got, test.says)
		}
	}
	for _, code := range []string{"AccessDeniedException", "InternalFailure", ""} {
		if got := hintFor("CreateSession", code, "something else"); got != "" {
			t.Errorf("%s without known words has the hint %q", code, got)
		}
	}
}

func TestDescribe_DescribesAnErrorOnce(t *testing.T) {
	t.Parallel()
	once := Describe("CreateSession", &rolesanywhere.APIError{StatusCode: 403, Code: "AccessDeniedException",
		Message: "no"})
	if twice := Describe("ListBuckets", fmt.Errorf("wrapped: %w", once)); !strings.HasPrefix(twice.Error(),
		"wrapped: CreateSession: ") {
		t.Errorf("described again: %v", twice)
	}
}
