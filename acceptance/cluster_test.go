package acceptance

import (
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const clusterSize = 3

// clusterStack is a raft cluster with the plugin mounted at s3conn/, and a MinIO.
type clusterStack struct {
	cluster *harness.Cluster
	minio   *harness.MinIO
	leader  int
	// answers says that standbys answer reads, as OpenBao's do. Those of Vault's community edition pass every request
	// on to the active node.
	answers bool
}

func TestCluster_Vault(t *testing.T) {
	t.Parallel()
	testCluster(t, harness.VaultOptions{PluginRace: true})
}

func TestCluster_OpenBao(t *testing.T) {
	t.Parallel()
	testCluster(t, openBao(t, harness.VaultOptions{PluginRace: true}))
}

// openBao returns the options of an OpenBao server; without one the test ends, and says so loudly.
func openBao(t *testing.T, opts harness.VaultOptions) harness.VaultOptions {
	t.Helper()
	if _, found := harness.OpenBaoBinary(); !found {
		t.Skip("!!! OpenBao is NOT TESTED: BAO_BIN names no bao program !!!")
	}
	opts.OpenBao = true
	return opts
}

// onEachServer runs the test on a Vault and, where there is one, on an OpenBao.
func onEachServer(t *testing.T, opts harness.VaultOptions, test func(t *testing.T, opts harness.VaultOptions)) {
	t.Run("Vault", func(t *testing.T) {
		t.Parallel()
		test(t, opts)
	})
	t.Run("OpenBao", func(t *testing.T) {
		t.Parallel()
		test(t, openBao(t, opts))
	})
}

// testCluster starts one cluster for all that can share it. What ends nodes comes last.
func testCluster(t *testing.T, opts harness.VaultOptions) {
	c := &clusterStack{cluster: harness.StartCluster(t, clusterSize, opts), minio: harness.StartMinIO(t),
		answers: opts.OpenBao}
	c.minio.MakeBucket(bucketName)
	c.cluster.RegisterPlugin(pluginName)
	c.leader = c.cluster.Leader()
	c.cluster.Nodes[c.leader].Mount("s3conn", pluginName)
	// A standby mounts what the active node has mounted a moment later.
	for i := range c.cluster.Nodes {
		c.at(t, i).waitMounted()
	}
	tests := map[string]func(*testing.T, *clusterStack){
		"leases are made, renewed and revoked through every node": clusterLeases,
		"cold readers of all nodes cause one call":                clusterColdReaders,
		"a write is seen by every node":                           clusterWrites,
		"what was just created is found on every node":            clusterCreates,
		"templated scopes are shared by entity":                   clusterTemplates,
		"writes that call a service work through standbys":        clusterWritesThroughStandbys,
		"raw answers with a bearer token":                         clusterRawAnswers,
		"certificates are changed through standbys":               clusterKeys,
		"status says what each node knows":                        clusterStatus,
	}
	if opts.OpenBao { // Vault's community edition has no namespaces
		tests["namespaces keep their connections apart"] = clusterNamespaces
	}
	t.Run("shared", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, c)
			})
		}
	})
	t.Run("a session outlives its leaders", func(t *testing.T) { clusterLeaders(t, c) })
}

// at is the mount as node i shows it.
func (c *clusterStack) at(t *testing.T, i int) *stack {
	node := c.cluster.Nodes[i]
	return &stack{t: t, vault: node, minio: c.minio, api: node.Client()}
}

// each is the mount as every node shows it, the active one first.
func (c *clusterStack) each(t *testing.T) []*stack {
	var all []*stack
	for i := range c.cluster.Nodes {
		all = append(all, c.at(t, (c.leader+i)%len(c.cluster.Nodes)))
	}
	return all
}

// begin returns the mount on the active node with an AWS of the test's own, whose calls nobody else makes.
func (c *clusterStack) begin(t *testing.T) *sessionStack {
	return &sessionStack{stack: c.at(t, c.leader), aws: newAWS(t, c.minio, rolesanywheretest.Options{})}
}

// assertCalls fails the test unless AWS was called so often.
func (s *sessionStack) assertCalls(what string, want int) {
	s.t.Helper()
	if got := s.aws.Calls(); got != want {
		s.t.Errorf("%s: %d CreateSession calls, want %d", what, got, want)
	}
}
