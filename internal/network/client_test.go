package network

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func newTestClient(t *testing.T, s Settings) *http.Client {
	t.Helper()
	client, err := NewClient(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func TestNewClient_BoundsEveryWait(t *testing.T) {
	t.Parallel()
	transport := newTestClient(t, Settings{}).Transport.(*http.Transport)
	if transport.TLSHandshakeTimeout <= 0 || transport.ResponseHeaderTimeout <= 0 || transport.IdleConnTimeout <= 0 ||
		transport.MaxResponseHeaderBytes <= 0 || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("the transport is %+v", transport)
	}
	var refusal *ProxyError
	err := transport.OnProxyConnectResponse(context.Background(), &url.URL{}, nil, &http.Response{StatusCode: 503})
	if !errors.As(err, &refusal) || refusal.Status != 503 ||
		err.Error() != "the proxy refused the connection (HTTP 503); check proxy_url and its user and password" {
		t.Errorf("a proxy's 503 is %v", err)
	}
	if err := transport.OnProxyConnectResponse(context.Background(), &url.URL{}, nil,
		&http.Response{StatusCode: 200}); err != nil {
		t.Errorf("an open tunnel is %v", err)
	}
}

func TestNewClient_RefusesDamagedSettings(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]Settings{
		"reading ca_cert":   {CACert: "CANARY"},
		"reading proxy_url": {ProxyURL: secret.New("http://CANARY\x00/")},
	} {
		if _, err := NewClient(s); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestClient_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusPermanentRedirect))
	t.Cleanup(server.Close)
	answer, err := newTestClient(t, Settings{}).Get(server.URL)
	if err != nil || answer.StatusCode != http.StatusPermanentRedirect {
		t.Fatalf("got %+v, %v; want the redirect itself", answer, err)
	}
	answer.Body.Close()
}

// A plain http request that went to a proxy elsewhere would show it the session token.
func TestClient_LoopbackNeverGoesThroughAProxy(t *testing.T) {
	t.Parallel()
	var direct, proxied int
	count := func(n *int) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { *n++ })
	}
	store, proxy := httptest.NewServer(count(&direct)), httptest.NewServer(count(&proxied))
	t.Cleanup(store.Close)
	t.Cleanup(proxy.Close)
	client := newTestClient(t, Settings{ProxyURL: secret.New(proxy.URL)})
	for _, address := range []string{store.URL, strings.Replace(store.URL, "127.0.0.1", "localhost", 1),
		strings.Replace(store.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		answer, err := client.Get(address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		answer.Body.Close()
	}
	if direct != 3 || proxied != 0 {
		t.Errorf("%d requests came directly and %d through the proxy, want 3 and 0", direct, proxied)
	}
	answer, err := client.Get("http://store.example/")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if proxied != 1 {
		t.Errorf("%d requests to another host came through the proxy, want 1", proxied)
	}
}

func TestClient_OffersItsCertificateWhateverTheServerNames(t *testing.T) {
	t.Parallel()
	var offered int
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		offered = len(r.TLS.PeerCertificates)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := EncodeCertificates([]*x509.Certificate{server.Certificate()})
	for want, certificate := range map[int]func() *tls.Certificate{
		0: func() *tls.Certificate { return nil },
		1: func() *tls.Certificate { return &server.TLS.Certificates[0] },
	} {
		answer, err := newTestClient(t, Settings{CACert: ca, ClientCertificate: certificate}).Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if offered != want {
			t.Errorf("%d certificates were offered, want %d", offered, want)
		}
	}
}

func TestDial_RefusesForbiddenAddressesAfterResolution(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"169.254.169.254:80", "169.254.170.2:80", "0.0.0.0:80",
		"[::ffff:169.254.169.254]:80",
		"168.63.129.16:80", "224.0.0.1:80", "[64:ff9b:1::a9fe:a9fe]:80", "[2002:a9fe:a9fe::]:80"} {
		conn, err := guardedDialer{}.dial(t.Context(), "tcp", address)
		if conn != nil || !errors.Is(err, ErrForbiddenAddress) {
			t.Errorf("dialling %s: %v, want %v", address, err, ErrForbiddenAddress)
		}
	}
}
