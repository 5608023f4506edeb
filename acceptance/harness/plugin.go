package harness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/vault/api"
)

// PluginCommand is the name of the plugin's program in every server's plugin_directory.
const PluginCommand = "vault-plugin-s3conn"

// Plugin is one registration in Vault's catalog.
type Plugin struct {
	Name    string
	SHA256  string // of the program, in hex
	Version string // as the plugin reports it, with the v
}

var (
	plainPlugin = sync.OnceValues(func() (string, error) { return buildPlugin(false) })
	racePlugin  = sync.OnceValues(func() (string, error) { return buildPlugin(true) })
)

// buildPlugin builds the work tree's plugin into bin/acceptance, which git ignores, or takes $S3CONN_PLUGIN_BIN.
func buildPlugin(race bool) (string, error) {
	if path := os.Getenv("S3CONN_PLUGIN_BIN"); path != "" {
		return filepath.Abs(path)
	}
	root, err := repoRoot()
	if err != nil {
		return "", err
	}
	dir, name, cgo := filepath.Join(root, "bin", "acceptance"), PluginCommand, "CGO_ENABLED=0"
	args := []string{"build", "-trimpath"}
	if race {
		name, cgo, args = name+"-race", "CGO_ENABLED=1", append(args, "-race")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the plugin's build directory: %w", err)
	}
	// Test binaries run side by side: each builds to a name of its own and renames it, so that none reads half a file.
	tmp := filepath.Join(dir, fmt.Sprintf(".%s.%d", name, os.Getpid()))
	defer os.Remove(tmp)
	cmd := exec.Command("go", append(args, "-o", tmp, "./cmd/"+PluginCommand)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the plugin with %s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	path := filepath.Join(dir, name)
	return path, os.Rename(tmp, path)
}

// InstallPlugin puts the plugin into the server's plugin_directory, to be registered by the test itself, and returns
// the program's path.
func (v *Vault) InstallPlugin() string { return v.installPlugin() }

// installPlugin puts the plugin into the server's plugin_directory, building it the first time.
func (v *Vault) installPlugin() string {
	v.t.Helper()
	find := plainPlugin
	if v.opts.PluginRace && haveCompiler() {
		find = racePlugin
	}
	target := filepath.Join(v.pluginDir, PluginCommand)
	if _, err := os.Stat(target); err == nil {
		return target
	}
	if err := copyFile(mustBinary(v.t, find), target, 0o755); err != nil {
		v.t.Fatalf("installing the plugin: %v", err)
	}
	return target
}

// haveCompiler reports whether the race detector, which needs cgo, can be built; scripts/test says loudly when it
// cannot.
func haveCompiler() bool {
	cc, err := exec.Command("go", "env", "CC").Output()
	if err != nil {
		return false
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(cc)), " ")
	_, err = exec.LookPath(name)
	return err == nil
}

// copyFile links where it can: Vault refuses a symbolic link that leaves plugin_directory, and a copy per server is
// slow.
func copyFile(from, to string, mode os.FileMode) error {
	if err := os.Link(from, to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// RegisterPlugin builds the plugin, installs it and registers it as a secrets engine under name, with the version
// that it reports of itself.
func (v *Vault) RegisterPlugin(name string) Plugin {
	v.t.Helper()
	program, err := os.ReadFile(v.installPlugin())
	if err != nil {
		v.t.Fatalf("reading the plugin: %v", err)
	}
	sum := sha256.Sum256(program)
	plugin := Plugin{Name: name, SHA256: hex.EncodeToString(sum[:])}
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	sys := v.Client().Sys()
	err = sys.RegisterPluginWithContext(ctx, &api.RegisterPluginInput{
		Name: name, Type: api.PluginTypeSecrets, Command: PluginCommand, SHA256: plugin.SHA256,
	})
	if err != nil {
		v.t.Fatalf("registering the plugin as %s: %v", name, err)
	}
	list, err := sys.ListPluginsWithContext(ctx, &api.ListPluginsInput{Type: api.PluginTypeSecrets})
	if err != nil {
		v.t.Fatalf("listing the plugins: %v", err)
	}
	for _, d := range list.Details {
		if d.Name == name {
			plugin.Version = d.Version
		}
	}
	return plugin
}

// Mount enables the registered plugin at path, and has its responses validated against its OpenAPI document.
func (v *Vault) Mount(path, plugin string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	if err := v.Client().Sys().MountWithContext(ctx, path, &api.MountInput{Type: plugin}); err != nil {
		v.t.Fatalf("mounting %s at %s: %v", plugin, path, err)
	}
	if err := v.contract.add(ctx, v, path); err != nil {
		v.t.Fatalf("asking the mount at %s for its OpenAPI document: %v", path, err)
	}
}

// ReloadPlugin has Vault end the plugin's processes and start them afresh, as an operator does after an upgrade.
func (v *Vault) ReloadPlugin(name string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	_, err := v.Client().Sys().ReloadPluginWithContext(ctx, &api.ReloadPluginInput{Plugin: name})
	if err != nil {
		v.t.Fatalf("reloading plugin %s: %v", name, err)
	}
}
