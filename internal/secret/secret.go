// Package secret holds text that does not print.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every way of printing a Text writes.
const Redacted = "[redacted]"

// Text holds text that must not reach a log, an error or a response by accident: every way of printing or encoding it
// writes [Redacted]. Reveal is the one way out, used by storage, responses and signers. Its zero value holds nothing;
// it is safe for concurrent use.
//
// The text is behind a pointer because fmt calls no methods on an unexported field of a struct that is printed: there
// it shows the pointer.
type Text struct{ text *string }

// New returns a Text that holds text. Two calls with the same text return values that are not equal; a Text equals its
// copies.
func New(text string) Text {
	if text == "" {
		return Text{}
	}
	return Text{&text}
}

// Reveal returns the text itself.
func (s Text) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty says whether there is no text.
func (s Text) Empty() bool { return s.text == nil }

// String returns the redaction.
func (s Text) String() string { return Redacted }

// GoString returns the redaction.
func (s Text) GoString() string { return Redacted }

// Format writes the redaction for every verb.
func (s Text) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON returns the redaction as a JSON string.
func (s Text) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText returns the redaction.
func (s Text) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns the redaction.
func (s Text) LogValue() slog.Value { return slog.StringValue(Redacted) }
