package problem

import (
	"errors"
	"strings"
	"testing"
)

func TestList_ErrNamesEverything(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		fields  []string
		outcome string
		want    string
	}{
		{"nothing", nil, "nothing was stored", ""},
		{"one", []string{"region"}, "nothing was stored", "writing x: region: is wrong; nothing was stored"},
		{"one without an outcome", []string{"region"}, "", "writing x: region: is wrong"},
		{"two", []string{"region", "duration"}, "nothing was stored",
			"writing x: 2 things are wrong:\n  - region: is wrong\n  - duration: is wrong\nnothing was stored"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var list List
			for _, field := range row.fields {
				list.Add(field, "is %s", "wrong")
			}
			err := list.Err("writing x", row.outcome)
			if row.want == "" {
				if err != nil {
					t.Fatalf("Err() = %v, want nil", err)
				}
				return
			}
			var problem *Error
			if !errors.As(err, &problem) || err.Error() != row.want {
				t.Errorf("Err() = %q, want a *problem.Error %q", err, row.want)
			}
		})
	}
}

func TestList_CloneGrowsByItself(t *testing.T) {
	t.Parallel()
	var list List
	list.Add("region", "is wrong")
	more := list.Clone()
	more.Add("duration", "is wrong")
	if list.Has("duration") || !more.Has("duration") || !more.Has("region") {
		t.Errorf("the list has %v and its clone %v, want one and two entries", list, *more)
	}
}

func TestQuote_EscapesAndCuts(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ in, want string }{
		{"plain", `"plain"`},
		{"line\nbreak \u00e9", `"line\nbreak \u00e9"`},
		{strings.Repeat("a", 100), `"` + strings.Repeat("a", 100) + `"`},
		{strings.Repeat("a", 101), `"` + strings.Repeat("a", 100) + `"...`},
	} {
		if got := Quote(row.in); got != row.want {
			t.Errorf("Quote(%q) = %s, want %s", row.in, got, row.want)
		}
	}
}
