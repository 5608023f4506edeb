package acceptance

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// pluginPID is the one process of the plugin.
func pluginPID(t *testing.T, vault *harness.Vault) int {
	t.Helper()
	pids := vault.PluginPIDs()
	if len(pids) != 1 {
		t.Fatalf("the plugin has the processes %v, want one", pids)
	}
	return pids[0]
}

// openFiles counts a process's file descriptors; threads are its threads in the kernel.
func openFiles(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)) // a process that has ended has none
	return len(entries)
}

func threads(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(entries)
}

// connectionsTo counts a process's TCP connections to a loopback address, by proc(5): /proc/PID/fd names the sockets'
// inodes, /proc/PID/net/tcp their peers.
func connectionsTo(pid int, address string) (int, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	own := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		return 0, fmt.Errorf("reading the file descriptors of process %d: %w", pid, os.ErrNotExist)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target[len("socket:"):], "[]")] = true
		}
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return 0, err
	}
	const remote, inode = 2, 9 // columns
	count := 0
	for line := range strings.Lines(string(table)) {
		columns := strings.Fields(line)
		if len(columns) > inode && own[columns[inode]] &&
			strings.HasSuffix(columns[remote], fmt.Sprintf(":%04X", number)) {
			count++
		}
	}
	return count, nil
}

var (
	goroutineHeader = regexp.MustCompile(`goroutine \d+ .*\[`)
	// ofACall are functions that run only while a request or a call to a service is under way, or its connection is
	// open: those of the plugin itself but for theScheduler, and net/http's. theScheduler waits for the time of a
	// mount's next job. It is what an idle plugin of an active node keeps.
	theScheduler = regexp.MustCompile(`/internal/schedule\.\(\*Scheduler\)\.(loop|Start)\b`)
	ofACall      = regexp.MustCompile(`github\.com/s3conn/vault-plugin-s3conn(/rolesanywhere|/internal/\w+)?\.|` +
		`net/http\.\(\*(persistConn|Transport)|http2(Transport|ClientConn|clientConn)`)
)

// dumpGoroutines ends the plugin with SIGQUIT, at which a Go program prints all its goroutines; Vault logs what a
// plugin prints, and starts another one for the next request. It returns the number of goroutines and those of
// upstream calls.
func dumpGoroutines(t *testing.T, vault *harness.Vault) (all int, calling []string) {
	t.Helper()
	pid := pluginPID(t, vault)
	before := len(vault.ServerLog())
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatalf("sending SIGQUIT to the plugin: %v", err)
	}
	harness.WaitFor(t, "the goroutines in the server's log", func(context.Context) error {
		if harness.ProcessRuns(pid) {
			return fmt.Errorf("process %d still runs", pid)
		}
		// The registers are printed last.
		if !strings.Contains(vault.ServerLog()[before:], "rflags") &&
			!strings.Contains(vault.ServerLog()[before:], "fault ") {
			return fmt.Errorf("process %d has ended and its goroutines are not all in the log", pid)
		}
		return nil
	})
	return countCalling(vault.ServerLog()[before:])
}

func countCalling(dump string) (all int, calling []string) {
	for _, one := range goroutineHeader.Split(dump, -1)[1:] {
		all++
		if ofACall.MatchString(one) && !theScheduler.MatchString(one) {
			calling = append(calling, one)
		}
	}
	return all, calling
}

func TestCountGoroutines_KnowsThoseOfACall(t *testing.T) {
	t.Parallel()
	const line = "2026-11-23T14:10:30.424Z [DEBUG] " +
		"secrets.vault-plugin-s3conn.vault-plugin-s3conn_051224f1.vault-plugin-s3conn: "
	dump := func(stack ...string) string {
		return line + "goroutine 7 gp=0xc0002e2000 m=nil [select]:\n" + line + strings.Join(stack, "\n"+line) + "\n"
	}
	for name, stack := range map[string][]string{
		"main": {"main.main()", "\tgithub.com/s3conn/vault-plugin-s3conn/cmd/vault-plugin-s3conn/main.go:30 " +
			"+0x1d"},
		"Vault's gRPC": {"google.golang.org/grpc/internal/transport.(*http2Server).keepalive(0xc000045a50)",
			"created by google.golang.org/grpc/internal/transport.NewServerTransport in goroutine 51"},
		"the scheduler": {"github.com/s3conn/vault-plugin-s3conn/internal/schedule.(*Scheduler).loop(0xc000045a50)",
			"created by github.com/s3conn/vault-plugin-s3conn/internal/schedule.(*Scheduler).Start in goroutine 34"},
		"a listener": {"net.(*TCPListener).Accept(0xc000045a50)", "net/http.(*Server).Serve(0xc000045a50, {0x1, 0x2})"},
	} {
		if all, calling := countCalling(dump(stack...)); all != 1 || len(calling) != 0 {
			t.Errorf("%s: %d goroutines, of a call: %q", name, all, calling)
		}
	}
	for name, stack := range map[string][]string{
		"a reader": {"github.com/s3conn/vault-plugin-s3conn/internal/session.(*Pool[...]).Get(0xc000045a50, " +
			"{0x1, 0x2})"},
		"a flight": {"github.com/s3conn/vault-plugin-s3conn/internal/session.(*entry[...]).fly(0xc000045a50)",
			"created by github.com/s3conn/vault-plugin-s3conn/internal/session.(*entry[...]).begin in goroutine 34"},
		"one just begun": {"runtime.goexit({})", "created by " +
			"github.com/s3conn/vault-plugin-s3conn/internal/session.(*entry[...]).begin in goroutine 34"},
		"CreateSession": {"github.com/s3conn/vault-plugin-s3conn/rolesanywhere.(*Client).CreateSession(...)"},
		"a test":        {"github.com/s3conn/vault-plugin-s3conn.(*backend).probe(0xc000045a50, {0x1, 0x2})"},
		"ListBuckets":   {"github.com/s3conn/vault-plugin-s3conn.listBuckets({0x1, 0x2}, 0xc000045a50)"},
		"a list's load": {"github.com/s3conn/vault-plugin-s3conn.(*backend).listConnections.func1()",
			"created by golang.org/x/sync/errgroup.(*Group).Go in goroutine 34"},
		"a job": {"github.com/s3conn/vault-plugin-s3conn.(*backend).runJob(0xc000045a50)",
			"created by github.com/s3conn/vault-plugin-s3conn/internal/schedule.(*Scheduler).begin in goroutine 34"},
		"a connection": {"net/http.(*persistConn).readLoop(0xc000045a50)",
			"created by net/http.(*Transport).dialConn in goroutine 29"},
		"one over HTTP/2": {"net/http.(*http2clientConnReadLoop).run(0xc000045a50)",
			"net/http.(*http2ClientConn).readLoop(0xc000045a50)"},
	} {
		if all, calling := countCalling(dump("runtime.gopark(0xc000045a50)") + dump(stack...)); all != 2 ||
			len(calling) != 1 {
			t.Errorf("%s: %d goroutines, of a call: %q", name, all, calling)
		}
	}
}

// assertNoConnections waits a little: the kernel closes in its own time.
func assertNoConnections(t *testing.T, what string, pid int, address string) {
	t.Helper()
	var left int
	var err error
	if !eventually(t.Context(), 30*time.Second, func() bool {
		left, err = connectionsTo(pid, address)
		return err == nil && left == 0
	}) {
		t.Errorf("%s: the plugin keeps %d connections to the service (%v), want none", what, left, err)
	}
}
