package rolesanywhere

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// connectionError is a failure to get a response at all. The SDK's retryers know it by ConnectionError.
type connectionError struct {
	doing string
	err   error
}

// Error keeps what net/http says up to where it quotes what it was sent: something that is not HTTP
// at the other end may have sent anything.
func (e *connectionError) Error() string {
	err := e.err
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	text := err.Error()
	for _, mark := range []string{`"`, "malformed MIME header"} {
		if i := strings.Index(text, mark); i >= 0 {
			text = text[:i] + "(not shown)"
		}
	}
	return e.doing + ": " + printable(text, maxMessage)
}

func (e *connectionError) Unwrap() error { return e.err }

// ConnectionError makes every failed exchange retryable, a connection closed early included, but for
// a server whose certificate is not trusted: that stays so.
func (e *connectionError) ConnectionError() bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](e.err)
	return !untrusted
}

// endedError is the last attempt's error, when the caller or the timeout ended the call.
type endedError struct{ err, ended error }

func (e *endedError) Error() string {
	if errors.Is(e.err, e.ended) {
		return e.err.Error()
	}
	reason := "the call was cancelled"
	if errors.Is(e.ended, context.DeadlineExceeded) {
		reason = "no time was left to try again"
	}
	return fmt.Sprintf("%v (%s)", e.err, reason)
}

func (e *endedError) Unwrap() []error { return []error{e.err, e.ended} }
