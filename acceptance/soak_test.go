package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	// briefSoak is how long the load lasts where $SOAKTIME is not set.
	briefSoak      = 20 * time.Second
	soakSession    = 90 * time.Second  // usable for 30 s, refreshed from 20 s on
	faultedSession = 150 * time.Second // usable for 90 s, refreshed from 60 s on
	// outage is how long the second service fails at once: less than the 30 s that a session has left when its refresh
	// begins, also with a call that hangs from the outage's last moment for 10 s and the pause of 5 s after it.
	outage = 10 * time.Second
	// healthy is at least how long it serves between two outages.
	healthy = 20 * time.Second

	// quiet is what follows the load before anything is measured: the longest upstream step is 10 s.
	quiet = 12 * time.Second
)

// soak is a Vault under load. Those of its methods that disturb or measure belong in the test's own goroutine.
type soak struct {
	*sessionStack
	faulted *awsAccount // a second service, the one that fails now and then
	length  time.Duration
	started time.Time
	mount   string // UUID
	ledger  ledger
	steady  []string // names of connections whose settings never change
	churned []string
	faults  int
	healed  time.Time // when the last outage ended
}

// The load comes in three parts: a warm-up, which ends with the first idle reading; a rough part with kills, reloads
// and seals; and a calm part, in which one process has to live with sessions, settings and faults that change. The
// last idle reading is compared with the first: each is of one process that has just worked for a while.
func TestSoak_StaysFlatAndFailsNoRead(t *testing.T) {
	t.Parallel()
	k := newSoak(t)
	k.load(k.length/10, false)
	first := k.idleReading()
	k.load(k.length*6/10, true)
	k.load(k.length*3/10, false)
	last := k.idleReading()

	k.ledger.report(t)
	t.Logf("\n%s\n%s\n%s", readingHead, first.row("first"), last.row("last"))
	t.Logf("sessions obtained: %d, and %d at the service that fails; outages: %d", k.aws.Sessions(),
		k.faulted.Sessions(), k.faults)
	k.checkStorage(first)
	k.checkStorage(last)
	checkFlat(t, first, last)
}

func newSoak(t *testing.T) *soak {
	t.Helper()
	k := &soak{length: briefSoak, started: time.Now()}
	if text := os.Getenv("SOAKTIME"); text != "" {
		length, err := time.ParseDuration(text)
		if err != nil || length < briefSoak {
			t.Fatalf("parsing SOAKTIME: %q is not a Go duration of %s or more", text, briefSoak)
		}
		k.length = length
	}
	// What is stored is counted where it lies.
	// https://developer.hashicorp.com/vault/docs/configuration#raw_storage_endpoint
	opts := harness.VaultOptions{Config: map[string]any{"raw_storage_endpoint": true}}
	k.sessionStack = newSessionStack(t, opts, rolesanywheretest.Options{Lifetime: soakSession})
	k.faulted = newAWS(t, k.minio, rolesanywheretest.Options{Lifetime: faultedSession})
	mounts, err := k.api.Sys().ListMountsWithContext(t.Context())
	if err != nil {
		t.Fatalf("listing the mounts: %v", err)
	}
	k.mount = mounts["s3conn/"].UUID
	for i := range 4 {
		k.add(&k.steady, fmt.Sprintf("keys-%d", i), k.keyFields())
	}
	for i := range 5 {
		k.add(&k.steady, fmt.Sprintf("steady-%d", i), k.fields(map[string]any{"generate_lease": i%2 == 0}))
		fields := k.fields(map[string]any{"generate_lease": i%2 == 0, "rolesanywhere_endpoint": k.faulted.URL})
		fields["certificate"], fields["private_key"] = k.identityOf(k.faulted)
		k.add(&k.steady, fmt.Sprintf("faulted-%d", i), fields)
	}
	for i := range 6 {
		k.add(&k.churned, fmt.Sprintf("churned-%d", i), k.fields(nil))
	}
	return k
}

func (k *soak) add(to *[]string, name string, fields map[string]any) {
	k.t.Helper()
	k.write("config/"+name, fields)
	*to = append(*to, name)
}

func (k *soak) keyFields() map[string]any {
	keys := k.minio.RootCredentials()
	return k.s3Fields(map[string]any{"auth_type": "access_key", "access_key": keys.AccessKeyID,
		"secret_key": keys.SecretAccessKey})
}

func (k *soak) identityOf(account *awsAccount) (certificate, key string) {
	k.t.Helper()
	issued := account.issue(k.t, rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	return string(issued.CertificatePEM), string(issued.PrivateKeyPEM)
}

func (k *soak) names() []string { return append(append([]string(nil), k.steady...), k.churned...) }

// load reads every connection once a second in both forms and churns some, for so long. Between times the test's own
// goroutine disturbs them.
func (k *soak) load(length time.Duration, rough bool) {
	k.t.Helper()
	stop := make(chan struct{})
	var workers sync.WaitGroup
	for _, name := range k.names() {
		workers.Go(func() { k.reader(stop, name, k.readLeased) })
		workers.Go(func() { k.reader(stop, name, k.readRaw) })
	}
	for i, name := range k.churned {
		workers.Go(func() { k.churner(stop, name, i) })
	}
	defer workers.Wait()
	defer close(stop)
	end := time.NewTimer(length)
	defer end.Stop()
	disturb := time.NewTicker(min(max(k.length/20, 1500*time.Millisecond), 15*time.Second))
	defer disturb.Stop()
	outageEnd := time.NewTimer(length)
	defer outageEnd.Stop()
	measure := time.NewTicker(min(k.length/6, 10*time.Second))
	defer measure.Stop()
	for turn, disruptions := 0, 0; ; {
		select {
		case <-end.C:
			for rough && disruptions < kindsOfDisruption-1 { // a short soak on a slow machine
				disruptions++
				k.disrupt(disruptions)
			}
			k.heal()
			return
		case <-measure.C:
			k.t.Log(k.reading().row("load"))
		case <-outageEnd.C:
			k.heal()
		case <-disturb.C:
			if turn++; rough && turn%2 == 0 {
				disruptions++
				k.disrupt(disruptions)
			} else {
				k.fault(outageEnd)
			}
		}
	}
}

// kindsOfDisruption counts the turns of disrupt; the first comes round again as the fourth.
const kindsOfDisruption = 4

// disrupt ends the plugin in one way or another. Reads that meet the time until it answers again are counted apart.
func (k *soak) disrupt(turn int) {
	k.t.Helper()
	k.heal()
	from, kind := time.Now(), ""
	switch turn % kindsOfDisruption {
	case 0, 1:
		kind = "kill -9 of the plugin"
		k.vault.KillPlugin()
	case 2:
		kind = "plugin reload"
		k.vault.ReloadPlugin(pluginName)
	case 3:
		kind = "seal and unseal"
		k.vault.Seal()
		k.vault.Unseal()
	}
	k.readSoon(k.api, "creds/"+k.steady[0])
	k.ledger.incident(incident{from: from, to: time.Now(), kind: kind})
}

// fault begins an outage of the second service, of another kind each time, unless the last one is too near.
func (k *soak) fault(end *time.Timer) {
	faults := []rolesanywheretest.Fault{
		{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailableException"},
		{Hang: true},
		{Drop: true},
		{Status: http.StatusTooManyRequests, Code: "ThrottlingException", Message: "Rate exceeded"},
		{HugeBody: 64 << 20},
		{EmptyCredentialSet: true},
		{HeaderDelay: 5 * time.Second},
		{BodyDelay: 5 * time.Second},
		{Status: http.StatusForbidden, Code: "AccessDeniedException", Message: "Untrusted signing certificate"},
		{Expiration: time.Now().Add(-time.Hour)},
		{NoExpiration: true},
		{Status: http.StatusInternalServerError, Body: []byte("<html>garbage")},
		{Redirect: "https://service.example/"},
	}
	if time.Since(k.healed) < healthy {
		return
	}
	k.faulted.Inject(faults[k.faults%len(faults)])
	k.healed = time.Now().Add(outage)
	end.Reset(outage)
	k.faults++
}

func (k *soak) heal() {
	k.faulted.Clear()
	if now := time.Now(); now.Before(k.healed) {
		k.healed = now
	}
}

// idleReading ends all leases, lets things come to rest, and reads what the plugin and the storage hold. Then it has
// the plugin's process print its goroutines, which ends it.
func (k *soak) idleReading() reading {
	k.t.Helper()
	if err := k.api.Sys().RevokePrefixWithContext(k.t.Context(), "s3conn/creds"); err != nil {
		k.t.Fatalf("revoking the leases: %v", err)
	}
	for _, name := range k.names() { // in one and the same state each time: all in use
		if _, err := k.readRaw(k.t.Context(), name); err != nil {
			k.t.Errorf("reading %s without any load: %v", name, err)
		}
	}
	rest := time.NewTimer(max(quiet, min(k.length/20, 90*time.Second)))
	defer rest.Stop()
	<-rest.C
	r := k.reading()
	harness.WaitFor(k.t, "the leases to end", func(context.Context) error {
		if r.leases = k.leases(); r.leases > 0 {
			return fmt.Errorf("there are %d", r.leases)
		}
		return nil
	})
	r.goroutines, r.ours = k.goroutines()
	return r
}
