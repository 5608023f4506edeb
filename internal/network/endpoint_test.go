package network

import (
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestCheckEndpoint_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		endpoint string
		plain    PlainHTTP
		want     string // empty: accepted
	}{
		{"https://store.example", PlainHTTP{}, ""},
		{"https://store.example:9000/base", PlainHTTP{}, ""},
		{"http://127.0.0.1:9000", PlainHTTP{}, ""},
		{"http://[::1]:9000", PlainHTTP{}, ""},
		{"http://localhost:9000", PlainHTTP{}, ""},
		{"http://store.example", PlainHTTP{Allowed: true}, ""},
		{"https://10.0.0.1", PlainHTTP{}, ""},
		{"", PlainHTTP{}, "is not an http(s) address"},
		{"store.example", PlainHTTP{}, "is not an http(s) address"},
		{"https://:443", PlainHTTP{}, "is not an http(s) address"},
		{"ftp://store.example", PlainHTTP{}, "is not an http(s) address"},
		{"https://store.example:65535", PlainHTTP{}, ""},
		{"https://store.example:65536", PlainHTTP{}, `:65536" has a port that is not from 1 to 65535`},
		{"https://store.example:0", PlainHTTP{}, "has a port that is not from 1 to 65535"},
		{"https://user:CANARY@store.example", PlainHTTP{}, "holds a user name or password"},
		{"https://store.example?X-Amz-Signature=CANARY", PlainHTTP{}, "has a query or fragment"},
		{"https://store.example#CANARY", PlainHTTP{}, "has a query or fragment"},
		{"http://store.example", PlainHTTP{Hint: ", or more"},
			"is plain http, which is accepted for loopback alone; use https, or more"},
		{"http://127.1", PlainHTTP{}, "is plain http"},
		{"http://[::ffff:0:7f00:1]", PlainHTTP{}, "is plain http"},
		{"https://169.254.169.254", PlainHTTP{}, "is a link-local or metadata address"},
		{"https://[64:ff9b::a9fe:a9fe]:443/x", PlainHTTP{}, "is a link-local or metadata address"},
		{"http://0.0.0.0", PlainHTTP{Allowed: true}, "is a link-local or metadata address"},
	} {
		err := CheckEndpoint(row.endpoint, row.plain)
		switch {
		case row.want == "" && err != nil:
			t.Errorf("%q: %v", row.endpoint, err)
		case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
			t.Errorf("%q: %v, want %q", row.endpoint, err, row.want)
		case err != nil && strings.Contains(err.Error(), "CANARY"):
			t.Errorf("%q is repeated in %v", row.endpoint, err)
		}
	}
}

func TestCheckProxy_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for proxy, want := range map[string]string{
		"http://proxy.example:3128":       "",
		"https://user:CANARY@proxy":       "",
		"socks5://CANARY@127.0.0.1:1080/": "",
		"proxy.example:3128":              "is not a proxy's address",
		"http://CANARY\x00/":              "is not a proxy's address",
		"ftp://CANARY@proxy":              "is not a proxy's address",
		"http://proxy/CANARY":             "is not a proxy's address",
		"http://proxy?CANARY":             "is not a proxy's address",
		"http://user:xxxxx@proxy":         "has the stand-in for a password",
		"http://xxxxx@proxy":              "has the stand-in for a password",
		"http://169.254.169.254:3128":     "is a link-local or metadata address",
		"http://[fd00:c1::a9fe:a9fe]":     "is a link-local or metadata address",
	} {
		err := CheckProxy(secret.New(proxy))
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", proxy, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "CANARY")):
			t.Errorf("%q: %v, want %q", proxy, err, want)
		}
	}
}

func TestRedactProxy_HidesPasswordAndLoneUser(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://proxy.example:3128":             "http://proxy.example:3128",
		"https://user:CANARY@proxy.example":     "https://user:xxxxx@proxy.example",
		"socks5://CANARY@proxy.example:1080":    "socks5://xxxxx@proxy.example:1080",
		"http://user:@proxy.example":            "http://user:xxxxx@proxy.example",
		"http://user:CANARY@proxy.example\x00/": secret.Redacted,
	} {
		if got := RedactProxy(secret.New(given)); got != want {
			t.Errorf("%q is shown as %q, want %q", given, got, want)
		}
	}
}
