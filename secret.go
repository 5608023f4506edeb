package s3conn

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// secret holds text that must not reach a log, an error or a response by accident: every way of printing
// or encoding it writes a redaction. reveal is the one way out, used by storage, responses and signers.
//
// The text is behind a pointer because fmt calls no methods on an unexported field of a struct that is printed: there
// it shows the pointer.
type secret struct{ text *string }

func newSecret(text string) secret {
	if text == "" {
		return secret{}
	}
	return secret{&text}
}

func (s secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

func (s secret) empty() bool { return s.text == nil }

func (s secret) String() string               { return redacted }
func (s secret) GoString() string             { return redacted }
func (s secret) Format(f fmt.State, _ rune)   { _, _ = io.WriteString(f, redacted) }
func (s secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (s secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
