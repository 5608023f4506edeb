package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// readyTimeout bounds every wait for a server. It is generous because several servers of several tests
	// start at once on a machine with two cores.
	readyTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
	pollEvery    = 50 * time.Millisecond
	logTailLines = 60
)

// process is one real program, started for one test and ended with it.
type process struct {
	name    string
	logPath string
	cmd     *exec.Cmd
	exited  chan struct{} // closed once the program has been waited for
}

type processSpec struct {
	name    string
	path    string
	args    []string
	env     []string
	dir     string // working directory; empty: the test's
	logPath string // appended to, so that one file holds the whole log of a restarted server
}

// startProcess starts a program that t's cleanup ends. When the test has failed by then, the end of the program's log
// is printed with it.
func startProcess(t testing.TB, spec processSpec) *process {
	t.Helper()
	log, err := os.OpenFile(spec.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatalf("opening the log of %s: %v", spec.name, err)
	}
	defer log.Close() // the child has its own descriptor

	p := &process{name: spec.name, logPath: spec.logPath, exited: make(chan struct{})}
	p.cmd = exec.Command(spec.path, spec.args...)
	p.cmd.Env, p.cmd.Dir = spec.env, spec.dir
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = childAttributes()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting %s (%s): %v", spec.name, spec.path, err)
	}
	go func() {
		defer close(p.exited)
		// How it ended is in cmd.ProcessState; most of these programs are killed on purpose.
		_ = p.cmd.Wait()
		// What is left of its group: a Vault that crashed leaves its plugins. An empty group answers ESRCH.
		_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	}()
	t.Cleanup(func() {
		p.kill(t)
		if t.Failed() {
			t.Logf("end of the log of %s (pid %d):\n%s", p.name, p.pid(), tail(p.logPath, logTailLines))
		}
	})
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill ends the program and everything it started (Vault's plugins, which outlive a killed Vault) without a warning.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.end(t, syscall.SIGKILL)
}

// stop asks the program to end and kills it when it has not within stopTimeout.
func (p *process) stop(t testing.TB) {
	t.Helper()
	p.end(t, syscall.SIGTERM)
}

func (p *process) end(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if !p.running() {
		return
	}
	target := p.pid()
	if sig == syscall.SIGKILL {
		target = -target
	}
	if err := syscall.Kill(target, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Errorf("sending %v to %s: %v", sig, p.name, err)
	}
	timeout := time.NewTimer(stopTimeout)
	defer timeout.Stop()
	select {
	case <-p.exited:
	case <-timeout.C:
		t.Errorf("%s did not end within %v of %v", p.name, stopTimeout, sig)
	}
}

// WaitFor polls until ready returns nil, and fails the test with ready's last error when it has not within 90 seconds.
func WaitFor(t testing.TB, what string, ready func(context.Context) error) {
	t.Helper()
	waitFor(t, what, ready)
}

// waitFor gives up at once when one of the programs that ready needs has ended.
func waitFor(t testing.TB, what string, ready func(context.Context) error, needs ...*process) {
	t.Helper()
	if err := poll(t.Context(), ready, needs...); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

var errEnded = errors.New("the program has ended")

func poll(ctx context.Context, ready func(context.Context) error, needs ...*process) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		for _, p := range needs {
			if !p.running() {
				return fmt.Errorf("%s: %w (%v): %w", p.name, errEnded, p.cmd.ProcessState, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w after %v: %w", ctx.Err(), readyTimeout, err)
		case <-tick.C:
		}
	}
}

// FreePort returns a loopback port that nothing listens on. It stays below the range from which systems take the
// ports of outgoing connections: a server that restarts would otherwise find its port taken by some client's
// connection.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 15000 + rand.IntN(17000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("finding a free loopback port: none of 100 tried between 15000 and 32000 is free")
	return 0
}

// shortTempDir returns a directory for Unix sockets, whose path may have only about 100 characters: t.TempDir contains
// the test's name and is too long.
func shortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3c")
	if err != nil {
		t.Fatalf("making a temporary directory: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// cleanEnv is the whole environment of a program under test: nothing of the developer's own Vault or AWS settings.
func cleanEnv(home string, extra ...string) []string {
	return append([]string{
		"HOME=" + home,
		"PATH=" + os.Getenv("PATH"),
		"TMPDIR=" + os.TempDir(),
	}, extra...)
}

// tail is the end of a log, or why it cannot be read: it is for a person, after a failure.
func tail(path string, lines int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimRight(text, "\n"), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// repoRoot is the root of the work tree: the directory above this module.
var repoRoot = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the acceptance module's directory with go list: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
})
