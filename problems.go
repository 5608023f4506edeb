package s3conn

import (
	"fmt"
	"strconv"
	"strings"
)

// problems collects everything that is wrong with the fields of one request, so that it is told at once.
type problems struct {
	list []problem
}

type problem struct{ field, text string }

func (p *problems) add(field, format string, args ...any) {
	p.list = append(p.list, problem{field, fmt.Sprintf(format, args...)})
}

func (p *problems) has(field string) bool {
	for _, one := range p.list {
		if one.field == field {
			return true
		}
	}
	return false
}

// err returns nil when nothing was wrong; subject says what was being done, outcome what is still true.
func (p *problems) err(subject, outcome string) error {
	if len(p.list) == 0 {
		return nil
	}
	return &invalidError{subject: subject, outcome: outcome, list: p.list}
}

// invalidError is a request that its sender has to correct.
type invalidError struct {
	subject, outcome string
	list             []problem
}

func (e *invalidError) Error() string {
	var b strings.Builder
	b.WriteString(e.subject)
	if len(e.list) == 1 {
		fmt.Fprintf(&b, ": %s: %s", e.list[0].field, e.list[0].text)
	} else {
		fmt.Fprintf(&b, ": %d things are wrong:", len(e.list))
		for _, one := range e.list {
			fmt.Fprintf(&b, "\n  - %s: %s", one.field, one.text)
		}
		b.WriteString("\n")
	}
	if e.outcome != "" {
		if len(e.list) == 1 {
			b.WriteString("; ")
		}
		b.WriteString(e.outcome)
	}
	return b.String()
}

const maxQuoted = 100

// quoted repeats public input in an error: escaped, and cut so that an oversized value does not fill a log.
func quoted(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}
