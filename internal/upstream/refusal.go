package upstream

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// Refusal is a service's response that says why it did not do what was asked. Code, message and request id are what the
// service sent; each may be empty.
type Refusal interface {
	error
	HTTPStatus() int
	ErrorCode() string
	ErrorMessage() string
	RequestID() string
}

// apiRefusal makes a Refusal of the library's error, whose fields have the names that the methods would need.
type apiRefusal struct{ *rolesanywhere.APIError }

func (r apiRefusal) HTTPStatus() int   { return r.StatusCode }
func (r apiRefusal) RequestID() string { return r.APIError.RequestID }

// describeRefusal repeats what the service said, with a hint where there is one.
func (e *Error) describeRefusal(r Refusal) {
	e.Code = oneLine(r.ErrorCode())
	e.Kind = kindOf(r.HTTPStatus(), r.ErrorCode())
	e.Busy = r.HTTPStatus() == http.StatusServiceUnavailable
	e.TimedOut = r.HTTPStatus() == http.StatusGatewayTimeout
	said := make([]string, 0, 2)
	for _, words := range []string{r.ErrorCode(), r.ErrorMessage()} {
		if words != "" {
			said = append(said, oneLine(words))
		}
	}
	hint := hintFor(e.Operation, r.ErrorCode(), r.ErrorMessage())
	if len(said) == 0 {
		e.text = fmt.Sprintf("HTTP %d without an error of the service in it", r.HTTPStatus())
	} else {
		e.text = strings.Join(said, ": ") + fmt.Sprintf(" (HTTP %d", r.HTTPStatus())
		if id := r.RequestID(); id != "" {
			e.text += ", request id " + oneLine(id)
		}
		e.text += ")"
	}
	if hint != "" {
		e.text += "; " + hint
	}
}

func kindOf(status int, code string) Kind {
	switch code {
	case "ThrottlingException", "Throttling", "SlowDown", "RequestLimitExceeded", "TooManyRequestsException":
		return Throttled
	}
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status >= http.StatusInternalServerError:
		return Unavailable
	}
	return Permanent
}

const maxLine = 500 // bytes of a service's message

// oneLine bounds what a service says and keeps it on one line, so that it cannot forge lines of a log.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "..."
	}
	return text
}
