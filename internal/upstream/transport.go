package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
)

// describeTransport puts a failure between this host and the service into fixed phrases: Go's own texts may quote
// what was received.
func (e *Error) describeTransport(err error) {
	if text := misdirected(err); text != "" {
		e.Kind, e.text = Permanent, text
		return
	}
	e.Kind = Unavailable
	var timeout net.Error
	where := destination(err)
	switch text := tlsOrDNS(err, where); {
	case errors.Is(err, context.Canceled):
		e.Busy, e.text = true, "the call was given up before it was answered"
	case text != "":
		e.text = text
	case errors.Is(err, syscall.ECONNREFUSED):
		e.text = where + " refused the connection"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.TimedOut, e.text = true, fmt.Sprintf("%s did not answer within %s", where, Timeout)
	default:
		e.text = "the connection to " + where + " broke before it answered"
	}
}

// misdirected returns the words of a call that was not made, or that a proxy refused: it goes where it must not.
func misdirected(err error) string {
	var refusal *network.ProxyError
	switch {
	case errors.As(err, &refusal):
		return refusal.Error()
	case errors.Is(err, network.ErrForbiddenAddress):
		return network.ErrForbiddenAddress.Error()
	case errors.Is(err, network.ErrNotLocal):
		return network.ErrNotLocal.Error()
	}
	return ""
}

func tlsOrDNS(err error, where string) string {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &dns) && !dns.IsTimeout:
		return "the host name of " + where + " does not resolve; check the configured addresses and this host's DNS"
	case errors.As(err, &authority):
		return "the TLS certificate of " + where + " is of an authority that is not trusted; its CA goes into ca_cert"
	case errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &verify):
		return "the TLS certificate of " + where + " is not valid for it"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return where + " does not speak TLS at that address"
	}
	return ""
}

// destination names the host that a request was sent to.
func destination(err error) string {
	var connecting *net.OpError
	if errors.As(err, &connecting) && connecting.Op == "proxyconnect" {
		return "the proxy"
	}
	var request *url.Error
	if errors.As(err, &request) {
		if u, parseErr := url.Parse(request.URL); parseErr == nil && u.Host != "" {
			return u.Host
		}
	}
	return "the service"
}
