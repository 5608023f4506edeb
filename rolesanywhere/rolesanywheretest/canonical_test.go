package rolesanywheretest

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCanonical_Query(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                "",
		"b=2&a=1":         "a=1&b=2",
		"a=2&a=1":         "a=1&a=2",
		"a":               "a=",
		"a=b=c":           "a=b%3Dc",
		"a=%3a%3A":        "a=%3A%3A",
		"a=x y+z":         "a=x%20y%2Bz",
		"a=-._~/*":        "a=-._~%2F%2A",
		"%61=%C3%A9":      "a=%C3%A9",
		"ab=1&a=1&a-=1":   "a=1&a-=1&ab=1",
		"a=1&":            "=&a=1",
		"A=1&a=1&%5F=1":   "A=1&_=1&a=1",
		"a=%00&a=%ff&a=z": "a=%00&a=%FF&a=z",
	} {
		pairs, err := parseQuery(raw)
		if err != nil {
			t.Errorf("%q: %v", raw, err)
		}
		if got := canonicalQuery(pairs); got != want {
			t.Errorf("%q: canonical %q, want %q", raw, got, want)
		}
	}
}

func TestCanonical_Value(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []string
		want   string
	}{
		{[]string{" a   b  c "}, "a b c"},
		{[]string{"a\tb"}, "a\tb"},
		{[]string{"\ta\t"}, "a"},
		{[]string{"a ", " b"}, "a,b"},
		{[]string{""}, ""},
	} {
		if got := canonicalValue(c.values); got != c.want {
			t.Errorf("%q: canonical %q, want %q", c.values, got, c.want)
		}
	}
}

func TestCanonical_HeadersOutsideTheMap(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "http://example.com:8443/sessions", strings.NewReader("{}"))
	for name, want := range map[string]string{"host": "example.com:8443", "content-length": "2"} {
		if got := strings.Join(headerValues(r, name), ";"); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	r.Host, r.ContentLength = "", -1
	for _, name := range []string{"host", "content-length"} {
		if got := headerValues(r, name); got != nil {
			t.Errorf("%s is %q where none was sent", name, got)
		}
	}
}
