package acceptance

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// stepDownLimit is how long a leader's step-down may take while the service hangs. A request in flight holds Vault's
// state lock, and the plugin gives a call up after 10 s; without that it would take 90 s. The rest is a busy machine's.
const stepDownLimit = 40 * time.Second

var errStillLeads = errors.New("the old leader still leads")

func TestFaults_ClusterMatrix(t *testing.T) {
	t.Parallel()
	cluster := harness.StartCluster(t, 3, harness.VaultOptions{PluginRace: true})
	cluster.RegisterPlugin(pluginName)
	leader := cluster.Leader()
	// A node that has just joined is unsealed twice, and Vault then waits for a step-down in the wrong one of two
	// places: "Core.StepDown" in Vault 1.21. One that was restarted is not.
	for i := range cluster.Nodes {
		if i != leader {
			cluster.Restart(i)
		}
	}
	s := newServerUnderLoad(t, cluster.Nodes[leader])
	// The readers of one node that leads no longer, and of one that never has: both pass their requests on.
	other := startLoad(t, newRawVault(t, cluster.Nodes[(leader+1)%3]), "s3conn/creds/"+s.names[0],
		"s3conn/sdk/"+s.names[1])
	s.load.readers = append(s.load.readers, other.readers...)

	rows := []string{strings.TrimRight(processTableHead, "\n")}
	rows = append(rows,
		s.meet(processFault{name: "operator step-down", do: func() { leader = cluster.StepDown() }}),
		s.meet(processFault{name: "operator step-down while the service hangs",
			do: func() { leader = s.stepDownWhileHanging(cluster, leader) }}),
	)
	t.Logf("%d sessions for %d connections so far", s.front.Sessions(), loadedConnections)
	if n := s.front.Sessions(); n != loadedConnections {
		t.Errorf("%d sessions were obtained over the step-downs, want the %d of the start: sessions are lost", n,
			loadedConnections)
	}
	// The readers of a killed node have nobody to ask: only those of the nodes left are counted.
	s.load.stop()
	other.stop()
	left := (leader + 1) % 3
	raw := newRawVault(t, cluster.Nodes[left])
	s.load = startLoad(t, raw, "s3conn/creds/"+s.names[0], "s3conn/sdk/"+s.names[1], "s3conn/creds/"+s.names[2])
	rows = append(rows, s.meet(processFault{name: "kill -9 of the leader",
		do: func() { leader = cluster.Kill(leader) }}))
	t.Log(strings.Join(rows, "\n"))
	s.load.stop()
	if n := s.front.Sessions(); n != loadedConnections {
		t.Errorf("%d sessions were obtained over all faults, want the %d of the start: sessions are lost", n,
			loadedConnections)
	}
	s.vault = cluster.Nodes[leader]
	s.assertNothingLeft()
}

// stepDownWhileHanging has cold readers wait in the leader for a service that hangs, and returns the next leader.
func (s *serverUnderLoad) stepDownWhileHanging(cluster *harness.Cluster, leader int) int {
	s.t.Helper()
	calls := s.front.Calls()
	s.front.Inject(rolesanywheretest.Fault{Hang: true})
	defer s.front.Clear()
	raw := newRawVault(s.t, cluster.Nodes[leader])
	ctx, cancel := context.WithCancel(s.t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	const hanging = 3
	for i := range hanging {
		name := []string{"hanging-a", "hanging-b", "hanging-c"}[i]
		if err := raw.write(s.t.Context(), "s3conn/config/"+name,
			s.front.connection(s.t, 100+i, name, nil)); err != nil {
			s.t.Fatal(err)
		}
		for _, path := range []string{"s3conn/creds/", "s3conn/sdk/"} {
			wg.Go(func() { raw.ask(ctx, http.MethodGet, path+name, "") })
		}
	}
	harness.WaitFor(s.t, "the calls that hang", func(ctx context.Context) error {
		return s.front.WaitCalls(ctx,
			calls+hanging)
	})

	started := time.Now()
	if err := cluster.Nodes[leader].Client().Sys().StepDownWithContext(s.t.Context()); err != nil {
		s.t.Fatalf("stepping down: %v", err)
	}
	answered := time.Since(started)
	var next int
	harness.WaitFor(s.t, "another leader", func(context.Context) error {
		next = cluster.Leader()
		if next == leader {
			return errStillLeads
		}
		return nil
	})
	took := time.Since(started)
	s.t.Logf("a step-down with %d calls that hang: answered after %s, another node is active after %s", hanging,
		answered, took)
	if took > stepDownLimit {
		s.t.Errorf("a step-down while the service hangs took %s, want at most %s", took, stepDownLimit)
	}
	return next
}
