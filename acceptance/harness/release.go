package harness

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/vault/api"
)

// BuildRelease builds the plugin as it was at a commit of the repository's history. found is false where the clone has
// no such commit, because it is shallow or no clone at all.
func BuildRelease(t testing.TB, commit string) (program string, found bool) {
	t.Helper()
	root, err := repoRoot()
	if err != nil {
		t.Fatal(err)
	}
	if exec.CommandContext(t.Context(), "git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run() != nil {
		return "", false
	}
	dir := t.TempDir()
	archive := filepath.Join(dir, "source.tar")
	program = filepath.Join(dir, PluginCommand)
	for _, args := range [][]string{
		{"git", "-C", root, "archive", "--output", archive, commit},
		{"tar", "-x", "-f", archive, "-C", dir},
		{"go", "-C", dir, "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/" + PluginCommand},
	} {
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("building the plugin of commit %s with %v: %v\n%s", commit, args, err, out)
		}
	}
	return program, true
}

// BuildFIPS builds the work tree's plugin with a version of Go's cryptographic module for FIPS 140-3.
// https://go.dev/doc/security/fips140
func BuildFIPS(t testing.TB, module string) (program string) {
	t.Helper()
	root, err := repoRoot()
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(t.TempDir(), PluginCommand)
	cmd := exec.CommandContext(t.Context(), "go", "-C", root, "build", "-trimpath", "-o", program,
		"./cmd/"+PluginCommand)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFIPS140="+module)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the plugin with GOFIPS140=%s: %v\n%s", module, err, out)
	}
	return program
}

// WorkTreePlugin is the path of the plugin that the work tree makes.
func WorkTreePlugin(t testing.TB) string {
	t.Helper()
	return mustBinary(t, plainPlugin)
}

// RegisterVersion installs a program beside the others and registers it under name with its version, as an operator
// does for an upgrade. env is added to the plugin's environment, such as "A=b".
func (v *Vault) RegisterVersion(name, program, version string, env ...string) {
	v.t.Helper()
	command := name + "_" + version
	target := filepath.Join(v.pluginDir, command)
	if err := copyFile(program, target, 0o755); err != nil {
		v.t.Fatalf("installing %s: %v", command, err)
	}
	content, err := os.ReadFile(target)
	if err != nil {
		v.t.Fatalf("reading %s: %v", command, err)
	}
	sum := sha256.Sum256(content)
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	err = v.Client().Sys().RegisterPluginWithContext(ctx, &api.RegisterPluginInput{
		Name: name, Type: api.PluginTypeSecrets, Command: command, SHA256: hex.EncodeToString(sum[:]), Version: version,
		Env: env,
	})
	if err != nil {
		v.t.Fatalf("registering %s: %v", command, err)
	}
}

// MountVersion enables one version of the registered plugin at path. Its responses are not validated.
func (v *Vault) MountVersion(path, plugin, version string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	err := v.Client().Sys().MountWithContext(ctx, path, &api.MountInput{
		Type: plugin, Config: api.MountConfigInput{PluginVersion: version},
	})
	if err != nil {
		v.t.Fatalf("mounting %s %s at %s: %v", plugin, version, path, err)
	}
}

// RunVersion has the mount run another registered version from the next reload on.
func (v *Vault) RunVersion(path, version string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.t.Context(), readyTimeout)
	defer cancel()
	tuned := api.TuneMountConfigInput{PluginVersion: &version}
	if err := v.Client().Sys().TuneMountAllowNilWithContext(ctx, path, tuned); err != nil {
		v.t.Fatalf("tuning %s to %s: %v", path, version, err)
	}
}

// RunningVersion is the version of the plugin that the mount runs.
func (v *Vault) RunningVersion(path string) (string, error) {
	mount, err := v.Client().Sys().GetMountWithContext(v.t.Context(), path)
	if err != nil {
		return "", fmt.Errorf("reading the mount at %s: %w", path, err)
	}
	return mount.RunningVersion, nil
}
