package rolesanywhere

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/aws/smithy-go"
)

// Bounds on what is taken over from an error response, in bytes.
const (
	maxCode    = 128
	maxMessage = 1024
)

// clockSkewLimit is how far a request's date may be from the service's clock:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
const clockSkewLimit = 5 * time.Minute

// Codes for responses that carry none, which happens when a load balancer or proxy responds. The first
// is one of those that the SDK's retryers know as throttling.
const (
	codeThrottled = "TooManyRequestsException"
	codeUnknown   = "UnknownError"
)

// APIError is a refusal by the service, or by something that responds in its place. It implements
// smithy.APIError, and HTTPStatusCode for the SDK's retryers. Its texts are the service's own,
// bounded, and free of control characters; a response that is not JSON is never quoted.
//
// Codes: https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/CommonErrors.html
type APIError struct {
	StatusCode int    // HTTP status
	Code       string // "AccessDeniedException"; "UnknownError" if the response names none
	Message    string // may be empty
	RequestID  string // X-Amzn-RequestId; may be empty
	// ClockSkew is the service's clock minus ours, set only when the service refused the request's
	// date and the clocks are more than 5 minutes apart. Positive: our clock is behind.
	ClockSkew time.Duration
}

var _ smithy.APIError = (*APIError)(nil)

// Error returns code, message, status and request id, and the clock skew if there is one.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(e.Code)
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	fmt.Fprintf(&b, " (status %d", e.StatusCode)
	if e.RequestID != "" {
		b.WriteString(", request id " + e.RequestID)
	}
	b.WriteByte(')')
	if e.ClockSkew > 0 {
		fmt.Fprintf(&b, "; this machine's clock is %s behind the service's", e.ClockSkew)
	} else if e.ClockSkew < 0 {
		fmt.Fprintf(&b, "; this machine's clock is %s ahead of the service's", -e.ClockSkew)
	}
	return b.String()
}

// ErrorCode returns Code.
func (e *APIError) ErrorCode() string { return e.Code }

// ErrorMessage returns Message.
func (e *APIError) ErrorMessage() string { return e.Message }

// ErrorFault says whose fault the status puts it at.
func (e *APIError) ErrorFault() smithy.ErrorFault {
	switch {
	case e.StatusCode >= 500:
		return smithy.FaultServer
	case e.StatusCode >= 400:
		return smithy.FaultClient
	}
	return smithy.FaultUnknown
}

// HTTPStatusCode returns StatusCode.
func (e *APIError) HTTPStatusCode() int { return e.StatusCode }

// decodeError makes an APIError of any response that is not 2xx. received is our clock's time.
func decodeError(status int, header http.Header, body []byte, received time.Time) *APIError {
	e := &APIError{StatusCode: status, RequestID: requestID(header)}
	var fields map[string]json.RawMessage
	isJSON := json.Unmarshal(body, &fields) == nil
	// A field that is not a string is as good as absent.
	stringField := func(name string) (s string) {
		_ = json.Unmarshal(fields[name], &s)
		return s
	}
	for _, code := range []string{header.Get("X-Amzn-ErrorType"), stringField("code"), stringField("__type")} {
		if e.Code = cleanCode(code); e.Code != "" {
			break
		}
	}
	for _, name := range []string{"message", "Message"} {
		if e.Message = printable(stringField(name), maxMessage); e.Message != "" {
			break
		}
	}
	if e.Code == "" {
		e.Code = codeUnknown
		if status == http.StatusTooManyRequests {
			e.Code = codeThrottled
		}
	}
	switch {
	case status >= 300 && status < 400:
		e.Message = "the response is a redirect, which is not followed"
	case !isJSON && len(body) > 0:
		e.Message = "the response is " + contentType(header) + ", not the service's JSON"
	}
	e.ClockSkew = clockSkew(e, header, received)
	return e
}

func clockSkew(e *APIError, header http.Header, received time.Time) time.Duration {
	text := strings.ToLower(e.Code + " " + e.Message)
	aboutDate := false
	for _, sign := range []string{"signatureexpired", "signature expired", "signature not yet current",
		"requestexpired", "request has expired", "request expired", "requesttimetooskewed",
		"requestinthefuture", "x-amz-date", "clock"} {
		aboutDate = aboutDate || strings.Contains(text, sign)
	}
	server, err := http.ParseTime(header.Get("Date"))
	if !aboutDate || err != nil {
		return 0
	}
	if skew := server.Sub(received).Round(time.Second); skew.Abs() > clockSkewLimit {
		return skew
	}
	return 0
}

// cleanCode reduces "com.amazon#Code:http://..." to "Code".
func cleanCode(code string) string {
	code, _, _ = strings.Cut(code, ":")
	code = code[strings.LastIndexByte(code, '#')+1:]
	return printable(code, maxCode)
}

func requestID(header http.Header) string { return printable(header.Get("X-Amzn-RequestId"), maxCode) }

func contentType(header http.Header) string {
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return "of no known content type"
	}
	return printable(mediaType, maxCode)
}

// printable makes foreign text fit to print: what is not printable (line breaks that would forge a log
// line, terminal escapes, marks that turn the writing direction) becomes a space.
func printable(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit] // what is left of a character cut in two is not printable
	}
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s))
	if cut {
		s += "..."
	}
	return s
}
