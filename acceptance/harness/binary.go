package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A test binary builds or finds each program once, however many tests start it.
var (
	vaultBinary  = sync.OnceValues(func() (string, error) { return serverBinary("vault", "VAULT_BIN") })
	minioBinary  = sync.OnceValues(func() (string, error) { return serverBinary("minio", "MINIO_BIN") })
	estBinary    = sync.OnceValues(func() (string, error) { return serverBinary("est", "EST_BIN") })
	stepCABinary = sync.OnceValues(func() (string, error) { return serverBinary("step-ca", "STEP_CA_BIN") })
)

func serverBinary(name, env string) (string, error) {
	if path := os.Getenv(env); path != "" {
		return filepath.Abs(path)
	}
	root, err := repoRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, "scripts", "build-server"), name)
	cmd.Stderr = os.Stderr // a build takes minutes: its progress belongs on the terminal
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("building %s with scripts/build-server: %w", name, err)
	}
	path := strings.TrimSpace(string(out))
	if path == "" {
		return "", fmt.Errorf("building %s with scripts/build-server: %w", name, errors.New("it printed no path"))
	}
	return path, nil
}

func mustBinary(t testing.TB, find func() (string, error)) string {
	t.Helper()
	path, err := find()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// VaultBinary is the path of the vault program that the harness runs.
func VaultBinary(t testing.TB) string {
	t.Helper()
	return mustBinary(t, vaultBinary)
}

// OpenBaoBinary is the path of the bao program in $BAO_BIN, if that is set. Nothing else is tried: OpenBao does not
// build from the Go module proxy, because its go.mod replaces modules by directories of its repository.
func OpenBaoBinary() (path string, found bool) {
	path = os.Getenv("BAO_BIN")
	return path, path != ""
}
