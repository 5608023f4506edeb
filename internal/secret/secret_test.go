package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestSecret_NoWayOfPrintingShowsIt(t *testing.T) {
	t.Parallel()
	const canary = "CANARY-7f3a"
	s := New(canary)
	holder := struct {
		Key     Text
		Pointer *Text
		inside  Text
		nested  struct{ key Text }
	}{s, &s, s, struct{ key Text }{s}}

	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&printed, verb+"\n", s)
		fmt.Fprintf(&printed, verb+"\n", &s)
		for _, one := range []any{holder, &holder, []Text{s}, map[string]Text{"a": s}} {
			fmt.Fprintf(&printed, verb+"\n", one)
		}
	}
	if err := json.NewEncoder(&printed).Encode(holder); err != nil {
		t.Fatalf("encoding JSON: %v", err)
	}
	if err := xml.NewEncoder(&printed).Encode(s); err != nil {
		t.Fatalf("encoding XML: %v", err)
	}
	slog.New(slog.NewTextHandler(&printed, nil)).Info("slog", "secret", s, "holder", holder)
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("slog", "secret", s, "holder", holder)
	for _, asJSON := range []bool{false, true} {
		hclog.New(&hclog.LoggerOptions{Output: &printed, JSONFormat: asJSON}).
			Info("hclog", "secret", s, "holder", holder)
	}

	// %x of the bytes would hide the canary from a plain search.
	hexed := fmt.Sprintf("%x", canary)
	for _, form := range []string{canary, hexed, strings.ToUpper(hexed)} {
		if strings.Contains(printed.String(), form) {
			t.Errorf("a printing path shows the secret:\n%s", printed.String())
		}
	}
	if s.Reveal() != canary {
		t.Errorf("Reveal() = %q, want the secret itself", s.Reveal())
	}
}

// fmt prefers Format, but others call the rest.
func TestSecret_EveryMethodReturnsTheRedaction(t *testing.T) {
	t.Parallel()
	s := New("CANARY")
	text, err := s.MarshalText()
	if err != nil || string(text) != Redacted || s.String() != Redacted || s.GoString() != Redacted ||
		s.LogValue().String() != Redacted {
		t.Errorf("%s, %s, %s, %s, %v", text, s.String(), s.GoString(), s.LogValue(), err)
	}
}

func TestSecret_ThatIsEmptyHoldsNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []Text{New(""), {}} {
		if !s.Empty() || s.Reveal() != "" || s != New("") {
			t.Errorf("it holds %q", s.Reveal())
		}
	}
	if s := New("a"); s.Empty() || s == New("a") || s != Text(s) {
		t.Error("a text is empty, equals another of the same letters, or does not equal its copy")
	}
}
