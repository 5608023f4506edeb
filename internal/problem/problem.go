// Package problem collects what is wrong with a request, so that one error names all of it, and quotes public input
// safely.
package problem

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// List collects everything that is wrong with the fields of one request. Its zero value is an empty list. It is not
// safe for concurrent use.
type List struct {
	entries []entry
}

type entry struct{ field, text string }

// Add appends what is wrong with a field, as fmt.Sprintf formats it. The text must not quote a secret, and quotes
// public input with [Quote] alone.
func (l *List) Add(field, format string, args ...any) {
	l.entries = append(l.entries, entry{field, fmt.Sprintf(format, args...)})
}

// Has says whether something is wrong with the field.
func (l *List) Has(field string) bool {
	return slices.ContainsFunc(l.entries, func(e entry) bool { return e.field == field })
}

// Clone returns a list with the same entries, to which more can be added without changing l.
func (l *List) Clone() *List { return &List{slices.Clone(l.entries)} }

// Err returns an *[Error], or nil when nothing was wrong. subject says what was being done, outcome what is still true
// afterwards; an empty outcome is left out.
func (l *List) Err(subject, outcome string) error {
	if len(l.entries) == 0 {
		return nil
	}
	return &Error{subject: subject, outcome: outcome, entries: l.entries}
}

// Error is a request that its sender has to correct.
type Error struct {
	subject, outcome string
	entries          []entry
}

// Error returns the subject, each field with what is wrong with it, and the outcome.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.subject)
	if len(e.entries) == 1 {
		fmt.Fprintf(&b, ": %s: %s", e.entries[0].field, e.entries[0].text)
	} else {
		fmt.Fprintf(&b, ": %d things are wrong:", len(e.entries))
		for _, one := range e.entries {
			fmt.Fprintf(&b, "\n  - %s: %s", one.field, one.text)
		}
		b.WriteString("\n")
	}
	if e.outcome != "" {
		if len(e.entries) == 1 {
			b.WriteString("; ")
		}
		b.WriteString(e.outcome)
	}
	return b.String()
}

const maxQuoted = 100 // bytes of the input

// Quote repeats public input in an error: escaped to ASCII, and cut so that an oversized value does not fill a log.
func Quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
