package harness_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

const mount = "s3conn"

// list makes the plugin answer; which answer is not the harness's matter.
func list(t *testing.T, v *harness.Vault) {
	t.Helper()
	if _, err := v.Client().Logical().ListWithContext(t.Context(), mount+"/config"); err != nil {
		t.Fatalf("listing %s/config: %v", mount, err)
	}
}

func wantOnePID(t *testing.T, v *harness.Vault) int {
	t.Helper()
	pids := v.PluginPIDs()
	if len(pids) != 1 {
		t.Fatalf("the plugin runs as processes %v, want one", pids)
	}
	return pids[0]
}

func TestHarness_PluginRunsReloadsAndComesBack(t *testing.T) {
	t.Parallel()
	v := harness.StartVault(t, harness.VaultOptions{PluginRace: true})
	plugin := v.RegisterPlugin(mount)
	if len(plugin.SHA256) != 64 || !strings.HasPrefix(plugin.Version, "v") {
		t.Errorf("registered %+v, want a SHA-256 in hex and a version", plugin)
	}
	v.Mount(mount, plugin.Name)
	list(t, v)
	first := wantOnePID(t, v)

	v.ReloadPlugin(plugin.Name)
	list(t, v)
	second := wantOnePID(t, v)
	if second == first {
		t.Errorf("the plugin is still process %d after ReloadPlugin", first)
	}

	v.KillPlugin()
	// A request that meets the dying connection fails; Vault starts the plugin for the one after it.
	harness.WaitFor(t, "the plugin to answer again", func(ctx context.Context) error {
		_, err := v.Client().Logical().ListWithContext(ctx, mount+"/config")
		return err
	})
	if third := wantOnePID(t, v); third == second {
		t.Errorf("the plugin is still process %d after it was killed", second)
	}

	last := wantOnePID(t, v)
	v.Kill()
	harness.WaitFor(t, "the killed server's plugin to end", func(context.Context) error {
		if harness.ProcessRuns(last) {
			return fmt.Errorf("process %d still runs", last)
		}
		return nil
	})
	v.Restart()
	list(t, v)
	wantOnePID(t, v)
}

func TestHarness_ClusterRunsPluginOnTheActiveNode(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, harness.VaultOptions{TLS: true})
	plugin := c.RegisterPlugin(mount)
	c.Nodes[c.Leader()].Mount(mount, plugin.Name)
	next := c.StepDown()
	list(t, c.Nodes[next])
	wantOnePID(t, c.Nodes[next])
}
