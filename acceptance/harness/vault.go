package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

// VaultOptions say how a Vault server differs from the default: raft storage, plain HTTP, no audit device.
type VaultOptions struct {
	TLS        bool           // serve HTTPS with a certificate of a CA made for this server, see Vault.CA
	InMemory   bool           // keep storage in memory: faster, lost with the process
	Audit      bool           // enable a file audit device, see Vault.AuditLog
	PluginRace bool           // build the plugin with the race detector; a race that it reports fails the test
	OpenBao    bool           // run the program that $BAO_BIN names, see OpenBaoBinary, in Vault's place
	Env        []string       // added to the server's environment, which plugins inherit
	Config     map[string]any // top-level settings of the server's configuration that win over the harness's own
}

// Vault is one real `vault server`, or `bao server`, which is started and used alike. Its methods fail the test on
// error and belong in the test's own goroutine.
type Vault struct {
	t         testing.TB
	opts      VaultOptions
	node      string
	dir       string
	pluginDir string
	scheme    string
	port      int
	cluster   int

	raftMultiplier int
	contract       *contract
	ca             *authority // nil without TLS
	proc           *process

	rootToken string
	unsealKey string
}

// StartVault starts a Vault server, initializes it with one unseal key and returns it unsealed and active.
func StartVault(t testing.TB, opts VaultOptions) *Vault {
	t.Helper()
	return startFirst(t, opts, aloneMultiplier)
}

// Raft's timeouts are seconds times this. A server alone cannot lose its leadership, and should be quick to elect
// itself. A cluster with short ones elects anew whenever a busy machine holds the leader up for a second.
// https://developer.hashicorp.com/vault/docs/configuration/storage/raft#performance_multiplier
const (
	aloneMultiplier   = 1
	clusterMultiplier = 4
)

func startFirst(t testing.TB, opts VaultOptions, raftMultiplier int) *Vault {
	t.Helper()
	var ca *authority
	if opts.TLS {
		ca = newAuthority(t)
	}
	v := newVault(t, opts, "node0", ca, raftMultiplier, nil)
	v.start()
	v.initialize()
	v.Unseal()
	v.waitActive()
	if opts.Audit {
		v.enableAudit()
	}
	return v
}

// newVault prepares a server without starting it; join is a node whose raft cluster it is to enter, or nil.
func newVault(t testing.TB, opts VaultOptions, node string, ca *authority, raftMultiplier int, join *Vault) *Vault {
	t.Helper()
	// Vault wants plugin_directory without symbolic links on the way, and macOS's temporary directory is behind one.
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatalf("resolving the server's directory: %v", err)
	}
	v := &Vault{
		t: t, opts: opts, node: node, dir: dir, pluginDir: filepath.Join(dir, "plugins"),
		scheme: "http", port: FreePort(t), cluster: FreePort(t), ca: ca,
		raftMultiplier: raftMultiplier,
	}
	if join == nil {
		v.contract = newContract(t)
	} else {
		v.contract = join.contract
	}
	for _, sub := range []string{v.pluginDir, filepath.Join(dir, "raft")} {
		if err := os.Mkdir(sub, 0o755); err != nil {
			t.Fatalf("making the server's directories: %v", err)
		}
	}
	if ca != nil {
		v.scheme = "https"
		ca.writeServerCert(t, dir)
	}
	config, err := json.MarshalIndent(v.config(join), "", "  ")
	if err != nil {
		t.Fatalf("encoding the server's configuration: %v", err)
	}
	if err := os.WriteFile(v.configFile(), config, 0o600); err != nil {
		t.Fatalf("writing the server's configuration: %v", err)
	}
	if opts.PluginRace {
		t.Cleanup(v.checkRaces)
	}
	return v
}

func (v *Vault) configFile() string { return filepath.Join(v.dir, "vault.json") }

func (v *Vault) config(join *Vault) map[string]any {
	listener := map[string]any{
		"address":         fmt.Sprintf("127.0.0.1:%d", v.port),
		"cluster_address": fmt.Sprintf("127.0.0.1:%d", v.cluster),
		"tls_disable":     v.ca == nil,
	}
	if v.ca != nil {
		listener["tls_cert_file"] = filepath.Join(v.dir, serverCertFile)
		listener["tls_key_file"] = filepath.Join(v.dir, serverKeyFile)
	}
	config := map[string]any{
		"listener":         []any{map[string]any{"tcp": listener}},
		"api_addr":         v.Address(),
		"cluster_addr":     fmt.Sprintf("https://127.0.0.1:%d", v.cluster),
		"plugin_directory": v.pluginDir,
		"disable_mlock":    true,
		"log_level":        "trace",
		"storage":          map[string]any{"inmem": map[string]any{}},
	}
	if !v.opts.InMemory {
		raft := map[string]any{
			"path": filepath.Join(v.dir, "raft"), "node_id": v.node,
			"performance_multiplier": v.raftMultiplier,
			// New voters within a second, where the defaults take ten.
			"autopilot_reconcile_interval": "500ms", "autopilot_update_interval": "500ms",
		}
		if join != nil {
			retry := map[string]any{"leader_api_addr": join.Address()}
			if v.ca != nil {
				retry["leader_ca_cert_file"] = filepath.Join(v.dir, caFile)
			}
			raft["retry_join"] = []any{retry}
		}
		config["storage"] = map[string]any{"raft": raft}
	}
	if v.opts.OpenBao {
		// OpenBao enables audit devices by configuration alone, unless its configuration allows the API too.
		config["unsafe_allow_api_audit_creation"] = true
		delete(config, "disable_mlock")
	}
	maps.Copy(config, v.opts.Config)
	return config
}

// program is what runs the server.
func (v *Vault) program() string {
	if !v.opts.OpenBao {
		return VaultBinary(v.t)
	}
	path, found := OpenBaoBinary()
	if !found {
		v.t.Fatal("starting OpenBao: BAO_BIN names no program")
	}
	return path
}

func (v *Vault) start() {
	v.t.Helper()
	v.proc = startProcess(v.t, processSpec{
		name: filepath.Base(v.program()) + " server " + v.node,
		path: v.program(),
		args: []string{"server", "-config=" + v.configFile()},
		env: cleanEnv(v.dir, append([]string{"TMPDIR=" + shortTempDir(v.t), "VAULT_DISABLE_MLOCK=true"},
			v.opts.Env...)...),
		logPath: v.logFile(),
	})
	waitFor(v.t, "the server's API", func(ctx context.Context) error {
		_, err := v.Client().Sys().SealStatusWithContext(ctx)
		return err
	}, v.proc)
}

func (v *Vault) initialize() {
	v.t.Helper()
	init, err := v.Client().Sys().InitWithContext(v.t.Context(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		v.t.Fatalf("initializing Vault: %v", err)
	}
	v.rootToken, v.unsealKey = init.RootToken, init.KeysB64[0]
}

// Unseal unseals the server and returns before it is active.
func (v *Vault) Unseal() {
	v.t.Helper()
	// A node that has yet to join its cluster refuses the key for a moment, so it is offered again.
	waitFor(v.t, "unsealing", func(ctx context.Context) error {
		status, err := v.Client().Sys().UnsealWithContext(ctx, v.unsealKey)
		if err != nil {
			return err
		}
		if status.Sealed {
			return errors.New("still sealed")
		}
		return nil
	}, v.proc)
}

// Seal seals the server: it drops its keys from memory and ends its plugins.
func (v *Vault) Seal() {
	v.t.Helper()
	if err := v.Client().Sys().SealWithContext(v.t.Context()); err != nil {
		v.t.Fatalf("sealing Vault: %v", err)
	}
}

// waitActive waits until the server answers as the active node.
func (v *Vault) waitActive() {
	v.t.Helper()
	waitFor(v.t, "the server to be active", func(ctx context.Context) error {
		health, err := v.health(ctx)
		if err != nil {
			return err
		}
		if health != http.StatusOK {
			return fmt.Errorf("sys/health answers %d", health)
		}
		return nil
	}, v.proc)
}

// health is the status code of sys/health: 200 active, 429 standby, 503 sealed.
// https://developer.hashicorp.com/vault/api-docs/system/health
func (v *Vault) health(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Address()+"/v1/sys/health", nil)
	if err != nil {
		return 0, err
	}
	resp, err := v.httpClient().Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// Kill ends the server and its plugins at once, as a crash does; Restart brings it back.
func (v *Vault) Kill() {
	v.t.Helper()
	v.proc.kill(v.t)
}

// Restart ends the server in an orderly way if it still runs, starts it again on the same storage and addresses, and
// returns it unsealed and active. In a cluster use Cluster.Restart, which does not wait for this node to lead.
func (v *Vault) Restart() {
	v.t.Helper()
	v.restartSealed()
	v.Unseal()
	v.waitActive()
}

func (v *Vault) restartSealed() {
	v.t.Helper()
	if v.opts.InMemory {
		v.t.Fatal("restarting Vault: this server's storage is in memory and would be lost; use the default storage")
	}
	v.proc.stop(v.t)
	v.start()
}

// Running reports whether the server's process is alive.
func (v *Vault) Running() bool { return v.proc.running() }

// requestTimeout bounds one request of Vault.Client, sealed or hanging servers included.
const requestTimeout = 60 * time.Second
