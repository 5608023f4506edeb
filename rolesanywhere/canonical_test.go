package rolesanywhere

import (
	"net/http"
	"net/url"
	"testing"
)

func TestCanonical_PathIsEncodedTwice(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://h":              "/",
		"https://h/":             "/",
		"https://h/sessions":     "/sessions",
		"https://h/base/a%20b/s": "/base/a%2520b/s",
		"https://h/a:b":          "/a%3Ab",
		"https://h/~u_-.x":       "/~u_-.x",
		"https://h/%C3%A9":       "/%25C3%25A9",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(appendPath(nil, u)); got != want {
			t.Errorf("%s: path = %s, want %s", raw, got, want)
		}
	}
}

func TestCanonical_QueryIsSortedAndEncoded(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                  "",
		"b=2&a=1":           "a=1&b=2",
		"a=2&a=1":           "a=1&a=2",
		"a":                 "a=",
		"a-b=1&a=2":         "a=2&a-b=1", // by name: "a=" would come after "a-" as text
		"q=a+b&r=a%20b":     "q=a%20b&r=a%20b",
		"q=%7E%2A%2F:'":     "q=~%2A%2F%3A%27",
		"%C3%A9=1&f=1&F=2":  "%C3%A9=1&F=2&f=1",
		"roleArn=arn:aws:x": "roleArn=arn%3Aaws%3Ax",
	} {
		got, err := appendQuery(nil, &url.URL{RawQuery: raw})
		if err != nil || string(got) != want {
			t.Errorf("%q: query = %q, %v, want %q", raw, got, err, want)
		}
	}
}

func TestCanonical_HeadersAreThoseThatArriveUnchanged(t *testing.T) {
	t.Parallel()
	r, _ := http.NewRequest(http.MethodPost, "https://example.com:8443/sessions", nil)
	r.Header = http.Header{
		"Content-Type":    {"  application/json \t"},
		"X-Multi":         {"b", " a  b   c "},
		"x-multi":         {"later key"},
		"X-Zero":          {""},
		"X-None":          {},
		"Authorization":   {"no"},
		"User-Agent":      {"no"},
		"Content-Length":  {"1"},
		"Accept-Encoding": {"gzip"},
		"Connection":      {"close"},
		"connection":      {"close"},
		"X-Amzn-Trace-Id": {"no"},
		"Host":            {"evil.example"},
	}
	headers := signedHeaders(r.Header)
	const wantHeaders = "content-type:application/json\nhost:example.com:8443\nx-multi:b,a b c,later key\nx-zero:\n"
	if got := string(appendHeaders(nil, r, headers)); got != wantHeaders {
		t.Errorf("headers = %q\nwant %q", got, wantHeaders)
	}
	const wantNames = "content-type;host;x-multi;x-zero"
	if got := string(appendHeaderNames(nil, headers)); got != wantNames {
		t.Errorf("names = %q, want %q", got, wantNames)
	}
}

func TestCanonical_HostFieldWins(t *testing.T) {
	t.Parallel()
	r, _ := http.NewRequest(http.MethodPost, "https://10.0.0.1/sessions", nil)
	r.Host = "rolesanywhere.us-east-1.amazonaws.com"
	if got := requestHost(r); got != r.Host {
		t.Errorf("host = %s, want %s", got, r.Host)
	}
}
