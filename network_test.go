package s3conn

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/network"
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
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway ||
		!strings.Contains(text, "its CA goes into ca_cert") {
		t.Errorf("without ca_cert: %d, %q", status, text)
	}
	resp, err = m.do(t.Context(), logical.UpdateOperation, "test",
		keys(strings.Replace(server.URL, "127.0.0.1", "localhost", 1), with("ca_cert", ca)))
	if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway ||
		!strings.Contains(text, "is not valid for it") {
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
		if status, text := asVaultSeesIt(t, resp, err); status != http.StatusBadGateway ||
			!strings.Contains(text, "does not speak TLS at that address") {
			t.Errorf("answered with %d, %q", status, text)
		}
	}
}

// A redirect would take the signed request, or what is in its answer, to somebody else.
func TestNetwork_FollowsNoRedirect(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	elsewhere := newStore(t)
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect,
		http.StatusPermanentRedirect} {
		l.store.say(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+"/", status) })
		if resp, err := l.do(t.Context(), logical.UpdateOperation, "test", l.keyFields()); err == nil &&
			!resp.IsError() {
			t.Errorf("a redirect with %d passed the test: %+v", status, resp)
		}
		l.aws.Inject(rolesanywheretest.Fault{Times: 1, Status: status, Redirect: elsewhere.URL})
		if resp, err := l.do(t.Context(), logical.UpdateOperation, "test", l.sessionFields()); err == nil &&
			!resp.IsError() {
			t.Errorf("CreateSession's redirect with %d passed the test: %+v", status, resp)
		}
	}
	client, err := network.NewClient(l.connection(l.keyFields()).Network())
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

// tunnels is a small proxy that opens tunnels to one place for one user, whatever host they are for, and counts them.
type tunnels struct {
	to       string
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
	target, err := net.Dial("tcp", p.to)
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
	proxy := &tunnels{t: t, to: store.Listener.Addr().String(), accepted: "Basic dXNlcjpDQU5BUlk="} // user:CANARY
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	through := func(user string) map[string]any {
		return keys("https://example.com", with("ca_cert", ca),
			with("proxy_url", strings.Replace(server.URL, "http://", "http://"+user, 1)))
	}
	m.must(logical.UpdateOperation, "test", through("user:CANARY@"))
	if proxy.count() != 1 {
		t.Errorf("%d tunnels were asked for, want 1", proxy.count())
	}
	for _, user := range []string{"", "user:CANARY2@"} {
		text := m.refused(logical.UpdateOperation, "test", through(user))
		if !strings.Contains(text, "the proxy refused the connection (HTTP 407); check proxy_url") ||
			strings.Contains(text, "CANARY") {
			t.Errorf("the proxy's refusal is described as %q", text)
		}
	}
}

// Validation sees the address alone; a name may resolve to anything, at any time.
func TestNetwork_ForbiddenAddressIsTheOperatorsToMend(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	conn := l.connection(l.keyFields())
	conn.S3Endpoint = "http://169.254.169.254" // as a name would resolve
	_, err := l.probe(t.Context(), conn)
	if resp, err := errorResponse(err); err != nil || !resp.IsError() ||
		!strings.Contains(resp.Error().Error(), "link-local or metadata address") {
		t.Errorf("answered with %+v, %v", resp, err)
	}
}
