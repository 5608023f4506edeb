package harness

import (
	"os"
	"path/filepath"
	"testing"
)

// Agent is a real `vault agent` or `vault proxy`.
type Agent struct {
	t    testing.TB
	proc *process
}

// StartAgent starts a vault agent with a configuration file that names the server itself; env is added to an
// environment that has none of Vault's or AWS's settings. Its working directory is the file's. It returns before the
// agent is ready: wait for what it renders or serves.
func StartAgent(t testing.TB, configFile string, env ...string) *Agent {
	t.Helper()
	return startAgent(t, "agent", configFile, env)
}

// StartProxy starts a vault proxy, otherwise as StartAgent.
func StartProxy(t testing.TB, configFile string, env ...string) *Agent {
	t.Helper()
	return startAgent(t, "proxy", configFile, env)
}

func startAgent(t testing.TB, command, configFile string, env []string) *Agent {
	t.Helper()
	home := t.TempDir()
	return &Agent{t: t, proc: startProcess(t, processSpec{
		name:    "vault " + command,
		path:    VaultBinary(t),
		args:    []string{command, "-config=" + configFile, "-log-level=trace"},
		env:     cleanEnv(home, env...),
		dir:     filepath.Dir(configFile),
		logPath: filepath.Join(home, command+".log"),
	})}
}

// Log is everything the agent has logged so far.
func (a *Agent) Log() string {
	a.t.Helper()
	text, err := os.ReadFile(a.proc.logPath)
	if err != nil {
		a.t.Fatalf("reading the agent's log: %v", err)
	}
	return string(text)
}

// Running reports whether the agent's process is alive.
func (a *Agent) Running() bool { return a.proc.running() }

// Stop ends the agent in an orderly way.
func (a *Agent) Stop() {
	a.t.Helper()
	a.proc.stop(a.t)
}

// Exited is closed once the agent has ended, by itself (exit_after_auth) or not.
func (a *Agent) Exited() <-chan struct{} { return a.proc.exited }
