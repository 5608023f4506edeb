package s3conn

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// tlsStore is a store over TLS, and its certificate as ca_cert takes it.
func tlsStore(t *testing.T, change func(*tls.Config)) (server *httptest.Server, ca string) {
	t.Helper()
	server = httptest.NewUnstartedServer(say(http.StatusOK, "application/xml", twoBuckets))
	server.TLS = &tls.Config{}
	change(server.TLS)
	server.Config.ErrorLog = nullLog()
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

func keys(endpoint string, changes ...map[string]any) map[string]any {
	return changed(accessKeyFields(with("s3_endpoint", endpoint), with("s3_path_style", true)), changes)
}

func TestNetwork_TrustsCACertAndNothingElseOfItsOwn(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	server, ca := tlsStore(t, func(*tls.Config) {})
	m.must(logical.UpdateOperation, "test", keys(server.URL, with("ca_cert", ca)))

	resp, err := m.do(t.Context(), logical.UpdateOperation, "test", keys(server.URL))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway || !strings.Contains(text, "its CA goes into ca_cert") {
		t.Errorf("without ca_cert: %d, %q", status, text)
	}
	resp, err = m.do(t.Context(), logical.UpdateOperation, "test", keys(strings.Replace(server.URL, "127.0.0.1", "localhost", 1), with("ca_cert", ca)))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway || !strings.Contains(text, "is not valid for it") {
		t.Errorf("under a name that the certificate does not have: %d, %q", status, text)
	}
}

func TestNetwork_RefusesTLSBeforeItsVersion12(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	server, ca := tlsStore(t, func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	resp, err := m.do(t.Context(), logical.UpdateOperation, "test", keys(server.URL, with("ca_cert", ca)))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway {
		t.Errorf("TLS 1.1 was answered with %d, %q", status, text)
	}
}

func TestNetwork_HTTPSToAPlainServerIsNamed(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	plain := func(address string) string { return strings.Replace(address, "http://", "https://", 1) }
	for _, fields := range []map[string]any{
		l.keyFields(with("s3_endpoint", plain(l.store.URL))),
		l.sessionFields(with("rolesanywhere_endpoint", plain(l.aws.URL))),
	} {
		resp, err := l.do(t.Context(), logical.UpdateOperation, "test", fields)
		if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway || !strings.Contains(text, "does not speak TLS at that address") {
			t.Errorf("answered with %d, %q", status, text)
		}
	}
}

// A redirect would take the signed request, or what is in its answer, to somebody else.
func TestNetwork_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	elsewhere := newStore(t)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		l.store.say(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+"/", status) })
		if resp, err := l.do(t.Context(), logical.UpdateOperation, "test", l.keyFields()); err == nil && !resp.IsError() {
			t.Errorf("a redirect with %d passed the test: %+v", status, resp)
		}
		l.aws.Inject(rolesanywheretest.Fault{Times: 1, Status: status, Redirect: elsewhere.URL})
		if resp, err := l.do(t.Context(), logical.UpdateOperation, "test", l.sessionFields()); err == nil && !resp.IsError() {
			t.Errorf("CreateSession's redirect with %d passed the test: %+v", status, resp)
		}
	}
	client, err := l.connection(l.keyFields()).newHTTPClient()
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(l.store.URL)
	if err != nil || resp.StatusCode != http.StatusPermanentRedirect {
		t.Fatalf("the client got %+v, %v; want the redirect itself", resp, err)
	}
	resp.Body.Close()
	if n := len(elsewhere.calls()); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

// tunnels is a small proxy that opens tunnels for one user and counts them.
type tunnels struct {
	t        *testing.T
	mu       sync.Mutex
	asked    int
	accepted string // Proxy-Authorization
}

func (p *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	p.mu.Unlock()
	if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != p.accepted {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	target, err := net.Dial("tcp", r.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer target.Close()
	w.WriteHeader(http.StatusOK)
	source, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		p.t.Error(err)
		return
	}
	defer source.Close()
	go func() { _, _ = io.Copy(target, buffered) }()
	_, _ = io.Copy(source, target)
}

func (p *tunnels) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func TestNetwork_GoesThroughProxyURL(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	store, ca := tlsStore(t, func(*tls.Config) {})
	proxy := &tunnels{t: t, accepted: "Basic dXNlcjpDQU5BUlk="} // user:CANARY
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	through := func(user string) map[string]any {
		return keys(store.URL, with("ca_cert", ca), with("proxy_url", strings.Replace(server.URL, "http://", "http://"+user, 1)))
	}
	m.must(logical.UpdateOperation, "test", through("user:CANARY@"))
	if proxy.count() != 1 {
		t.Errorf("%d tunnels were asked for, want 1", proxy.count())
	}
	for _, user := range []string{"", "user:CANARY2@"} {
		text := m.refused(logical.UpdateOperation, "test", through(user))
		if !strings.Contains(text, "the proxy refused the connection (HTTP 407); check proxy_url") || strings.Contains(text, "CANARY") {
			t.Errorf("the proxy's refusal is told as %q", text)
		}
	}
}

func TestDial_RefusesForbiddenAddressesAfterResolution(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"169.254.169.254:80", "169.254.170.2:80", "0.0.0.0:80", "[::ffff:169.254.169.254]:80", "168.63.129.16:80", "224.0.0.1:80"} {
		conn, err := guardedDialer{}.dial(t.Context(), "tcp", address)
		if conn != nil || !errors.Is(err, errForbiddenAddress) {
			t.Errorf("dialling %s: %v, want %v", address, err, errForbiddenAddress)
		}
	}
	server := newStore(t)
	conn, err := guardedDialer{}.dial(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatalf("dialling loopback: %v", err)
	}
	conn.Close()
}

// Validation sees the address alone; a name may resolve to anything, at any time.
func TestNetwork_ForbiddenAddressIsTheOperatorsToMend(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.keyFields())
	conn.S3Endpoint = "http://169.254.169.254" // as a name would resolve
	_, err := l.probe(t.Context(), conn)
	if resp, err := errorResponse(err); err != nil || !resp.IsError() || !strings.Contains(resp.Error().Error(), "link-local or metadata address") {
		t.Errorf("answered with %+v, %v", resp, err)
	}
}

func TestForbiddenAddress_Table(t *testing.T) {
	t.Parallel()
	for address, forbidden := range map[string]bool{
		"169.254.169.254": true, "169.254.0.1": true, "::ffff:169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true,
		"fd00:ec2::254": true, "fd00:ec2::254%eth0": true, "fd00:ec2::23": true, "168.63.129.16": true, "0.0.0.0": true, "::": true,
		"224.0.0.1": true, "ff02::1": true, "fd20:ce::254": true, "100.100.100.200": true, "192.0.0.192": true,
		"64:ff9b::a9fe:a9fe": true, "64:ff9b::808:808": false,
		"127.0.0.1": false, "::1": false, "10.0.0.1": false, "192.168.1.1": false, "52.94.133.131": false, "fd00:ec2::253": false, "168.63.129.17": false,
	} {
		if got := forbiddenAddress(netip.MustParseAddr(address)); got != forbidden {
			t.Errorf("forbiddenAddress(%s) = %v", address, got)
		}
	}
}

func TestShownProxy_HidesPasswordAndLoneUser(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"http://proxy.example:3128":             "http://proxy.example:3128",
		"https://user:CANARY@proxy.example":     "https://user:xxxxx@proxy.example",
		"socks5://CANARY@proxy.example:1080":    "socks5://xxxxx@proxy.example:1080",
		"http://user:@proxy.example":            "http://user:xxxxx@proxy.example",
		"http://user:CANARY@proxy.example\x00/": secret.Redacted,
	} {
		c := &connection{proxyURL: secret.New(given)}
		if got := c.shownProxy(); got != want {
			t.Errorf("%q is shown as %q, want %q", given, got, want)
		}
	}
}

func TestNewHTTPClient_BoundsEveryWait(t *testing.T) {
	t.Parallel()
	c := newConnection()
	client, err := c.newHTTPClient()
	if err != nil {
		t.Fatal(err)
	}
	transport := client.Transport.(*http.Transport)
	if transport.TLSHandshakeTimeout <= 0 || transport.ResponseHeaderTimeout <= 0 || transport.IdleConnTimeout <= 0 ||
		transport.MaxResponseHeaderBytes <= 0 || transport.TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("the transport is %+v", transport)
	}
	refuse := transport.OnProxyConnectResponse
	var refusal *proxyError
	if err := refuse(context.Background(), &url.URL{}, nil, &http.Response{StatusCode: 503}); !errors.As(err, &refusal) || refusal.status != 503 {
		t.Errorf("a proxy's 503 is %v", err)
	}
}
