package acceptance

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	hostileRequests = 100
	peakMemory      = 256 << 20              // bytes of the plugin's process, at any time
	readWithin      = 100 * time.Millisecond // of other reads, beyond what this machine takes without the plugin
)

// hostile is a request of somebody who may write and means harm.
type hostile struct {
	path string
	data map[string]any
	want []int // statuses that are an answer to it
}

// newCostStack is a Vault with the plugin as it is released and a connection that is read.
func newCostStack(t *testing.T) *stack {
	t.Helper()
	s := &stack{t: t, vault: harness.StartVault(t, harness.VaultOptions{InMemory: true})}
	s.vault.RegisterPlugin(pluginName)
	s.vault.Mount("s3conn", pluginName)
	s.api = s.vault.Client()
	s.write("config/warm", map[string]any{"access_key": "AKIAWARM", "secret_key": "warm"})
	s.read("creds/warm")
	return s
}

// newIdentity returns an authority and a certificate of it.
func newIdentity(t *testing.T) (*rolesanywheretest.Authority, *rolesanywheretest.Issued) {
	t.Helper()
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return authority, issued
}

// Who may write or test connections chooses what a key derivation or a response costs. A hundred of them at once must
// take neither the process's memory nor the time of other readers. These tests are not parallel: others beside them
// would change what they measure.
func TestCosts_HostileWritesStayBounded(t *testing.T) {
	s := newCostStack(t)
	_, issued := newIdentity(t)
	common := map[string]any{"auth_type": "roles_anywhere", "profile_arn": profileARN, "role_arn": roleARN,
		"trust_anchor_arn": trustAnchorARN, "session_name": "x", "private_key_passphrase": "guess"}
	fields := func(name string, value any) map[string]any {
		all := maps.Clone(common)
		all["certificate"], all["private_key"] = string(issued.CertificatePEM), string(issued.PrivateKeyPEM)
		all[name] = value
		return all
	}
	file := func(iterations int) map[string]any {
		all := maps.Clone(common)
		all["pkcs12"] = pkcs12File(t, iterations)
		return all
	}
	unknown := map[string]any{"access_key": "AKIA", "secret_key": "x"}
	for i := range 9_000 {
		unknown[fmt.Sprintf("regiom_%d", i)] = i
	}
	allowed := []int{http.StatusOK, http.StatusConflict} // so many CAs are; the writes race with each other
	refused, costly := []int{http.StatusBadRequest}, []int{http.StatusBadRequest, http.StatusServiceUnavailable}
	many := manyCertificates(t)
	policy := `{"Statement":[` + strings.Repeat(`{"Effect":"Allow","Action":"s3:*","Resource":"*"},`, 2000) + `{}]}`
	kinds := []hostile{
		{"config/x1", fields("private_key", scryptKey(t, mostScryptN)), costly},
		{"test", fields("private_key", scryptKey(t, mostScryptN)), costly},
		{"config/x2", fields("private_key", scryptKey(t, 2*mostScryptN)), refused},
		{"config/x3", fields("private_key", pbkdf2Key(t, mostIterations)), costly},
		{"config/x4", fields("private_key", pbkdf2Key(t, mostIterations+1)), refused},
		{"config/p1", file(mostIterations), costly},
		{"config/p2", file(mostIterations + 1), costly},
		{"config/x5", fields("private_key", forgedRSAKey(t)), refused},
		{"config/x6", fields("certificate", many), refused},
		{"config/x7", fields("ca_cert", many), allowed},
		{"config/x8", unknown, refused},
		{"scopes/warm/x", map[string]any{"policy": policy, "role_arn": roleARN}, refused},
		{"scopes/warm/x", map[string]any{"policy": strings.Repeat(`{"a":`, 300), "role_arn": roleARN}, refused},
		{"presign/warm", map[string]any{"bucket": strings.Repeat("b", 1<<17), "key": strings.Repeat("k", 1<<17)},
			refused},
	}
	s.bearsHostile(kinds, 95)
}

func TestCosts_HostileTestsStayBounded(t *testing.T) {
	s := newCostStack(t)
	answers := map[string]string{
		"/large/":     manyBuckets(8<<20 - 1000),
		"/larger/":    manyBuckets(9 << 20),
		"/nested/":    strings.Repeat("<a>", 4<<20/3),
		"/long-text/": "<ListAllMyBucketsResult><Buckets><Bucket><Name>" + strings.Repeat("a", 8<<20),
		"/attribute/": `<ListAllMyBucketsResult a="` + strings.Repeat("a", 8<<20),
	}
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, answers[r.URL.Path])
	}))
	t.Cleanup(store.Close)
	served := []int{http.StatusOK, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	refused := append([]int{http.StatusBadRequest, http.StatusBadGateway}, served[1:]...)
	var kinds []hostile
	for _, path := range slices.Sorted(maps.Keys(answers)) {
		data := map[string]any{"access_key": "AKIA", "secret_key": "x", "s3_path_style": true, "s3_allow_http": true,
			"s3_endpoint": store.URL + strings.TrimSuffix(path, "/")}
		if path == "/large/" {
			kinds = append(kinds, hostile{"test", data, served})
		} else {
			kinds = append(kinds, hostile{"test", data, refused})
		}
	}
	s.bearsHostile(kinds, 95)
}

// A certificate authority is as free in its answers as a store.
func TestCosts_HostileAuthoritiesStayBounded(t *testing.T) {
	s := newCostStack(t)
	many, largest := manyCertificates(t), 256<<10
	answers := []string{
		`{"crt":"` + strings.ReplaceAll(strings.Repeat(many, 3), "\n", `\n`) + `"}`,
		`{"crt":"x","certChain":["` + strings.ReplaceAll(many, "\n", `\n`) + `"]}`,
		`{"certChain":[` + strings.Repeat(`"",`, largest/4) + `""]}`,
		`{"certChain":` + strings.Repeat(`[`, largest-100),
		`{"crt":"` + strings.Repeat("a", 8<<20) + `"}`,
	}
	var asked atomic.Int64
	authority := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[int(asked.Add(1))%len(answers)])
	}))
	t.Cleanup(authority.Close)
	trusted := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Certificate().Raw}))
	var kinds []hostile
	for i := range hostileRequests {
		name := fmt.Sprintf("made-%d", i)
		s.write("config/"+name, map[string]any{"auth_type": "roles_anywhere", "profile_arn": profileARN,
			"role_arn": roleARN, "trust_anchor_arn": trustAnchorARN, "session_name": "costs"})
		s.write("identity/"+name+"/issuer", map[string]any{"type": "step_ca", "address": authority.URL,
			"ca_cert": trusted})
		kinds = append(kinds, hostile{"identity/" + name + "/renew", map[string]any{"token": "once"},
			[]int{http.StatusBadRequest, http.StatusBadGateway, http.StatusServiceUnavailable}})
	}
	s.bearsHostile(kinds, 50) // all are answered within a second or two, so that few others read meanwhile
	if asked.Load() < hostileRequests {
		t.Errorf("the authority was asked %d times, want %d", asked.Load(), hostileRequests)
	}
}

// bearsHostile sends a hundred requests of the kinds at once, while others read, and judges the answers, the given
// share of the reads in per cent, and the plugin's memory.
func (s *stack) bearsHostile(kinds []hostile, share int) {
	s.t.Helper()
	v := newRawVault(s.t, s.vault)
	bodies := make([]string, len(kinds))
	for i, kind := range kinds {
		body, err := json.Marshal(kind.data)
		if err != nil {
			s.t.Fatal(err)
		}
		bodies[i] = string(body)
	}
	before := s.vault.PluginPeakMemory()
	reads := v.startReads(s.t.Context(), "s3conn/creds/warm")
	own := v.startReads(s.t.Context(), "sys/mounts/s3conn/tune")
	var sent sync.WaitGroup
	var mu sync.Mutex
	statuses := map[string]int{}
	for i := range hostileRequests {
		kind, body := kinds[i%len(kinds)], bodies[i%len(kinds)]
		sent.Go(func() {
			started := time.Now()
			a := v.ask(s.t.Context(), http.MethodPost, "s3conn/"+kind.path, body)
			if a.err != nil || !slices.Contains(kind.want, a.status) {
				s.t.Errorf("kind %d, %s: answered with %d, %v: %.300s", i%len(kinds), kind.path, a.status, a.err,
					a.body)
			}
			mu.Lock()
			defer mu.Unlock()
			seconds := time.Since(started)/time.Second + 1
			statuses[fmt.Sprintf("%02d: HTTP %d within %d s", i%min(len(kinds), 20), a.status, seconds)]++
		})
	}
	sent.Wait()
	got, yardstick := reads(), own()
	peak := s.vault.PluginPeakMemory()
	for _, status := range slices.Sorted(maps.Keys(statuses)) {
		s.t.Logf("kind %s: %d", status, statuses[status])
	}
	s.t.Logf("the plugin held %d MiB before and %d MiB at most; %d%% of %d reads took at most %s, of %d without the "+
		"plugin %s", before>>20, peak>>20, share, len(got), slowest(got, share), len(yardstick),
		slowest(yardstick, share))
	if peak > peakMemory {
		s.t.Errorf("the plugin's process held %d MiB, want at most %d", peak>>20, peakMemory>>20)
	}
	if beyond := slowest(got, share) - slowest(yardstick, share); beyond > readWithin {
		s.t.Errorf("%d%% of the other reads took at most %s, which is %s more than Vault's own", share,
			slowest(got, share), beyond)
	}
	s.read("creds/warm")
}

// startReads reads the path over and over; what it returns stops it and returns how long each read took.
func (v *rawVault) startReads(ctx context.Context, path string) (stop func() []time.Duration) {
	ctx, cancel := context.WithCancel(ctx)
	var took []time.Duration
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			started := time.Now()
			if a := v.ask(ctx, http.MethodGet, path, ""); a.err == nil {
				took = append(took, time.Since(started))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() []time.Duration { cancel(); done.Wait(); return took }
}

// slowest is how long a share of the reads, in per cent, took at most.
func slowest(took []time.Duration, share int) time.Duration {
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*share/100]
}
