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
	"syscall"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// codeUnavailable is the code of a failure for which the service has given none.
const codeUnavailable = "ServiceUnavailable"

// upstreamError is a failed call to AWS or to an S3 store. Its text goes into Vault's audit log in the clear, so
// it holds the service's code, message, status and request id, or a fixed phrase, and nothing else.
type upstreamError struct {
	operation string
	status    int // what the reader of Vault's API gets; 400: trying again is of no use
	code      string
	text      string
	cause     error
}

func (e *upstreamError) Error() string { return e.operation + ": " + e.text }
func (e *upstreamError) Unwrap() error { return e.cause }

// upstream describes a failed call once, for responses and logs alike.
func upstream(operation string, err error) error {
	var already *upstreamError
	if errors.As(err, &already) {
		return err
	}
	switch {
	case errors.Is(err, rolesanywhere.ErrCertificateExpired):
		return &refusedError{"certificate: " + err.Error() + "; write a new certificate and private_key"}
	case errors.Is(err, rolesanywhere.ErrCertificateNotYetValid):
		return &refusedError{"certificate: " + err.Error() + "; compare this host's clock"}
	}
	e := &upstreamError{operation: operation, cause: err}
	var (
		aws   *rolesanywhere.APIError
		store *s3Error
	)
	switch {
	case errors.As(err, &aws):
		e.describeRefusal(aws.StatusCode, aws.Code, aws.Message, aws.RequestID)
		if aws.ClockSkew != 0 {
			e.text += fmt.Sprintf("; this host's clock and the service's differ by %s", aws.ClockSkew.Abs())
		}
	case errors.As(err, &store) && store.Code != "":
		e.describeRefusal(store.status, store.Code, store.Message, store.RequestID)
	case errors.As(err, &store):
		e.status, e.code = statusFor(store.status, ""), codeUnavailable
		e.text = fmt.Sprintf("HTTP %d without an S3 error in it; is this the address of the store's S3 API?", store.status)
	default:
		e.code = codeUnavailable
		e.status, e.text = describeFailure(err)
	}
	return e
}

// busy is the answer to who waited for a turn in the budget for too long.
func busy() error {
	return &upstreamError{operation: opCreateSession, status: http.StatusServiceUnavailable, code: codeUnavailable,
		text: "the session is still being fetched, or waits for its turn because AWS allows few calls a second; try again"}
}

// describeRefusal repeats what the service said, and what to do about it where that is known.
func (e *upstreamError) describeRefusal(status int, code, message, requestID string) {
	e.status, e.code = statusFor(status, code), clean(code)
	e.text = e.code
	if message != "" {
		e.text += ": " + clean(message)
	}
	e.text += fmt.Sprintf(" (HTTP %d", status)
	if requestID != "" {
		e.text += ", request id " + clean(requestID)
	}
	e.text += ")"
	if hint := hintFor(code, message); hint != "" {
		e.text += "; " + hint
	}
}

const maxMessage = 500 // bytes of a service's message

// clean bounds what a service says and keeps it on one line, so that it cannot forge lines of a log.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "..."
	}
	return text
}

func statusFor(received int, code string) int {
	switch {
	case received == http.StatusTooManyRequests || code == "ThrottlingException" || code == "SlowDown":
		return http.StatusTooManyRequests
	case received == http.StatusServiceUnavailable || received == http.StatusGatewayTimeout:
		return received
	case received >= 500:
		return http.StatusBadGateway
	}
	return http.StatusBadRequest
}

// describeFailure puts what happened on the way into fixed phrases: Go's own texts may quote what was received.
func describeFailure(err error) (status int, text string) {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		timeout   net.Error
		request   *url.Error
		way       *net.OpError
		refusal   *network.ProxyError
	)
	where := "the service"
	if errors.As(err, &request) {
		if u, parseErr := url.Parse(request.URL); parseErr == nil && u.Host != "" {
			where = u.Host
		}
	}
	if errors.As(err, &way) && way.Op == "proxyconnect" {
		where = "the proxy"
	}
	const tryLater = http.StatusBadGateway
	switch {
	case errors.Is(err, context.Canceled):
		return http.StatusServiceUnavailable, "the call was given up before it was answered"
	case errors.Is(err, errShortSession), errors.Is(err, errLongSession), errors.Is(err, rolesanywhere.ErrInvalidResponse):
		return tryLater, err.Error()
	case errors.Is(err, errNotS3):
		return http.StatusBadRequest, errNotS3.Error()
	case errors.As(err, &refusal):
		return http.StatusBadRequest, refusal.Error()
	case errors.Is(err, network.ErrForbiddenAddress):
		return http.StatusBadRequest, network.ErrForbiddenAddress.Error()
	case errors.Is(err, network.ErrNotLocal):
		return http.StatusBadRequest, network.ErrNotLocal.Error()
	case errors.As(err, &dns) && !dns.IsTimeout:
		return tryLater, "the host name of " + where + " does not resolve; check the connection's addresses and this host's DNS"
	case errors.As(err, &authority):
		return tryLater, "the TLS certificate of " + where + " is of an authority that is not trusted; its CA goes into ca_cert"
	case errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &verify):
		return tryLater, "the TLS certificate of " + where + " is not valid for it"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return tryLater, where + " does not speak TLS at that address"
	case errors.Is(err, syscall.ECONNREFUSED):
		return tryLater, where + " refused the connection"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout, fmt.Sprintf("%s did not answer within %s", where, upstreamTimeout)
	}
	return tryLater, "the connection to " + where + " broke before it answered"
}

// hintFor says what to change when the service's own words alone leave an operator guessing.
func hintFor(code, message string) string {
	for _, one := range []struct{ code, message, hint string }{
		{"", "Untrusted signing certificate", "the trust anchor does not hold the CA that issued the certificate, or intermediates are missing in certificate"},
		{"", "Insufficient certificate", "the certificate needs the key usage digitalSignature"},
		{"", "Not authorized to set roleSessionName", "set send_session_name=false, or let the profile accept a custom role session name"},
		{"", "Unable to assume role", "the role's trust policy has to allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity " +
			"to rolesanywhere.amazonaws.com, and the profile has to list the role"},
		{"", "MaxSessionDuration", "lower duration, or raise the role's maximum session duration"},
		{"InvalidAccessKeyId", "", "the store does not know the access key"},
		{"SignatureDoesNotMatch", "", "the secret key or s3_region is not the right one"},
		{"InvalidTokenId", "", "the store does not accept the session token"},
		{"AuthorizationHeaderMalformed", "", "s3_region is not the store's region"},
		{"RequestTimeTooSkewed", "", "this host's clock and the store's differ by too much"},
		{"AccessDenied", "", "the credentials need s3:ListAllMyBuckets for the test"},
	} {
		if (one.code == "" || one.code == code) && strings.Contains(message, one.message) {
			return one.hint
		}
	}
	return ""
}
