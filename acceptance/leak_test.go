package acceptance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// leakTest writes, reads and tests connections full of canaries, and keeps every answer that may hold none.
type leakTest struct {
	t        *testing.T
	vault    *harness.Vault
	raw      *rawVault
	front    *front
	store    *httptest.Server
	canaries *canaries
	keys     *canaries // planted as the keys of objects

	mu       sync.Mutex
	answers  strings.Builder
	asked    int
	statuses map[int]int
}

const controlName = "control-7QzXw" // a connection's name is no secret: it is to be found everywhere

func TestLeaks_CanariesAreFoundNowhere(t *testing.T) {
	t.Parallel()
	l := newLeakTest(t)
	l.mistypes()
	l.badText()
	l.goodWrites()
	l.upstreamFaults()
	l.storeFaults()
	l.proxies()
	l.leases()

	t.Logf("%d canaries, %d requests, statuses %v", len(l.canaries.places)+len(l.keys.places), l.asked, l.statuses)
	places := map[string]string{"the responses": l.answers.String(),
		"the server's and plugin's log": l.vault.ServerLog(),
		"the audit log":                 l.vault.AuditLog(), "the storage": l.storage()}
	for where, text := range places {
		if where != "the storage" && !strings.Contains(text, controlName) {
			t.Errorf("%s does not hold what is to be found: %s", where, controlName)
		}
		found := l.canaries.found(text)
		if where != "the audit log" { // where Vault itself writes values in HMAC, and keys as they are
			found = append(found, l.keys.found(text)...)
		}
		for i, one := range found {
			if i == 10 {
				t.Errorf("... and %d more", len(found)-i)
				break
			}
			t.Errorf("%s: %s", where, one)
		}
		t.Logf("%s: %d bytes, %d canaries", where, len(text), len(found))
	}
}

func newLeakTest(t *testing.T) *leakTest {
	l := &leakTest{t: t, keys: &canaries{mark: "Key"}, statuses: map[int]int{}}
	l.vault = harness.StartVault(t, harness.VaultOptions{Audit: true, PluginRace: true})
	l.vault.RegisterPlugin(pluginName)
	l.vault.Mount("s3conn", pluginName)
	l.raw = newRawVault(t, l.vault)
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.front = newFront(t, authority, rolesanywheretest.Options{})
	l.canaries = &l.front.canaries
	garbage := l.canaries.plant("an S3 store's garbage")
	header := l.canaries.plant("an S3 store's header")
	l.store = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Secret", header)
		if r.URL.Path == "/error/" || strings.HasPrefix(r.URL.Path, "/error") {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, `<Error><Code>AccessDenied</Code><Message>no</Message>`+
				`<StringToSign>`+garbage+`</StringToSign></Error>`)
			return
		}
		if strings.HasPrefix(r.URL.Path, "/away") {
			w.Header().Set("Location", "http://127.0.0.1:1/"+garbage)
			w.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "<html>"+garbage)
	}))
	t.Cleanup(l.store.Close)
	return l
}

// ask keeps the answer, unless it is the credentials that were asked for.
func (l *leakTest) ask(method, path string, data map[string]any) answer {
	l.t.Helper()
	body := []byte(nil)
	if data != nil {
		var err error
		if body, err = json.Marshal(data); err != nil {
			l.t.Fatal(err)
		}
	}
	a := l.raw.ask(l.t.Context(), method, path, string(body))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	l.statuses[a.status]++
	if a.err != nil {
		l.t.Errorf("%s %s: %v", method, path, a.err)
	}
	credentials := strings.HasPrefix(path, "s3conn/creds/") || strings.HasPrefix(path, "s3conn/sdk/")
	if !credentials || a.status != http.StatusOK {
		fmt.Fprintln(&l.answers, method, path, a.status, a.header, a.body)
	}
	return a
}

// want asks for what has to be answered so.
func (l *leakTest) want(status int, method, path string, data map[string]any) answer {
	l.t.Helper()
	a := l.ask(method, path, data)
	if a.status != status {
		l.t.Errorf("%s %s: HTTP %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a
}

func (l *leakTest) connection(changes map[string]any) map[string]any {
	return l.front.connection(l.t, 1, "orders-api", changes)
}

// upstreamFaults reads and tests with every fault of the matrix, and with what only a test of leaks needs.
func (l *leakTest) upstreamFaults() {
	faults := []rolesanywheretest.Fault{
		{Body: []byte(l.canaries.plant("an answer that is no JSON"))},
		{Status: 403, Body: []byte("<html>" + l.canaries.plant("a refusal that is no JSON"))},
		{Status: 403, Body: []byte(`{"message":"no","secret":"` + l.canaries.plant("a message's neighbour") + `"}`)},
		{Status: 500, Body: []byte(`{"message":["` + l.canaries.plant("a message that is a list") + `"]}`)},
		{Body: []byte(`{"credentialSet":[{"credentials":{"secretAccessKey":"` +
			l.canaries.plant("a secret without its key ID") + `"}}]}`)},
		{Body: []byte(`{"credentialSet":[{"credentials":{"accessKeyId":"A","secretAccessKey":"` +
			l.canaries.plant("a secret beside a bad expiration") +
			`","sessionToken":"` + l.canaries.plant("a token beside a bad expiration") + `","expiration":"` +
			l.canaries.plant("an expiration") + `"}}]}`)},
		{Body: []byte(`{"credentialSet":"` + l.canaries.plant("a credentialSet that is text") + `"}`)},
		{Redirect: "https://u:" + l.canaries.plant("a redirect's password") + "@127.0.0.1:1/" +
			l.canaries.plant("a redirect's path")},
		{Status: 403, Header: http.Header{"X-Secret": {l.canaries.plant("a header")},
			"Www-Authenticate": {l.canaries.plant("a challenge")},
			"Set-Cookie":       {"session=" + l.canaries.plant("a cookie")}}},
		{EmptyCredentialSet: true}, {NoExpiration: true}, {Expiration: time.Now().Add(-time.Hour)}, {Drop: true},
		{HugeBody: 2 << 20},
		{Status: 429, Code: "ThrottlingException", Message: "Rate exceeded"},
		{Status: 503, Code: "ServiceUnavailableException"},
	}
	var wg sync.WaitGroup
	for i, fault := range faults {
		name := fmt.Sprintf("%s-%d", controlName, i)
		fault.For = name
		l.front.Inject(fault)
		fields := l.front.connection(l.t, 10+i, name, nil)
		wg.Go(func() { l.refused(name, fields) })
	}
	wg.Wait()
	l.front.Clear()
	l.want(http.StatusOK, http.MethodGet, "s3conn/sdk/"+controlName, nil)
	l.want(http.StatusOK, http.MethodGet, "s3conn/creds/"+controlName, nil)
}

// refused writes a connection for which no session can be obtained, and reads and tests it in every way. The write's
// answer warns of what revoking a lease does not do.
func (l *leakTest) refused(name string, fields map[string]any) {
	l.want(http.StatusOK, http.MethodPost, "s3conn/config/"+name, fields)
	var wg sync.WaitGroup
	for _, path := range []string{"s3conn/creds/", "s3conn/sdk/"} {
		wg.Go(func() { l.fails(http.MethodGet, path+name, nil) })
	}
	wg.Go(func() { l.fails(http.MethodPost, "s3conn/test/"+name, nil) })
	wg.Go(func() { l.fails(http.MethodPost, "s3conn/test", fields) })
	wg.Go(func() { l.fails(http.MethodPost, "s3conn/config/"+name, map[string]any{"verify_connection": true}) })
	wg.Wait()
	l.want(http.StatusOK, http.MethodGet, "s3conn/config/"+name, nil)
}

func (l *leakTest) fails(method, path string, data map[string]any) {
	if a := l.ask(method, path, data); a.status < http.StatusBadRequest {
		l.t.Errorf("%s %s: HTTP %d, want a failure", method, path, a.status)
	}
}

// storeFaults has ListBuckets answered with what is not S3's.
func (l *leakTest) storeFaults() {
	for _, at := range []string{"", "/error", "/away"} {
		for _, name := range []string{"keys", controlName} {
			l.want(http.StatusNoContent, http.MethodPost, "s3conn/config/"+name,
				map[string]any{"s3_endpoint": l.store.URL + at})
			l.fails(http.MethodPost, "s3conn/test/"+name, nil)
		}
	}
}

// proxies goes through proxies that refuse, and through one that is not there, each with a password.
func (l *leakTest) proxies() {
	said := l.canaries.plant("a proxy's answer")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Proxy-Authenticate", `Basic realm="`+said+`"`)
		w.WriteHeader(http.StatusProxyAuthRequired)
		_, _ = io.WriteString(w, said)
	}))
	defer proxy.Close()
	var wg sync.WaitGroup
	for i, address := range []string{proxy.Listener.Addr().String(), "127.0.0.1:1"} {
		for j, scheme := range []string{"http", "https", "socks5"} {
			// A user without a password may be a token; one with a password is a name, which a read of the connection
			// shows.
			for k, user := range []string{l.canaries.plant("a lone proxy user"), "proxy-user:" +
				l.canaries.plant("a proxy's password")} {
				name := fmt.Sprintf("%s-proxy-%d%d%d", controlName, i, j, k)
				fields := l.front.connection(l.t, 100+10*i+2*j+k, name, map[string]any{
					"proxy_url":   scheme + "://" + user + "@" + address, // loopback would be called directly
					"s3_endpoint": "https://store.example", "rolesanywhere_endpoint": "https://aws.example"})
				wg.Go(func() { l.refused(name, fields) })
			}
		}
	}
	wg.Wait()
}

// leases renews, looks up and revokes a lease, also of a connection that is gone, and after the plugin's end.
func (l *leakTest) leases() {
	var lease struct {
		LeaseID string `json:"lease_id"`
	}
	read := l.want(http.StatusOK, http.MethodGet, "s3conn/creds/"+controlName, nil)
	if err := json.Unmarshal([]byte(read.body), &lease); err != nil || lease.LeaseID == "" {
		l.t.Fatalf("reading a lease: %q, %v", lease.LeaseID, err)
	}
	if got := l.canaries.found(read.body); len(got) < 2 {
		l.t.Errorf("the credentials hold the canaries %v, want the secret key and the token: nothing would be found",
			got)
	}
	id := map[string]any{"lease_id": lease.LeaseID}
	l.vault.KillPlugin()
	if !eventually(l.t.Context(), time.Minute, func() bool {
		return l.ask(http.MethodPost, "sys/leases/renew",
			id).status == http.StatusOK
	}) {
		l.t.Error("the lease cannot be renewed after the plugin was killed")
	}
	l.want(http.StatusOK, http.MethodPost, "sys/leases/lookup", id)
	l.vault.ReloadPlugin(pluginName)
	l.want(http.StatusNoContent, http.MethodDelete, "s3conn/config/"+controlName, nil)
	l.ask(http.MethodPost, "sys/leases/renew", id)
	l.want(http.StatusNoContent, http.MethodPost, "sys/leases/revoke", id)
	l.ask(http.MethodGet, "s3conn/creds/"+controlName, nil)
	l.ask(http.MethodGet, "s3conn/sdk/"+controlName, nil)
}

// storage is what the server keeps on disk, which is encrypted.
func (l *leakTest) storage() string {
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(l.vault.Dir(), "raft"),
		func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
	if err != nil {
		l.t.Fatal(err)
	}
	return all.String()
}
