package rolesanywheretest

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// send signs for the server's own host, with its port, as clients do.
func send(t *testing.T, s *Server, w *world) (*http.Response, []byte) {
	t.Helper()
	u := newUnsigned(w.issued)
	u.host = s.http.Listener.Addr().String()
	request := u.sign(t)
	request.RequestURI = ""
	request.URL.Host, request.URL.Scheme = u.host, "http"
	if s.http.TLS != nil {
		request.URL.Scheme = "https"
	}
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, got
}

func TestServer_HTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := NewServer(w.options)
	t.Cleanup(s.Close)
	if response, got := send(t, s, w); response.StatusCode != http.StatusCreated || s.Sessions() != 1 {
		t.Errorf("status %d, %s", response.StatusCode, got)
	}
	if s.CertificatePEM() != nil {
		t.Error("a server without TLS has a certificate")
	}
}

func TestServer_TLS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{})
	s := NewTLSServer(w.options)
	t.Cleanup(s.Close)
	response, got := send(t, s, w)
	if response.StatusCode != http.StatusCreated || response.ProtoMajor != 2 {
		t.Errorf("status %d over %s, %s", response.StatusCode, response.Proto, got)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(s.CertificatePEM()) {
		t.Error("CertificatePEM is no certificate")
	}
}

// TestServer_CloseEndsHangs also shows that Close may be called twice.
func TestServer_CloseEndsHangs(t *testing.T) {
	t.Parallel()
	s := NewServer(Options{})
	s.Inject(Fault{Hang: true})
	ended := make(chan error, 1)
	client := s.Client()
	go func() {
		response, err := client.Post(s.URL+"/sessions", "application/json", http.NoBody)
		if err == nil {
			err = response.Body.Close()
		}
		ended <- err
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.WaitCalls(ctx, 1); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a request that hung got an answer")
		}
	case <-ctx.Done():
		t.Error("Close left a request hanging")
	}
	select {
	case <-s.closed:
	default:
		t.Error("closing the server left its service open")
	}
}

// TestServer_CloseDropsSlowClient: a client that never sends the rest of its body must not hold Close up.
func TestServer_CloseDropsSlowClient(t *testing.T) {
	t.Parallel()
	s := NewServer(Options{})
	t.Cleanup(s.Close)
	connection, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if _, err := io.WriteString(connection, "POST /sessions HTTP/1.1\r\nHost: a\r\nContent-Length: "+
		"9\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readTimeout/3)
	defer cancel()
	if err := s.WaitCalls(ctx, 1); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { s.Close(); close(closed) }()
	select {
	case <-closed:
	case <-ctx.Done():
		t.Error("Close waits for a client that sends nothing")
	}
}
