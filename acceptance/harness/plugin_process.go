package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// PluginPIDs are the processes of the plugin that this server has started, found in /proc: Linux only.
func (v *Vault) PluginPIDs() []int {
	v.t.Helper()
	pids, err := childrenRunning(v.proc.pid(), PluginCommand)
	if err != nil {
		v.t.Fatalf("finding the plugin's processes: %v", err)
	}
	return pids
}

// KillPlugin kills the plugin's processes as a crash does, and returns once they have ended.
func (v *Vault) KillPlugin() {
	v.t.Helper()
	for _, pid := range v.PluginPIDs() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			v.t.Fatalf("killing the plugin's process %d: %v", pid, err)
		}
		WaitFor(v.t, "the plugin's process to end", func(context.Context) error {
			if ProcessRuns(pid) {
				return fmt.Errorf("process %d still runs", pid)
			}
			return nil
		})
	}
}

// PluginPeakMemory is the most memory that the plugin's process has ever held, in bytes: VmHWM of proc_pid_status(5).
// Linux only.
func (v *Vault) PluginPeakMemory() int64 {
	v.t.Helper()
	pids := v.PluginPIDs()
	if len(pids) != 1 {
		v.t.Fatalf("the server has %d processes of the plugin, want 1", len(pids))
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pids[0]))
	if err != nil {
		v.t.Fatalf("reading the plugin's memory: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				v.t.Fatalf("reading the plugin's memory: %v", err)
			}
			return kib << 10
		}
	}
	v.t.Fatal("reading the plugin's memory: /proc says nothing of VmHWM")
	return 0
}

// ProcessRuns reports whether a process exists and is no zombie: an orphan is reaped by init in init's own time. Linux
// only.
func ProcessRuns(pid int) bool {
	stat, err := readStat(pid)
	return err == nil && stat.state != "Z"
}

// childrenRunning finds the children of a process that run the program of that name.
func childrenRunning(parent int, program string) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return nil, fmt.Errorf("reading /proc: %w", errors.ErrUnsupported)
	}
	var pids []int
	for _, path := range stats {
		dir := filepath.Dir(path)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		stat, err := readStat(pid)
		if err != nil || stat.parent != parent || stat.state == "Z" {
			continue // another's child, or it has ended since
		}
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && filepath.Base(exe) == program {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

type processStat struct {
	state  string
	parent int
}

// readStat reads the start of proc_pid_stat(5): pid (comm) state ppid. comm itself may contain spaces and parentheses.
func readStat(pid int) (processStat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processStat{}, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return processStat{}, fmt.Errorf("parsing /proc/%d/stat: %q has too few fields", pid, text)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return processStat{}, fmt.Errorf("parsing /proc/%d/stat: %w", pid, err)
	}
	return processStat{state: fields[0], parent: parent}, nil
}
