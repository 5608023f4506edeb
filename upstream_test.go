package s3conn

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
	"testing"
	"unicode/utf8"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

func TestUpstream_CertificateOutsideItsTimeIsTheOperatorsToMend(t *testing.T) {
	t.Parallel()
	for cause, says := range map[error]string{
		rolesanywhere.ErrCertificateExpired:     "write a new certificate and private_key",
		rolesanywhere.ErrCertificateNotYetValid: "compare this host's clock",
	} {
		err := upstream(opCreateSession, fmt.Errorf("%w: on 2026-01-01", cause))
		var refused *refusedError
		if !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), "certificate: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v is told as %v", cause, err)
		}
		if status, known := statusOf(err); status != http.StatusBadRequest || !known {
			t.Errorf("%v has status %d", cause, status)
		}
	}
}

func TestUpstream_FailureOnTheWayIsAFixedPhrase(t *testing.T) {
	t.Parallel()
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for name, test := range map[string]struct {
		cause  error
		status int
		says   string
	}{
		"scheme":          {http.ErrSchemeMismatch, 502, "s3.example:9000 does not speak TLS at that address"},
		"TLS record":      {tls.RecordHeaderError{Msg: "CANARY"}, 502, "does not speak TLS"},
		"host name":       {x509.HostnameError{Certificate: &x509.Certificate{}, Host: "CANARY"}, 502, "is not valid for it"},
		"ended":           {x509.CertificateInvalidError{Cert: &x509.Certificate{}, Reason: x509.Expired, Detail: "CANARY"}, 502, "is not valid for it"},
		"verification":    {&tls.CertificateVerificationError{Err: errors.New("CANARY")}, 502, "is not valid for it"},
		"authority":       {&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, 502, "its CA goes into ca_cert"},
		"proxy out":       {&net.OpError{Op: "proxyconnect", Err: errors.New("CANARY")}, 502, "the proxy broke"},
		"proxy refuses":   {&network.ProxyError{Status: 407}, 400, "the proxy refused the connection (HTTP 407); check proxy_url"},
		"DNS times out":   {dial(&net.DNSError{IsTimeout: true, Name: "CANARY"}), 504, "did not answer within 10s"},
		"no such host":    {dial(&net.DNSError{IsNotFound: true, Name: "CANARY"}), 502, "does not resolve"},
		"dial times out":  {dial(context.DeadlineExceeded), 504, "s3.example:9000 did not answer within 10s"},
		"given up":        {context.Canceled, 503, "given up before it was answered"},
		"not S3":          {errNotS3, 400, "not S3's list of buckets"},
		"anything else":   {errors.New("CANARY"), 502, "the connection to s3.example:9000 broke before it answered"},
		"metadata by DNS": {dial(network.ErrForbiddenAddress), 400, "link-local or metadata address"},
		"not localhost":   {dial(network.ErrNotLocal), 400, "localhost resolves to an address of another host"},
	} {
		err := upstream(opListBuckets, &url.Error{Op: "Get", URL: "https://s3.example:9000/?CANARY", Err: test.cause})
		var failed *upstreamError
		if !errors.As(err, &failed) || failed.status != test.status || !strings.Contains(err.Error(), test.says) ||
			!strings.HasPrefix(err.Error(), "ListBuckets: ") || strings.Contains(err.Error(), "CANARY") || failed.code != codeUnavailable {
			t.Errorf("%s: %v, want status %d and %q", name, err, test.status, test.says)
		}
		if !errors.Is(err, test.cause) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
}

func TestUpstream_UnusableSessionIsToldInOurOwnWords(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{errShortSession, rolesanywhere.ErrInvalidResponse} {
		err := upstream(opCreateSession, fmt.Errorf("%w: it has 3s left", cause))
		if status, _ := statusOf(err); status != http.StatusBadGateway || err.Error() != "CreateSession: "+cause.Error()+": it has 3s left" {
			t.Errorf("%v is told with %d as %v", cause, status, err)
		}
	}
}

func TestStatusFor_TellsWhoShouldTryAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		received int
		code     string
		want     int
	}{
		{400, "", 400}, {403, "AccessDeniedException", 400}, {404, "", 400}, {301, "", 400}, {0, "", 400},
		{429, "", 429}, {400, "ThrottlingException", 429}, {503, "SlowDown", 429},
		{500, "", 502}, {501, "", 502}, {502, "", 502}, {503, "", 503}, {504, "", 504},
	} {
		if got := statusFor(test.received, test.code); got != test.want {
			t.Errorf("HTTP %d %s becomes %d, want %d", test.received, test.code, got, test.want)
		}
	}
}

// A service's words go into logs, where they must not look like lines of their own.
func TestClean_KeepsWordsOnOneBoundedLine(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"plain":                          "plain",
		"a\r\nb\tc\x1b[31m\x00\u2028d":   "a  b c [31m  d",
		"übel":                           "übel",
		strings.Repeat("x", maxMessage):  strings.Repeat("x", maxMessage),
		strings.Repeat("x", 1<<20):       strings.Repeat("x", maxMessage) + "...",
		strings.Repeat("ü", 1000):        strings.Repeat("ü", maxMessage/2) + "...",
		"x" + strings.Repeat("ü", 1<<10): "x" + strings.Repeat("ü", maxMessage/2-1) + "...",
		"\xff\xfe":                       "��",
	} {
		got := clean(given)
		if got != want {
			t.Errorf("clean(%.40q) = %.80q, want %.80q", given, got, want)
		}
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\r\n\x1b") {
			t.Errorf("clean(%.40q) is not one line of text: %.80q", given, got)
		}
	}
}

func TestHintFor_SaysWhatToChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ code, message, says string }{
		{"AccessDeniedException", "Untrusted signing certificate", "trust anchor"},
		{"AccessDeniedException", "Untrusted certificate. Insufficient certificate", "digitalSignature"},
		{"AccessDeniedException", "Not authorized to set roleSessionName", "send_session_name=false"},
		{"AccessDeniedException", "Unable to assume role for arn:aws:iam::1:role/x", "sts:SetSourceIdentity"},
		{"ValidationException", "exceeds the MaxSessionDuration set for this role", "lower duration"},
		{"InvalidAccessKeyId", "", "access key"}, {"SignatureDoesNotMatch", "", "secret key"}, {"InvalidTokenId", "", "session token"},
		{"AuthorizationHeaderMalformed", "", "s3_region"}, {"RequestTimeTooSkewed", "", "clock"}, {"AccessDenied", "", "s3:ListAllMyBuckets"},
	} {
		if got := hintFor(test.code, test.message); !strings.Contains(got, test.says) {
			t.Errorf("%s: %s has the hint %q, want one with %q", test.code, test.message, got, test.says)
		}
	}
	for _, code := range []string{"AccessDeniedException", "InternalFailure", ""} {
		if got := hintFor(code, "something else"); got != "" {
			t.Errorf("%s without known words has the hint %q", code, got)
		}
	}
}
