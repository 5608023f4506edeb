package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// sdkClient is a program that lists buckets with an unmodified AWS SDK's default credentials.
type sdkClient struct {
	name    string
	command []string
	// trust is how the SDK learns of a private CA for the credentials endpoint itself, for which none asks
	// AWS_CA_BUNDLE.
	trust func(t *testing.T, caFile string) []string
	// once: the program makes one call and ends, and is run again and again.
	once bool
}

// sdkClients returns the clients that this machine has. The Go and JavaScript ones are installed from their registries;
// where node, the AWS CLI or boto3 is missing, that is said loudly.
func sdkClients(t *testing.T) []sdkClient {
	t.Helper()
	clients := []sdkClient{
		{name: "aws-sdk-go-v2", command: []string{goClient(t)},
			trust: func(_ *testing.T, ca string) []string { return []string{"SSL_CERT_FILE=" + ca} }},
	}
	node, err := exec.LookPath("node")
	if err == nil {
		_, err = exec.LookPath("npm")
	}
	if err == nil {
		clients = append(clients, sdkClient{name: "JavaScript SDK v3", command: []string{node, javaScriptClient(t)},
			trust: func(_ *testing.T, ca string) []string { return []string{"NODE_EXTRA_CA_CERTS=" + ca} }})
	} else {
		t.Logf("!!! the JavaScript SDK is NOT TESTED: this machine lacks node or npm (%v) !!!", err)
	}
	python, err := python3With("boto3")
	if err == nil {
		clients = append(clients, sdkClient{name: "boto3",
			command: []string{python, absolute(t, "clients/boto3/list_buckets.py")}, trust: certifi})
	} else {
		t.Logf("!!! boto3 is NOT TESTED: this machine has no python3 that imports it (%v) !!!", err)
	}
	cli, err := awsCLI(python)
	if err == nil {
		clients = append(clients, sdkClient{name: "AWS CLI",
			command: []string{cli, "s3api", "list-buckets", "--query", "Buckets[].Name", "--output", "text"},
			trust:   certifi, once: true})
	} else {
		t.Logf("!!! the AWS CLI is NOT TESTED: this machine has none that runs (%v) !!!", err)
	}
	return clients
}

// python3With returns the python3 that imports the modules: the program itself, and not the script of a version manager
// that starts it, which takes longer than most of what the tests have it do.
func python3With(modules string) (string, error) {
	said, err := exec.Command("python3", "-c", "import sys, "+modules+"; print(sys.executable)").Output()
	return strings.TrimSpace(string(said)), err
}

// awsCLI returns the AWS CLI that runs: that beside the python, for the same reason, or the one on the PATH.
func awsCLI(python string) (string, error) {
	cli, err := exec.LookPath(filepath.Join(filepath.Dir(python), "aws"))
	if err != nil {
		cli, err = exec.LookPath("aws")
	}
	if err == nil {
		err = exec.Command(cli, "--version").Run()
	}
	return cli, err
}

// certifi stands for a machine whose certifi bundle holds the private CA, as Linux distributions' packages of certifi
// give the system's: botocore asks a credentials endpoint with that bundle alone.
func certifi(t *testing.T, caFile string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certifi"), 0o700); err != nil {
		t.Fatal(err)
	}
	module := fmt.Sprintf("def where():\n    return %q\n", caFile)
	if err := os.WriteFile(filepath.Join(dir, "certifi", "__init__.py"), []byte(module), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHONPATH=" + dir}
}

var buildGoClient = sync.OnceValues(func() (string, error) {
	program, err := filepath.Abs("../bin/acceptance/list-buckets")
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("go", "build", "-o", program, "./clients/go").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building clients/go: %w\n%s", err, out)
	}
	return program, nil
})

func goClient(t *testing.T) string {
	t.Helper()
	program, err := buildGoClient()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// installJavaScriptClient installs into bin/, so that the work tree stays as it is.
var installJavaScriptClient = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("../bin/acceptance/javascript")
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	if err := os.CopyFS(dir, os.DirFS("clients/javascript")); err != nil {
		return "", err
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing clients/javascript with npm ci: %w\n%s", err, out)
	}
	return filepath.Join(dir, "list-buckets.mjs"), nil
})

func javaScriptClient(t *testing.T) string {
	t.Helper()
	program, err := installJavaScriptClient()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

// run starts the client once with nothing of the machine's AWS or Vault settings, and returns what it printed.
func (c sdkClient) run(t *testing.T, env []string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], c.command[1:]...)
	home := t.TempDir()
	cmd.Dir = home
	cmd.Env = append([]string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// listAcrossChange lists buckets through at least one change of the session without one failed call, and returns how
// many different sessions the client, or the service, saw. granted counts those that the service has granted.
func (c sdkClient) listAcrossChange(t *testing.T, granted func() int, env []string) int {
	t.Helper()
	if !c.once {
		stdout, stderr, err := c.run(t, append(env, "CHANGES=1"))
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if err != nil || len(lines) < 2 {
			t.Fatalf("%v\nstdout: %s\nstderr: %s", err, stdout, stderr)
		}
		for _, line := range lines {
			if !strings.HasSuffix(line, " "+bucketName) {
				t.Errorf("a call returned %q, want the bucket", line)
			}
		}
		return len(lines)
	}
	before := granted()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		stdout, stderr, err := c.run(t, env)
		if err != nil || strings.TrimSpace(stdout) != bucketName {
			t.Fatalf("%v\nstdout: %s\nstderr: %s", err, stdout, stderr)
		}
		if seen := granted() - before + 1; seen > 2 {
			return seen // the second new session was obtained while the first was in use
		}
		if time.Now().After(deadline) {
			t.Fatal("no session change within the time")
		}
		waitUntil(t.Context(), time.Now().Add(betweenStarts))
	}
}

// betweenStarts is what a client that is started anew for every call leaves to the other tests.
const betweenStarts = 500 * time.Millisecond

// vaultOnPath puts the vault program under that name on a PATH of its own.
func vaultOnPath(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(harness.VaultBinary(t), filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}
