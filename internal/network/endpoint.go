package network

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// PlainHTTP says where an endpoint may be plain http although its host is not loopback.
type PlainHTTP struct {
	Allowed bool
	Hint    string // what else would be right, put behind "use https"; may be empty
}

const refusedAddress = "is a link-local or metadata address or another special one, to which this plugin makes no calls"

// CheckEndpoint accepts an address to which credentials or signed requests may be sent: http or https, without a
// user, a query or a fragment, and not at a forbidden address. Plain http is accepted for loopback, and where plain
// allows it. The error's text goes behind a field's name and an is-less subject: "is not an http(s) address...".
func CheckEndpoint(endpoint string, plain PlainHTTP) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("is not an http(s) address; it looks like " +
			"https://host:port") // unquoted: it may hold a password
	case u.User != nil:
		return errors.New("holds a user name or password, which are never sent; leave them out")
	case strings.ContainsAny(endpoint, "?#"):
		return errors.New("has a query or fragment; give the address " +
			"alone") // unquoted: a presigned one is a credential
	case !validPort(u):
		return fmt.Errorf("%s has a port that is not from 1 to 65535", problem.Quote(endpoint))
	case u.Scheme == "http" && !IsLoopback(u.Hostname()) && !plain.Allowed:
		return fmt.Errorf("%s is plain http, which is accepted for loopback alone; use https%s",
			problem.Quote(endpoint), plain.Hint)
	case forbiddenLiteral(u.Hostname()):
		return fmt.Errorf("%s %s", problem.Quote(endpoint), refusedAddress)
	}
	return nil
}

// validPort says whether the port is left out or one that can be called: url.Parse takes every number.
func validPort(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && port > 0
}

func forbiddenLiteral(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && Forbidden(address)
}

// redactedPassword is what url.URL.Redacted writes.
const redactedPassword = "xxxxx"

// CheckProxy accepts the address of a proxy: http, https or socks5, with a user and password where it wants them. The
// error never quotes it.
func CheckProxy(proxy secret.Text) error {
	u, err := url.Parse(proxy.Reveal())
	if err != nil || u.Hostname() == "" || !validPort(u) ||
		!slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) ||
		strings.Trim(u.Path, "/") != "" || strings.ContainsAny(proxy.Reveal(), "?#") {
		return errors.New("is not a proxy's address; it looks like http://host:port, https://host:port or " +
			"socks5://host:port")
	}
	if password, _ := u.User.Password(); password == redactedPassword || u.User.Username() == redactedPassword {
		return errors.New("has the stand-in for a password that a read shows; give the real password")
	}
	if forbiddenLiteral(u.Hostname()) {
		return errors.New(refusedAddress)
	}
	return nil
}

// RedactProxy returns a proxy's address as a read may show it.
func RedactProxy(proxy secret.Text) string {
	u, err := url.Parse(proxy.Reveal())
	if err != nil {
		return secret.Redacted
	}
	if _, hasPassword := u.User.Password(); u.User != nil && !hasPassword {
		u.User = url.User(redactedPassword) // a user name alone may be a token
	}
	return u.Redacted()
}
