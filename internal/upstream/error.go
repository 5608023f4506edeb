// Package upstream describes failed calls to AWS, to S3 stores and to certificate authorities: in words that are safe
// to log, with the kind of the failure and a hint where the service's own words leave an operator guessing.
package upstream

import (
	"errors"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

// Timeout bounds one call with its retries. Descriptions of calls that took too long name it.
const Timeout = 10 * time.Second

// Kind is what a failure means for whoever waits for the call.
type Kind int

const (
	// Permanent failures repeat until somebody changes something.
	Permanent Kind = iota
	// Throttled calls may be repeated later: the service had too many of them.
	Throttled
	// Unavailable services, or those whose network is, may be called again.
	Unavailable
)

// String returns the kind as metrics name it.
func (k Kind) String() string {
	switch k {
	case Permanent:
		return "permanent"
	case Throttled:
		return "throttled"
	default:
		return "unavailable"
	}
}

// Error is a failed call. Its text goes into Vault's audit log in the clear, so it holds the service's code, message,
// status and request id, or a fixed phrase, and nothing else.
type Error struct {
	Operation string // the call, such as "CreateSession"; empty where it was not made
	Kind      Kind
	Code      string // the service's; empty where it sent none

	// Of an Unavailable failure: the service did not respond in time, or asks to be called later. Neither: what came
	// back was no use, or nothing did.
	TimedOut, Busy bool

	text  string
	cause error
}

// New returns the failure of an operation in words of the caller's own, which must hold nothing that came from outside.
// cause may be nil.
func New(operation string, kind Kind, text string, cause error) *Error {
	return &Error{Operation: operation, Kind: kind, text: text, cause: cause}
}

func (e *Error) Error() string {
	if e.Operation == "" {
		return e.text
	}
	return e.Operation + ": " + e.text
}

func (e *Error) Unwrap() error { return e.cause }

// Malformed is an error about a response that reports success but is not the operation's. Its text holds nothing of the
// response.
type Malformed interface {
	error
	MalformedResponse()
}

// Describe returns an *[Error] about a failed call, or err itself where it already holds one. It knows [Refusal] and
// [Malformed] errors, those of the packages network and rolesanywhere, and those of Go's network packages.
func Describe(operation string, err error) error {
	var described *Error
	if errors.As(err, &described) {
		return err
	}
	switch {
	case errors.Is(err, rolesanywhere.ErrCertificateExpired):
		return New("", Permanent, "certificate: "+cause(err)+"; write a new certificate and private_key", err)
	case errors.Is(err, rolesanywhere.ErrCertificateNotYetValid):
		return New("", Permanent, "certificate: "+cause(err)+"; compare this host's clock", err)
	case errors.Is(err, rolesanywhere.ErrInvalidInput):
		return New(operation, Permanent, oneLine(cause(err)), err) // nothing was sent, and the words are this program's
	}
	e := &Error{Operation: operation, cause: err}
	var (
		refusal   Refusal
		refused   *rolesanywhere.APIError
		malformed Malformed
	)
	switch {
	case errors.As(err, &refusal):
		e.describeRefusal(refusal)
	case errors.As(err, &refused):
		e.describeRefusal(apiRefusal{refused})
		if refused.ClockSkew != 0 {
			e.text += "; this host's clock and the service's differ by " + refused.ClockSkew.Abs().String()
		}
	case errors.As(err, &malformed):
		e.Kind, e.text = Permanent, oneLine(malformed.Error())
	case errors.Is(err, rolesanywhere.ErrInvalidResponse):
		e.Kind, e.text = Unavailable, oneLine(cause(err))
	default:
		e.describeTransport(err)
	}
	return e
}

// cause returns the words of an error without the operation that the SDK's errors begin with: descriptions name it.
func cause(err error) string {
	var operation interface {
		Operation() string
		Unwrap() error
	}
	if errors.As(err, &operation) && operation.Unwrap() != nil {
		return operation.Unwrap().Error()
	}
	return err.Error()
}
