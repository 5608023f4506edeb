package harness

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// CLI runs the real vault command line against a server with its root token, as an operator would, and returns what it
// printed and its exit code. Its environment holds nothing else of Vault's.
func CLI(t testing.TB, v *Vault, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, VaultBinary(t), args...)
	cmd.Env = v.clientEnv(t.TempDir())
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := new(exec.ExitError); ctx.Err() != nil || (err != nil && !errors.As(err, &exit)) {
		t.Fatalf("running vault %q: %v %v", args, err, ctx.Err())
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

// Shell runs a bash script in dir as an operator would, with the vault program on its PATH, and stops it at the first
// command that fails. It returns what the script printed, both ways.
func Shell(t testing.TB, v *Vault, dir, script string, env ...string) (string, error) {
	t.Helper()
	programs := t.TempDir()
	if err := os.Symlink(VaultBinary(t), filepath.Join(programs, "vault")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir = dir
	path := "PATH=" + programs + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = append(v.clientEnv(t.TempDir(), path), env...)
	output, err := cmd.CombinedOutput()
	return string(output), err
}

// clientEnv is the environment in which vault's own programs find the server.
func (v *Vault) clientEnv(home string, extra ...string) []string {
	env := cleanEnv(home, "VAULT_ADDR="+v.Address(), "VAULT_TOKEN="+v.rootToken)
	if v.ca != nil {
		env = append(env, "VAULT_CACERT="+v.CAFile())
	}
	return append(env, extra...)
}
