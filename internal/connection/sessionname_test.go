package connection

import (
	"strings"
	"testing"
)

func TestSentSessionName_MakesAnyTextAcceptable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                              "",
		"orders-api":                    "orders-api",
		"a":                             "a-",
		"é":                             "--",
		"ü/b c":                         "--b-c",
		"A_z0+=,.@-":                    "A_z0+=,.@-",
		"a\xffb\n":                      "a-b-",
		strings.Repeat("x", 64):         strings.Repeat("x", 64),
		strings.Repeat("x", 63) + "éé":  strings.Repeat("x", 63) + "-",
		"arn:aws:iam::1:role/app[prod]": "arn-aws-iam--1-role-app-prod-",
	} {
		got := sentSessionName(name)
		if got != want || sentSessionName(got) != got {
			t.Errorf("%q: %q, want %q; again: %q", name, got, want, sentSessionName(got))
		}
	}
}
