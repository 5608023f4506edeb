// Package network makes the HTTP client for every call that the plugin makes, and says to which addresses no call is
// made. Nothing comes from the environment: what a client trusts and which way it goes is in its [Settings] alone.
package network

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
	"syscall"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

const (
	dialTimeout    = 5 * time.Second
	tlsTimeout     = 5 * time.Second
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 64 << 10
)

var (
	// ErrForbiddenAddress is what a host name that leads to a forbidden address ends with, before anything is sent.
	ErrForbiddenAddress = errors.New("the host resolves to a link-local or metadata address or another special one, " +
		"to which this plugin makes no calls")
	// ErrNotLocal is what a localhost that is another host ends with, before anything is sent.
	ErrNotLocal = errors.New("localhost resolves to an address of another host, to which plain http may not go; " +
		"check this host's hosts file and DNS")
)

// ProxyError is a proxy's refusal to open a tunnel.
type ProxyError struct{ Status int }

func (e *ProxyError) Error() string {
	return fmt.Sprintf("the proxy refused the connection (HTTP %d); check proxy_url and its user and password",
		e.Status)
}

// Settings say what a client trusts and which way it goes. The zero value trusts the system's roots and goes directly.
type Settings struct {
	CACert   string      // PEM; trusted beside the system's roots
	ProxyURL secret.Text // http, https or socks5; loopback hosts are never reached through it
	// ClientCertificate is offered to servers that ask for one, whichever CAs they name; nil offers none.
	ClientCertificate func() *tls.Certificate
}

// NewClient returns a client that follows no redirect, bounds every wait and header, and refuses forbidden addresses
// after name resolution, so that DNS cannot smuggle them in. Whoever reads a body bounds it. The caller closes the
// client's idle connections. The client is safe for concurrent use.
func NewClient(s Settings) (*http.Client, error) {
	roots, err := rootsWith(s.CACert)
	if err != nil {
		return nil, err
	}
	proxy, err := proxyFor(s.ProxyURL)
	if err != nil {
		return nil, err
	}
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	if s.ClientCertificate != nil {
		tlsConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificate := s.ClientCertificate(); certificate != nil {
				return certificate, nil
			}
			return &tls.Certificate{}, nil
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  proxy,
			DialContext:            guardedDialer{}.dial,
			TLSClientConfig:        tlsConfig,
			TLSHandshakeTimeout:    tlsTimeout,
			ResponseHeaderTimeout:  headerTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           2,
			OnProxyConnectResponse: checkTunnel,
			MaxResponseHeaderBytes: maxHeaderBytes,
			IdleConnTimeout:        headerTimeout,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// rootsWith returns the system's roots and the given certificates. It returns nil for the system's alone, which Go
// reads at the first TLS handshake: they take megabytes that a client without TLS has no use for.
func rootsWith(caCert string) (*x509.CertPool, error) {
	if caCert == "" {
		return nil, nil
	}
	certificates, err := ParseCertificates(caCert)
	if err != nil {
		return nil, fmt.Errorf("reading ca_cert: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, one := range certificates {
		roots.AddCert(one)
	}
	return roots, nil
}

// proxyFor sends what goes to loopback directly: a proxy elsewhere would get a plain http request with its session
// token in the clear, and its own loopback is another host's.
func proxyFor(proxyURL secret.Text) (func(*http.Request) (*url.URL, error), error) {
	if proxyURL.Empty() {
		return nil, nil
	}
	proxy, err := url.Parse(proxyURL.Reveal())
	if err != nil {
		return nil, errors.New("reading proxy_url: the stored address is not a URL; write it again")
	}
	return func(r *http.Request) (*url.URL, error) {
		if IsLoopback(r.URL.Hostname()) {
			return nil, nil
		}
		return proxy, nil
	}, nil
}

// checkTunnel keeps a CONNECT that the proxy refuses from looking as if the service had.
func checkTunnel(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return &ProxyError{answer.StatusCode}
	}
	return nil
}

// mayDial judges where a host's name has led to.
func mayDial(host string, target netip.Addr) error {
	switch {
	case Forbidden(target):
		return ErrForbiddenAddress
	case IsLoopback(host) && !target.Unmap().IsLoopback():
		return ErrNotLocal
	}
	return nil
}

// guardedDialer connects to every address that mayDial lets it, which it asks after the name was resolved and before
// anything is sent.
type guardedDialer struct {
	resolver *net.Resolver // nil: the system's
}

func (d guardedDialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address) // the dialer refuses what has none
	dialer := net.Dialer{Timeout: dialTimeout, Resolver: d.resolver,
		Control: func(_, resolved string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return ErrForbiddenAddress
			}
			return mayDial(host, target.Addr())
		}}
	return dialer.DialContext(ctx, network, address)
}
