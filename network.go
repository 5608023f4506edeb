package s3conn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere"
)

const (
	dialTimeout    = 5 * time.Second
	tlsTimeout     = 5 * time.Second
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

// proxyError is a proxy's refusal to open a tunnel.
type proxyError struct{ status int }

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy refused the connection (HTTP %d); check proxy_url and its user and password", e.status)
}

// checkEndpoint accepts an address to which credentials or signed requests may be sent.
func checkEndpoint(p *problem.List, field, endpoint string, allowHTTP bool) {
	if endpoint == "" || p.Has(field) {
		return
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		p.Add(field, "is not an http(s) address; it looks like https://host:port") // unquoted: it may hold a password
	case u.User != nil:
		p.Add(field, "holds a user name or password, which are never sent; leave them out")
	case strings.ContainsAny(endpoint, "?#"):
		p.Add(field, "has a query or fragment; give the address alone") // unquoted: a presigned one is a credential
	case u.Scheme == "http" && !isLoopback(u.Hostname()) && !allowHTTP:
		hint := ""
		if field == "s3_endpoint" {
			hint = ", or s3_allow_http=true inside a private network"
		}
		p.Add(field, "%s is plain http, which is accepted for loopback alone; use https%s", problem.Quote(endpoint), hint)
	default:
		if address, err := netip.ParseAddr(u.Hostname()); err == nil && forbiddenAddress(address) {
			p.Add(field, "%s is a link-local or metadata address, to which this plugin makes no calls", problem.Quote(endpoint))
		}
	}
}

func checkNetwork(p *problem.List, c *connection) {
	checkEndpoint(p, "rolesanywhere_endpoint", c.RolesAnywhereEndpoint, false)
	if c.CACert != "" && !p.Has("ca_cert") {
		certificates, err := parseCertificates(c.CACert)
		if err != nil {
			p.Add("ca_cert", "%v", err)
		} else {
			c.CACert = encodePEM(certificates)
		}
	}
	if c.proxyURL.Empty() || p.Has("proxy_url") {
		return
	}
	u, err := url.Parse(c.proxyURL.Reveal())
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) ||
		strings.Trim(u.Path, "/") != "" || strings.ContainsAny(c.proxyURL.Reveal(), "?#") {
		p.Add("proxy_url", "is not a proxy's address; it looks like http://host:port, https://host:port or socks5://host:port")
		return
	}
	if password, _ := u.User.Password(); password == redactedPassword || u.User.Username() == redactedPassword {
		p.Add("proxy_url", "has the stand-in for a password that a read shows; give the real password")
	}
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && forbiddenAddress(address) {
		p.Add("proxy_url", "names a link-local or metadata address, to which this plugin makes no calls")
	}
}

const redactedPassword = "xxxxx" // what url.URL.Redacted writes

// shownProxy is the proxy's address as a read may show it.
func (c *connection) shownProxy() string {
	u, err := url.Parse(c.proxyURL.Reveal())
	if err != nil {
		return secret.Redacted
	}
	if _, hasPassword := u.User.Password(); u.User != nil && !hasPassword {
		u.User = url.User(redactedPassword) // a user name alone may be a token
	}
	return u.Redacted()
}

func parseCertificates(pemData string) ([]*x509.Certificate, error) {
	blocks, err := rolesanywhere.DecodePEM([]byte(pemData))
	if err != nil {
		return nil, fmt.Errorf("is not PEM: %w; give CA certificates, each from -----BEGIN CERTIFICATE----- to its end", err)
	}
	certificates := make([]*x509.Certificate, len(blocks))
	for i, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("holds a PEM block that is not a CERTIFICATE; give CA certificates alone")
		}
		if certificates[i], err = x509.ParseCertificate(block.Bytes); err != nil {
			return nil, fmt.Errorf("parsing certificate %d: its content is not an X.509 certificate", i+1)
		}
	}
	return certificates, nil
}

func isLoopback(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// forbiddenAddress tells the addresses at which clouds serve their hosts' own credentials: an operator who may
// write a connection must not be able to read those of the machine that Vault runs on.
func forbiddenAddress(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	if netip.MustParsePrefix("64:ff9b::/96").Contains(address) { // NAT64 carries an IPv4 address in its last bytes
		whole := address.As16()
		address = netip.AddrFrom4([4]byte(whole[12:]))
	}
	if address.IsLinkLocalUnicast() || address.IsMulticast() || address.IsUnspecified() {
		return true
	}
	switch address.String() {
	case "fd00:ec2::254", "fd00:ec2::23", // EC2's metadata and EKS Pod Identity over IPv6
		"fd20:ce::254",    // Google's metadata over IPv6
		"168.63.129.16",   // Azure's host
		"100.100.100.200", // Alibaba's metadata
		"192.0.0.192":     // Oracle's metadata
		return true
	}
	return false
}

// newHTTPClient returns the client for the connection's upstream calls: what it trusts and which way it goes is the
// connection's alone, never the environment's. It follows no redirect and refuses forbidden addresses after name
// resolution, so that DNS cannot smuggle them in. The caller closes its idle connections.
func (c *connection) newHTTPClient() (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if c.CACert != "" {
		certificates, err := parseCertificates(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("reading ca_cert: %w", err)
		}
		for _, one := range certificates {
			roots.AddCert(one)
		}
	}
	var proxy func(*http.Request) (*url.URL, error)
	if !c.proxyURL.Empty() {
		u, err := url.Parse(c.proxyURL.Reveal())
		if err != nil {
			return nil, errors.New("reading proxy_url: the stored address is not a URL; write it again")
		}
		proxy = http.ProxyURL(u)
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 proxy,
			DialContext:           guardedDialer{}.dial,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
			TLSHandshakeTimeout:   tlsTimeout,
			ResponseHeaderTimeout: headerTimeout,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          2,
			// A CONNECT that the proxy refuses would otherwise look as if the service had.
			OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
				if answer.StatusCode != http.StatusOK {
					return &proxyError{answer.StatusCode}
				}
				return nil
			},
			MaxResponseHeaderBytes: maxHeaderBytes,
			IdleConnTimeout:        headerTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

var (
	errForbiddenAddress = errors.New("the host resolves to a link-local or metadata address, to which this plugin makes no calls")
	errNotLocal         = errors.New("localhost resolves to an address of another host, to which plain http may not go; check this host's hosts file and DNS")
)

// mayDial judges where a host's name has led to.
func mayDial(host string, target netip.Addr) error {
	switch {
	case forbiddenAddress(target):
		return errForbiddenAddress
	case isLoopback(host) && !target.Unmap().IsLoopback():
		return errNotLocal
	}
	return nil
}

// guardedDialer connects to every address that mayDial lets it, which it asks after the name was resolved and before
// anything is sent.
type guardedDialer struct {
	resolver *net.Resolver // nil: the system's
}

func (d guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: d.resolver, Control: func(_, resolved string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return errForbiddenAddress
		}
		return mayDial(host, target.Addr())
	}}
	return dialer.DialContext(ctx, network, address)
}
