package harness

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
)

// Cluster is a raft cluster of real Vault servers.
type Cluster struct {
	t     testing.TB
	Nodes []*Vault
}

// StartCluster starts size nodes joined by raft and returns when every node is a voter and one is active. The plugin is
// not registered: RegisterPlugin does that for all nodes at once.
func StartCluster(t testing.TB, size int, opts VaultOptions) *Cluster {
	t.Helper()
	if opts.InMemory {
		t.Fatal("starting a cluster: its nodes share raft storage, VaultOptions.InMemory must be false")
	}
	first := startFirst(t, opts, clusterMultiplier)
	c := &Cluster{t: t, Nodes: []*Vault{first}}
	// A new node becomes a voter only after it has been stable for this long, 10 s by default.
	_, err := first.Client().Logical().WriteWithContext(t.Context(), "sys/storage/raft/autopilot/configuration",
		map[string]any{"server_stabilization_time": "1s"})
	if err != nil {
		t.Fatalf("configuring raft's autopilot: %v", err)
	}
	for i := 1; i < size; i++ {
		node := newVault(t, opts, fmt.Sprintf("node%d", i), first.ca, clusterMultiplier, first)
		node.rootToken, node.unsealKey = first.rootToken, first.unsealKey
		node.start()
		node.Unseal()
		c.Nodes = append(c.Nodes, node)
	}
	waitFor(t, "every node to be a voter", c.allVoters, c.processes()...)
	waitFor(t, "every node to serve", c.allServing, c.processes()...)
	return c
}

func (c *Cluster) processes() []*process {
	var procs []*process
	for _, node := range c.Nodes {
		procs = append(procs, node.proc)
	}
	return procs
}

func (c *Cluster) allVoters(ctx context.Context) error {
	secret, err := c.Nodes[0].Client().Logical().ReadWithContext(ctx, "sys/storage/raft/configuration")
	if err != nil {
		return err
	}
	config, _ := secret.Data["config"].(map[string]any)
	servers, _ := config["servers"].([]any)
	voters := 0
	for _, s := range servers {
		if server, _ := s.(map[string]any); server["voter"] == true {
			voters++
		}
	}
	if voters != len(c.Nodes) {
		return fmt.Errorf("raft has %d voters of %d", voters, len(c.Nodes))
	}
	return nil
}

// allServing is nil when every running node answers a request: a standby that has yet to find the active node cannot.
func (c *Cluster) allServing(ctx context.Context) error {
	for _, node := range c.Nodes {
		if !node.Running() {
			continue
		}
		if _, err := node.Client().Auth().Token().LookupSelfWithContext(ctx); err != nil {
			return fmt.Errorf("asking %s: %w", node.node, err)
		}
	}
	return nil
}

var errNoLeader = errors.New("no node is active")

// activeExcept returns the index of the active node; one that a killed or outvoted node claims to be does not count,
// nor does except.
func (c *Cluster) activeExcept(ctx context.Context, except int) (int, error) {
	for i, node := range c.Nodes {
		if i == except || !node.Running() {
			continue
		}
		if health, err := node.health(ctx); err == nil && health == http.StatusOK {
			return i, nil
		}
	}
	return 0, errNoLeader
}

const nobody = -1

// Leader waits for an active node and returns its index in Nodes.
func (c *Cluster) Leader() int {
	c.t.Helper()
	return c.waitLeader(nobody)
}

// waitSuccessor waits for another node than old to be active and for all nodes to know it.
func (c *Cluster) waitSuccessor(old int) int {
	c.t.Helper()
	leader := c.waitLeader(old)
	waitFor(c.t, "every node to serve", c.allServing)
	return leader
}

func (c *Cluster) waitLeader(except int) (leader int) {
	c.t.Helper()
	waitFor(c.t, "an active node", func(ctx context.Context) (err error) {
		leader, err = c.activeExcept(ctx, except)
		return err
	})
	return leader
}

// StepDown has the active node give up its place and returns the index of the node that took it.
func (c *Cluster) StepDown() int {
	c.t.Helper()
	old := c.Leader()
	if err := c.Nodes[old].Client().Sys().StepDownWithContext(c.t.Context()); err != nil {
		c.t.Fatalf("stepping down: %v", err)
	}
	return c.waitSuccessor(old)
}

// Kill ends node i as a crash does and returns the index of the active node of those left, waiting for a new one when i
// was active. A majority must be left.
func (c *Cluster) Kill(i int) int {
	c.t.Helper()
	c.Nodes[i].Kill()
	return c.waitSuccessor(i)
}

// Restart starts node i again and returns when it serves as a standby or as the active node.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.Nodes[i].restartSealed()
	c.Nodes[i].Unseal()
	waitFor(c.t, "the restarted node to serve", c.allServing, c.Nodes[i].proc)
}

// RegisterPlugin installs the plugin on every node and registers it under name.
func (c *Cluster) RegisterPlugin(name string) Plugin {
	c.t.Helper()
	for _, node := range c.Nodes {
		node.installPlugin()
	}
	return c.Nodes[c.Leader()].RegisterPlugin(name)
}
