package rolesanywheretest

import (
	"net/http"
	"net/http/httptest"
	"time"
)

// readTimeout bounds a client that sends its request slowly, in real time.
const readTimeout = 30 * time.Second

// Server is a Service on a loopback address.
type Server struct {
	*Service
	// URL is the address to give to the client as the service's endpoint, without a slash at its end.
	URL string

	http *httptest.Server
}

// NewServer starts a Service over plain HTTP; the caller closes it. It panics where no loopback port
// can be had, as httptest.NewServer does.
func NewServer(o Options) *Server {
	s := newServer(o)
	s.http.Start()
	s.URL = s.http.URL
	return s
}

// NewTLSServer is NewServer over TLS, with a certificate that Client trusts. HTTP/2 is offered.
func NewTLSServer(o Options) *Server {
	s := newServer(o)
	s.http.EnableHTTP2 = true
	s.http.StartTLS()
	s.URL = s.http.URL
	return s
}

func newServer(o Options) *Server {
	service := NewService(o)
	server := httptest.NewUnstartedServer(service)
	server.Config.ReadTimeout = readTimeout
	return &Server{Service: service, http: server}
}

// Client returns an HTTP client that trusts the server's certificate. It is the server's and ends with it.
func (s *Server) Client() *http.Client { return s.http.Client() }

// CertificatePEM returns the TLS server's certificate, for clients that are given a CA; nil without TLS.
func (s *Server) CertificatePEM() []byte {
	if certificate := s.http.Certificate(); certificate != nil {
		return encodePEM("CERTIFICATE", certificate.Raw)
	}
	return nil
}

// Close ends all waits, drops all connections and stops the server.
func (s *Server) Close() {
	s.Service.Close()
	s.http.CloseClientConnections()
	s.http.Close()
}
