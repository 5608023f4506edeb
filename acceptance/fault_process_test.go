package acceptance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// serverRecovery bounds how long readers may go without credentials after the server or its plugin is there again.
const serverRecovery = 30 * time.Second

// processFault is something to happen to the plugin or to Vault itself. It returns when all is there again.
type processFault struct {
	name string
	do   func()
	// spares says that no read may fail: those that meet it wait.
	spares bool
}

// serverUnderLoad is a Vault with connections that are read on and on; their sessions last for an hour.
type serverUnderLoad struct {
	t     *testing.T
	vault *harness.Vault
	raw   *rawVault
	front *front
	load  *load
	names []string
}

const loadedConnections = 6

func newServerUnderLoad(t *testing.T, vault *harness.Vault) *serverUnderLoad {
	t.Helper()
	vault.RegisterPlugin(pluginName)
	vault.Mount("s3conn", pluginName)
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := &serverUnderLoad{t: t, vault: vault, raw: newRawVault(t, vault),
		front: newFront(t, authority, rolesanywheretest.Options{})}
	var paths []string
	for i := range loadedConnections {
		name := fmt.Sprintf("orders-%d", i)
		s.names = append(s.names, name)
		// Half of them without leases, so that both ways are under load.
		fields := s.front.connection(t, i+1, name, map[string]any{"generate_lease": i%2 == 0})
		if err := s.raw.write(t.Context(), "s3conn/config/"+name, fields); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, "s3conn/creds/"+name, "s3conn/sdk/"+name)
	}
	s.load = startLoad(t, s.raw, paths...)
	if !eventually(t.Context(), time.Minute, s.load.served) {
		t.Fatalf("the readers are not served: %s", s.load.take().says)
	}
	return s
}

// meet has the readers meet the fault and returns its row of the table.
func (s *serverUnderLoad) meet(fault processFault) string {
	s.t.Helper()
	s.load.reset()
	started := time.Now()
	fault.do()
	lasted := time.Since(started)
	if !s.load.waitServed(s.t.Context(), serverRecovery) {
		s.t.Errorf("%s: readers are not served within %s: %s", fault.name, serverRecovery, s.load.take().says)
	}
	seen := s.load.take()
	outage := max(0, seen.lastFailure.Sub(started))
	if fault.spares && seen.failed > 0 {
		s.t.Errorf("%s: %d of %d reads failed, the last with %s", fault.name, seen.failed, seen.reads, seen.says)
	}
	return fmt.Sprintf("| %s | %.1f s | %d | %d | %s | %.1f s | %s |", fault.name, lasted.Seconds(), seen.reads,
		seen.failed,
		seen.longest.Round(time.Millisecond), outage.Seconds(), shortly(seen.says))
}

const processTableHead = `
| fault | lasted | reads | failed | longest read | last failure after | said |
|---|---:|---:|---:|---:|---:|---|
`

func TestFaults_ProcessMatrix(t *testing.T) {
	t.Parallel()
	vault := harness.StartVault(t, harness.VaultOptions{PluginRace: true})
	s := newServerUnderLoad(t, vault)
	if n := s.front.Sessions(); n != loadedConnections {
		t.Fatalf("%d sessions for %d connections", n, loadedConnections)
	}
	rows := []string{strings.TrimRight(processTableHead, "\n")}
	for _, fault := range []processFault{
		{name: "none", do: func() { waitUntil(t.Context(), time.Now().Add(3*time.Second)) }, spares: true},
		{name: "kill -9 of the plugin", do: vault.KillPlugin},
		{name: "kill -9 of the plugin, 5 times", do: s.killRepeatedly},
		{name: "plugin reload", do: func() { vault.ReloadPlugin(pluginName) }},
		{name: "seal and unseal", do: func() { vault.Seal(); vault.Unseal() }},
		{name: "kill -9 and restart of Vault", do: func() { vault.Kill(); vault.Restart() }},
	} {
		rows = append(rows, s.meet(fault))
	}
	t.Log(strings.Join(rows, "\n"))
	if n := s.front.Sessions(); n != loadedConnections {
		t.Errorf("%d sessions were obtained over all faults, want the %d of the start: sessions are lost", n,
			loadedConnections)
	}
	s.load.stop()
	s.assertNothingLeft()
}

// killRepeatedly kills each new process of the plugin as soon as it serves.
func (s *serverUnderLoad) killRepeatedly() {
	for range 5 {
		s.vault.KillPlugin()
		harness.WaitFor(s.t, "the plugin to serve again", func(ctx context.Context) error {
			if a := s.raw.ask(ctx, http.MethodGet, "s3conn/creds/"+s.names[0], ""); a.status != http.StatusOK {
				return fmt.Errorf("HTTP %d: %s", a.status, a.body)
			}
			return nil
		})
	}
}

func (s *serverUnderLoad) assertNothingLeft() {
	s.t.Helper()
	assertNoConnections(s.t, "after all faults", pluginPID(s.t, s.vault), s.front.address)
	if all, left := dumpGoroutines(s.t, s.vault); all == 0 || len(left) > 0 {
		s.t.Errorf("of the plugin's %d goroutines %d are of calls that have ended:\n%s", all, len(left),
			strings.Join(left, "\n"))
	}
	s.front.assertNoLeak(s.t, "the log", s.vault.ServerLog())
}
