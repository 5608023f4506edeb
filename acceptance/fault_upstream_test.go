package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	// A session of faultSession is refreshed from 44 s on and is handed out until 66 s. A fault from 41 s to 51 s
	// meets the refresh, and leaves the time that a call which hangs (10 s) and a pause (5 s) need before the
	// session's end.
	faultSession = 126 * time.Second
	untilRefresh = (faultSession - time.Minute) * 2 / 3
	faultBegins  = untilRefresh - 3*time.Second
	faultLasts   = 10 * time.Second

	// A cold reader gets the last error for a cool-down of 5 s, then waits for a call, at the most for its 10 s; the
	// rest is a busy machine's.
	coldRecovery = 40 * time.Second
	// The longest that a warm read may take although nothing but a busy machine holds it up: less than a call that
	// hangs.
	warmStall = 8 * time.Second
)

// faultCell is one fault's own service with two warm connections and two cold ones. All cells share one Vault and run
// at the same time: the faults' figures are under the load of all.
type faultCell struct {
	upstreamFault
	t     *testing.T
	vault *rawVault
	front *front
	pid   int
	id    string

	first          map[string]string // access key IDs of the first sessions, by path
	warm, cold     *load
	warmSeen       tally
	coldSeen       tally
	begun, cleared time.Time
	answeredThen   bool
}

func (c *faultCell) try(err error) {
	if err != nil {
		c.t.Errorf("%s: %v", c.name, err)
	}
}

func (c *faultCell) warmPaths() []string {
	return []string{"s3conn/creds/warm-a-" + c.id, "s3conn/sdk/warm-b-" + c.id}
}

func (c *faultCell) coldPaths() []string {
	return []string{"s3conn/creds/cold-a-" + c.id, "s3conn/sdk/cold-b-" + c.id}
}

// rewrite changes the settings of the cold connections.
func (c *faultCell) rewrite(change map[string]any) {
	for _, name := range []string{"cold-a-", "cold-b-"} {
		c.try(c.vault.write(c.t.Context(), "s3conn/config/"+name+c.id, change))
	}
}

func TestFaults_UpstreamMatrix(t *testing.T) {
	t.Parallel()
	vault := harness.StartVault(t, harness.VaultOptions{InMemory: true, PluginRace: true})
	vault.RegisterPlugin(pluginName)
	vault.Mount("s3conn", pluginName)
	raw := newRawVault(t, vault)
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pid := pluginPID(t, vault)
	filesBefore, threadsBefore := openFiles(pid), threads(pid)

	var cells []*faultCell
	for i, fault := range upstreamFaults() {
		c := &faultCell{upstreamFault: fault, t: t, vault: raw, pid: pid, id: fmt.Sprint(i), first: map[string]string{}}
		c.front = newFront(t, authority, rolesanywheretest.Options{Lifetime: faultSession})
		for n, name := range []string{"warm-a-", "warm-b-", "cold-a-", "cold-b-"} {
			name += c.id
			c.try(raw.write(t.Context(), "s3conn/config/"+name, c.front.connection(t, 4*i+n+1, name, nil)))
		}
		cells = append(cells, c)
	}
	var wg sync.WaitGroup
	for _, c := range cells {
		wg.Go(c.run)
	}
	wg.Wait()
	if t.Failed() && t.Context().Err() != nil {
		return
	}

	rows := []string{"",
		"| fault of " + faultLasts.String() + " | warm reads | failed | longest | cold reads failed | of | recovery " +
			"of cold | said to cold readers |",
		"|---|---:|---:|---:|---:|---:|---:|---|"}
	log := vault.ServerLog()
	for _, c := range cells {
		rows = append(rows, c.row())
		c.judge(log)
		c.front.assertNoLeak(t, c.name+": the log", log)
	}
	t.Log(strings.Join(rows, "\n"))

	if now := pluginPID(t, vault); now != pid {
		t.Errorf("the plugin's process is %d, and was %d before the faults", now, pid)
	}
	t.Logf("plugin: %d open files before, %d after; %d threads before, %d after", filesBefore, openFiles(pid),
		threadsBefore, threads(pid))
	// Vault may keep a few more connections of its own to the plugin than at first; a leak would be one for each of
	// the calls.
	if left := openFiles(pid); left > filesBefore+8 {
		t.Errorf("the plugin has %d open files after the faults, and had %d", left, filesBefore)
	}
	assertNoGoroutinesLeft(t, vault, raw, cells[0])
}

// assertNoGoroutinesLeft shows first that what is to be absent would be found: a call that hangs.
func assertNoGoroutinesLeft(t *testing.T, vault *harness.Vault, raw *rawVault, c *faultCell) {
	t.Helper()
	all, left := dumpGoroutines(t, vault)
	t.Logf("plugin: %d goroutines at the end, %d of them of upstream calls", all, len(left))
	if all == 0 || len(left) > 0 {
		t.Errorf("of the plugin's %d goroutines %d are of calls that have ended:\n%s", all, len(left),
			strings.Join(left, "\n"))
	}
	// The first request after a crash may meet a connection that Vault still believes in.
	if !eventually(t.Context(), time.Minute, func() bool {
		return raw.ask(t.Context(), http.MethodGet, c.warmPaths()[0],
			"").status == http.StatusOK
	}) {
		t.Fatal("the plugin is not back after its end")
	}
	c.front.Reset()
	c.front.Inject(rolesanywheretest.Fault{Hang: true})
	c.try(raw.write(t.Context(), "s3conn/config/hanging", c.front.connection(t, 1, "hanging", nil)))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { raw.ask(ctx, http.MethodGet, "s3conn/creds/hanging", "") })
	harness.WaitFor(t, "the call that hangs", func(ctx context.Context) error { return c.front.WaitCalls(ctx, 1) })
	if all, left = dumpGoroutines(t, vault); len(left) == 0 {
		t.Errorf("none of %d goroutines is seen to be of a call, and one is under way", all)
	}
	cancel()
	wg.Wait()
}

// run has the cell's warm connections meet the fault when their sessions are due for a refresh.
func (c *faultCell) run() {
	ctx := c.t.Context()
	c.warm = startLoad(c.t, c.vault, c.warmPaths()...)
	if !eventually(ctx, time.Minute, c.warm.served) {
		c.t.Errorf("%s: the warm connections are not served: %s", c.name, c.warm.take().says)
		return
	}
	var earliest time.Time
	for _, r := range c.warm.readers {
		seen := r.take().last
		c.first[r.path] = seen.accessKey
		if issued := seen.expiration.Add(-faultSession); earliest.IsZero() || issued.Before(earliest) {
			earliest = issued
		}
	}
	if !waitUntil(ctx, earliest.Add(faultBegins)) {
		return
	}
	c.warm.reset()
	c.startFault()
	c.begun = time.Now()
	c.cold = startLoad(c.t, c.vault, c.coldPaths()...)
	if !waitUntil(ctx, c.begun.Add(faultLasts)) {
		return
	}
	c.stopFault()
	c.cleared = time.Now()
	c.answeredThen = c.cold.waitServed(ctx, coldRecovery)
	// Until the first session would have ended, so that only a new one serves.
	if !waitUntil(ctx, earliest.Add(faultSession-time.Minute+2*time.Second)) {
		return
	}
	c.cold.stop()
	c.warm.stop()
	c.coldSeen, c.warmSeen = c.cold.take(), c.warm.take()
	assertNoConnections(c.t, c.name, c.pid, c.front.address)
}

func (c *faultCell) startFault() {
	if c.begin != nil {
		c.begin(c)
		return
	}
	c.front.Inject(c.fault)
}

func (c *faultCell) stopFault() {
	if c.end != nil {
		c.end(c)
		return
	}
	c.front.Clear()
}

// recovery is from the end of the fault to the last failure that a cold reader saw.
func (c *faultCell) recovery() time.Duration {
	return max(0, c.coldSeen.lastFailure.Sub(c.cleared))
}

func (c *faultCell) row() string {
	said := shortly(c.coldSeen.says)
	return fmt.Sprintf("| %s | %d | %d | %s | %d | %d | %.1f s | %s |", c.name, c.warmSeen.reads, c.warmSeen.failed,
		c.warmSeen.longest.Round(time.Millisecond), c.coldSeen.failed, c.coldSeen.reads, c.recovery().Seconds(), said)
}

func (c *faultCell) judge(log string) {
	if c.warmSeen.failed > 0 || c.warmSeen.reads == 0 {
		c.t.Errorf("%s: %d of %d reads of warm connections failed, the last with %s", c.name, c.warmSeen.failed,
			c.warmSeen.reads, c.warmSeen.says)
	}
	if c.warmSeen.longest > warmStall {
		c.t.Errorf("%s: a read of a warm connection took %s, want at most %s", c.name, c.warmSeen.longest, warmStall)
	}
	if !c.answeredThen {
		c.t.Errorf("%s: cold connections are not served within %s of the fault's end: %s", c.name, coldRecovery,
			c.coldSeen.says)
	}
	switch {
	case c.slow && c.coldSeen.failed > 0:
		c.t.Errorf("%s: %d reads of cold connections failed, the last with %s", c.name, c.coldSeen.failed,
			c.coldSeen.says)
	case !c.slow && (c.coldSeen.failed == 0 || !strings.Contains(c.coldSeen.says, c.says)):
		c.t.Errorf("%s: %d reads of cold connections failed, the last with %q, want %q", c.name, c.coldSeen.failed,
			c.coldSeen.says, c.says)
	}
	for _, r := range c.warm.readers {
		if r.take().last.accessKey == c.first[r.path] {
			c.t.Errorf("%s: %s still serves its first session: no refresh was due", c.name, r.path)
		}
		// The proof that the refresh met the fault.
		_, name, _ := strings.Cut(strings.TrimPrefix(r.path, "s3conn/"), "/")
		if met := refreshFailed(log, name); met == (c.slow || c.coldOnly) {
			c.t.Errorf("%s: the log reports a failed refresh of %s: %t", c.name, name, met)
		}
	}
}

// refreshFailed finds the log's line; Vault writes a plugin's keys in any order.
func refreshFailed(log, connection string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "refreshing the session; the one in use still lives:") &&
			slices.Contains(strings.Fields(line), "connection="+connection) {
			return true
		}
	}
	return false
}
