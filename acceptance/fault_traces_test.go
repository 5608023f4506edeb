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
		if len(columns) > inode && own[columns[inode]] && strings.HasSuffix(columns[remote], fmt.Sprintf(":%04X", number)) {
			count++
		}
	}
	return count, nil
}

var (
	goroutineHeader = regexp.MustCompile(`goroutine \d+ .*\[`)
	// ofACall are functions that run only while a call to a service is under way or its connection is open.
	ofACall = regexp.MustCompile(`liveConnection\)\.fly|vault-plugin-s3conn/rolesanywhere\.|net/http\.\(\*(persistConn|Transport)|http2(Transport|ClientConn|clientConn)|service/s3\.`)
)

// dumpGoroutines ends the plugin with SIGQUIT, at which a Go program prints all its goroutines; Vault logs what a plugin
// prints, and starts another one for the next request. It returns the number of goroutines and those of upstream calls.
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
		if !strings.Contains(vault.ServerLog()[before:], "rflags") && !strings.Contains(vault.ServerLog()[before:], "fault ") {
			return fmt.Errorf("process %d has ended and its goroutines are not all in the log", pid)
		}
		return nil
	})
	for _, one := range goroutineHeader.Split(vault.ServerLog()[before:], -1)[1:] {
		all++
		if ofACall.MatchString(one) {
			calling = append(calling, one)
		}
	}
	return all, calling
}

// assertNoConnections waits a little: the kernel closes in its own time.
func assertNoConnections(t *testing.T, what string, pid int, address string) {
	t.Helper()
	var left int
	var err error
	if !eventually(t.Context(), 5*time.Second, func() bool {
		left, err = connectionsTo(pid, address)
		return err == nil && left == 0
	}) {
		t.Errorf("%s: the plugin keeps %d connections to the service (%v), want none", what, left, err)
	}
}
