package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	pluginName = "vault-plugin-s3conn"

	buildTimeout   = 10 * time.Minute // with nothing in Go's build cache
	readyTimeout   = 30 * time.Second
	stopTimeout    = 10 * time.Second
	commandTimeout = 30 * time.Second
	loggedAtFault  = 20 // lines of Vault's log that a failure shows
)

// vault is a real Vault server in development mode: in memory, unsealed, on a loopback port.
type vault struct {
	bin       string
	dir       string // where commands run, and the HOME of server and commands
	pluginDir string
	address   string
	token     string

	server *exec.Cmd
	exited chan struct{} // closed when the server has ended
}

// buildPlugin builds the plugin from the work tree around the demo's directory.
func buildPlugin(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", target, "./cmd/"+pluginName)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the plugin (the demo runs in scripts/demo): %w\n%s", err, out)
	}
	return nil
}

// startVault starts the program bin with its data below dir and returns once the server answers. The caller stops it,
// also after an error.
func startVault(ctx context.Context, bin, dir, pluginDir string) (*vault, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	v := &vault{
		bin: bin, dir: dir, pluginDir: pluginDir,
		address: "http://" + port,
		// Other users of the machine reach loopback too, so the token is not the customary "root".
		token:  "demo-" + rand.Text(),
		exited: make(chan struct{}),
	}
	// The setting and not -dev-plugin-dir, which would register the plugin before the demo shows how that is done.
	config := filepath.Join(dir, "vault.hcl")
	if err := os.WriteFile(config, fmt.Appendf(nil, "plugin_directory = %q\n", pluginDir), 0o600); err != nil {
		return nil, fmt.Errorf("writing Vault's configuration: %w", err)
	}
	log, err := os.Create(v.logFile())
	if err != nil {
		return nil, fmt.Errorf("creating Vault's log: %w", err)
	}
	defer log.Close() // the server has its own
	v.server = exec.Command(bin, "server", "-dev", "-dev-no-store-token", "-config="+config,
		"-dev-listen-address="+port)
	v.server.Dir, v.server.Stdout, v.server.Stderr = dir, log, log
	v.server.Env = append(v.environment(), "VAULT_DEV_ROOT_TOKEN_ID="+v.token)
	if err := v.server.Start(); err != nil {
		return nil, fmt.Errorf("starting Vault: %w", err)
	}
	go func() {
		v.server.Wait() // its status is in the log
		close(v.exited)
	}()
	return v, v.waitReady(ctx)
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port for Vault: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

// environment holds nothing of the user's own Vault and AWS settings, which would steer the commands elsewhere.
func (v *vault) environment() []string {
	env := []string{"HOME=" + v.dir, "VAULT_ADDR=" + v.address, "VAULT_TOKEN=" + v.token}
	for _, name := range []string{"PATH", "TMPDIR", "SYSTEMROOT"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

var errVaultEnded = errors.New("vault ended by itself")

// waitReady asks for the token and not for the server's health: a development server is unsealed before it makes its
// token.
func (v *vault) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("it did not answer within %s", readyTimeout))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.address+"/v1/auth/token/lookup-self", nil)
	if err != nil {
		return fmt.Errorf("asking whether Vault is ready: %w", err)
	}
	request.Header.Set("X-Vault-Token", v.token)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-poll.C:
		case <-v.exited:
			return fmt.Errorf("starting Vault: %w", errVaultEnded)
		case <-ctx.Done():
			return fmt.Errorf("waiting for Vault: %w", context.Cause(ctx))
		}
	}
}

// run runs the vault command with args and returns what it printed, also where it failed.
func (v *vault) run(ctx context.Context, args ...string) (string, error) {
	return runCommand(ctx, v.dir, v.environment(), v.bin, args...)
}

func runCommand(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandTimeout, fmt.Errorf("it took more than %s", commandTimeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	cmd.WaitDelay = time.Second // for a grandchild that keeps the output open
	out, err := cmd.CombinedOutput()
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return string(out), err
}

// stop ends the server as an operator would, which ends the plugin too, and ends it by force where that takes too long.
func (v *vault) stop() {
	if v == nil {
		return
	}
	v.server.Process.Signal(os.Interrupt) // one that has ended needs none
	select {
	case <-v.exited:
	case <-time.After(stopTimeout):
		v.server.Process.Kill()
		<-v.exited
	}
}

func (v *vault) logFile() string { return filepath.Join(v.dir, "vault.log") }

// logTail returns the end of Vault's log, or why there is none.
func (v *vault) logTail() string {
	log, err := os.ReadFile(v.logFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-loggedAtFault):], "\n")
}
