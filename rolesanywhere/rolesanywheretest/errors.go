package rolesanywheretest

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
)

// Error is a refusal in the service's words: Options.Vend returns one to choose what the client sees.
// The codes are those of AWS's common errors, see
// https://docs.aws.amazon.com/rolesanywhere/latest/APIReference/CommonErrors.html.
type Error struct {
	// Status is the HTTP status, 400 to 599; anything else means 403.
	Status int
	// Code is sent as X-Amzn-ErrorType, for example "AccessDeniedException".
	Code string
	// Message is sent in the body.
	Message string

	// reason says which rule refused; it is recorded and never sent, because the service
	// has the same few words for many different mistakes.
	reason string
}

// Error gives the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Messages seen from the service itself.
const (
	messageUntrusted    = "Untrusted signing certificate"
	messageInsufficient = "Untrusted certificate. Insufficient certificate"
	messageSessionName  = "Not authorized to set roleSessionName"
	messageSignature    = "Invalid signature"
	messageDuration     = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
	messageRate         = "Rate exceeded"
)

func accessDenied(message, reason string, args ...any) *Error {
	return &Error{
		Status:  http.StatusForbidden,
		Code:    "AccessDeniedException",
		Message: message,
		reason:  fmt.Sprintf(reason, args...),
	}
}

// invalid refuses a parameter; its message is the reason, as a ValidationException names its member.
func invalid(reason string, args ...any) *Error {
	text := fmt.Sprintf(reason, args...)
	return &Error{Status: http.StatusBadRequest, Code: "ValidationException", Message: text, reason: text}
}

func malformed(reason string, args ...any) *Error {
	text := fmt.Sprintf(reason, args...)
	return &Error{Status: http.StatusBadRequest, Code: "SerializationException", Message: text, reason: text}
}

// incomplete refuses an Authorization header that does not have the form of SigV4.
func incomplete(reason string, args ...any) *Error {
	text := fmt.Sprintf(reason, args...)
	return &Error{Status: http.StatusForbidden, Code: "IncompleteSignatureException", Message: text, reason: text}
}

// invalidSignature refuses a well-formed Authorization header for its time or its scope.
func invalidSignature(reason string, args ...any) *Error {
	text := fmt.Sprintf(reason, args...)
	return &Error{Status: http.StatusForbidden, Code: "InvalidSignatureException", Message: text, reason: text}
}

func notFound(reason string, args ...any) *Error {
	text := fmt.Sprintf(reason, args...)
	return &Error{Status: http.StatusNotFound, Code: "ResourceNotFoundException", Message: text, reason: text}
}

// write sends e in the shape of AWS's REST-JSON errors.
func (e *Error) write(w http.ResponseWriter) {
	if e.Code != "" {
		w.Header().Set("X-Amzn-ErrorType", e.Code)
	}
	writeJSON(w, e.Status, map[string]string{"message": e.Message})
}

// withStatus returns a copy of e with a status that net/http can send: Options.Vend may return any.
func (e *Error) withStatus() *Error {
	sent := *e
	if sent.Status < 400 || sent.Status > 599 {
		sent.Status = http.StatusForbidden
	}
	if sent.reason == "" {
		sent.reason = "Options.Vend refused"
	}
	return &sent
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(marshal(v)) // a client that went away is not the service's failure
}

// marshal is for what cannot fail: structs and maps of strings and numbers.
func marshal(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		return []byte(`{}`)
	}
	return body
}

// newUUID returns a random UUID, version 4.
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return formatUUID(b)
}

func formatUUID(b [16]byte) string {
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
