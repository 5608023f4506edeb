package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	readyTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
	openPoll     = 50 * time.Millisecond
)

// server is one real Vault.
type server struct {
	address   string // host:port
	token     string
	crowd     []string // tokens of entities, one of each
	unsealKey string
	dir       string
	cmd       *exec.Cmd
	exited    chan struct{}
	client    *api.Client
}

// startVault returns a Vault that is unsealed and active, with plugins from the directory. The caller stops it, also
// after an error.
func startVault(ctx context.Context, program, dir, plugins, storage string) (*server, error) {
	s := &server{dir: dir, exited: make(chan struct{})}
	var addresses [2]string
	for i := range addresses {
		address, err := freeAddress()
		if err != nil {
			return s, err
		}
		addresses[i] = address
	}
	s.address = addresses[0]
	if err := s.writeConfig(plugins, storage, addresses[1]); err != nil {
		return s, err
	}
	log, err := os.Create(s.logFile())
	if err != nil {
		return s, fmt.Errorf("creating Vault's log: %w", err)
	}
	defer log.Close() // the server has its own
	s.cmd = exec.Command(program, "server", "-config="+s.configFile())
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// Nothing of the user's own Vault and AWS settings, which plugins inherit.
	s.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	if err := s.cmd.Start(); err != nil {
		return s, fmt.Errorf("starting Vault: %w", err)
	}
	go func() {
		s.cmd.Wait() // how it ended is in its log
		close(s.exited)
	}()
	config := api.DefaultConfig()
	config.Address, config.Timeout = "http://"+s.address, revokeTimeout
	if s.client, err = api.NewClient(config); err != nil {
		return s, fmt.Errorf("making a client of Vault: %w", err)
	}
	// NewClient takes these from the environment whatever the configuration says.
	s.client.ClearNamespace()
	s.client.ClearToken()
	return s, s.open(ctx)
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func (s *server) configFile() string { return filepath.Join(s.dir, "vault.json") }
func (s *server) logFile() string    { return filepath.Join(s.dir, "vault.log") }

// writeConfig keeps Vault's own defaults, but for a log that a person can read after a failure.
func (s *server) writeConfig(plugins, storage, cluster string) error {
	stores := map[string]any{
		"inmem": map[string]any{},
		"raft":  map[string]any{"path": filepath.Join(s.dir, "raft"), "node_id": "node0", "performance_multiplier": 1},
	}
	if stores[storage] == nil {
		return fmt.Errorf("starting Vault with storage %q: it has to be inmem or raft", storage)
	}
	if err := os.Mkdir(filepath.Join(s.dir, "raft"), 0o700); err != nil {
		return fmt.Errorf("making Vault's storage: %w", err)
	}
	config, err := json.Marshal(map[string]any{
		"listener": []any{map[string]any{"tcp": map[string]any{
			"address": s.address, "cluster_address": cluster, "tls_disable": true}}},
		"api_addr": "http://" + s.address, "cluster_addr": "https://" + cluster,
		"plugin_directory": plugins, "disable_mlock": true, "log_level": "warn",
		"storage": map[string]any{storage: stores[storage]},
	})
	if err != nil {
		return fmt.Errorf("encoding Vault's configuration: %w", err)
	}
	if err := os.WriteFile(s.configFile(), config, 0o600); err != nil {
		return fmt.Errorf("writing Vault's configuration: %w", err)
	}
	return nil
}

var errVaultEnded = errors.New("vault ended by itself")

// open initializes and unseals the server and waits until it is active.
func (s *server) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyTimeout, fmt.Errorf("it was not ready within %s", readyTimeout))
	defer cancel()
	var keys *api.InitResponse
	sys := s.client.Sys()
	return s.until(ctx, openPoll, func() (err error) {
		if keys == nil {
			if keys, err = sys.InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1}); err != nil {
				return err
			}
			s.token, s.unsealKey = keys.RootToken, keys.KeysB64[0]
			s.client.SetToken(s.token)
		}
		if status, err := sys.SealStatusWithContext(ctx); err != nil {
			return err
		} else if status.Sealed {
			if _, err := sys.UnsealWithContext(ctx, s.unsealKey); err != nil {
				return err
			}
		}
		_, err = s.client.Auth().Token().LookupSelfWithContext(ctx)
		return err
	})
}

// until polls until ready returns nil; it ends with ready's last error.
func (s *server) until(ctx context.Context, every time.Duration, ready func() error) error {
	poll := time.NewTicker(every)
	defer poll.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-s.exited:
			return fmt.Errorf("starting Vault: %w; its log is %s", errVaultEnded, s.logFile())
		case <-ctx.Done():
			return fmt.Errorf("waiting for Vault: %w: %w", context.Cause(ctx), err)
		}
	}
}

// stop ends the server, and with it its plugins.
func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(os.Interrupt) // one that has ended needs none
	select {
	case <-s.exited:
	case <-time.After(stopTimeout):
		s.cmd.Process.Kill()
		<-s.exited
	}
}
