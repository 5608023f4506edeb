package enroll

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	// maxAnswer bounds a body, in bytes. Thirty certificates of 8 KiB each stay under it.
	maxAnswer = 256 << 10
	// maxWords bounds what is repeated of an authority's words, in bytes.
	maxWords = 300
)

// call is one HTTP request. Only what a status of 2xx comes with is returned.
type call struct {
	operation string // for errors
	method    string
	url       string
	header    http.Header
	body      []byte
	// words reads the authority's own error out of the body of a refusal.
	words func(answer *http.Response, body []byte) (code, message string)
}

// answer is what came back with a status of 2xx.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *session) do(ctx context.Context, c call) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf(
			"%s: making the request: the stored address is not a URL; write the issuer again",
			c.operation,
		)
	}
	if c.header != nil {
		request.Header = c.header
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.operation, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case response.StatusCode/100 != 2:
		return nil, s.refusal(c, response, body) // a refusal cut short is still one
	case err != nil:
		return nil, fmt.Errorf("%s: reading the answer: %w", c.operation, err)
	case len(body) > maxAnswer:
		return nil, unusable(c.operation, "it is longer than %d KiB", maxAnswer>>10)
	}
	return &answer{response.StatusCode, response.Header, body}, nil
}

func (s *session) refusal(c call, response *http.Response, body []byte) error {
	refusal := &RefusalError{Operation: c.operation, Status: response.StatusCode}
	refusal.Request = s.printable(response.Header.Get("X-Request-Id"))
	if response.StatusCode/100 == 3 {
		refusal.Message = "the server redirects elsewhere, which is not followed; give the address of the server " +
			"that answers itself"
		return refusal
	}
	if len(body) <= maxAnswer && c.words != nil {
		code, message := c.words(response, body)
		refusal.Code, refusal.Message = s.printable(code), s.printable(message)
	}
	return refusal
}

// printable makes one short line of what an authority said, without the secrets that it was sent: whoever answers may
// repeat them.
func (s *session) printable(text string) string {
	for _, one := range s.secrets {
		if !one.Empty() {
			text = strings.ReplaceAll(text, one.Reveal(), secret.Redacted)
		}
	}
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)), " ")
	if len(text) > maxWords {
		text = strings.ToValidUTF8(text[:maxWords], "") + "..."
	}
	return text
}

// unusableError is about an answer that reports success and is of no use. It is [ErrUnusableAnswer], and repeats
// nothing of the answer.
type unusableError struct{ text string }

func (e *unusableError) Error() string { return e.text }

// Unwrap makes it ErrUnusableAnswer.
func (e *unusableError) Unwrap() error { return ErrUnusableAnswer }

// MalformedResponse marks the error for whoever describes failed calls.
func (e *unusableError) MalformedResponse() {}

func unusable(operation, format string, args ...any) error {
	return &unusableError{fmt.Sprintf("%s: %v: %s", operation, ErrUnusableAnswer, fmt.Sprintf(format, args...))}
}

// encode returns texts in JSON, of which there is always one.
func encode(texts map[string]string) []byte {
	body, _ := json.Marshal(texts)
	return body
}

// decode reads JSON. Its error never quotes the body, which may hold a token.
func decode(operation string, body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return unusable(operation, "it is not the JSON that was expected")
	}
	return nil
}

// isText says whether an answer is declared as plain text, or as nothing, which EST takes for plain text
// (RFC 7030, section 4.2.3).
func isText(answer *http.Response) bool {
	declared := answer.Header.Get("Content-Type")
	kind, _, err := mime.ParseMediaType(declared)
	return declared == "" || err == nil && kind == "text/plain"
}
