package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	backend "github.com/hashicorp/vault/sdk/plugin"
)

// startTime starts the program as Vault does, with TLS of its own, and returns how long it takes until it answers a
// ping.
func startTime(p program) (time.Duration, error) {
	cmd := exec.Command(p.path)
	cmd.Env = []string{pluginutil.PluginAutoMTLSEnv + "=true", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}
	start := time.Now()
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: backend.HandshakeConfig,
		VersionedPlugins: map[int]plugin.PluginSet{
			5: {backend.BackendPluginName: &backend.GRPCBackendPlugin{MultiplexingSupport: true}},
		},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		Logger:           hclog.NewNullLogger(),
	})
	defer client.Kill()
	protocol, err := client.Client()
	if err == nil {
		err = protocol.Ping()
	}
	if err != nil {
		return 0, fmt.Errorf("starting %s: %w", p.name, err)
	}
	return time.Since(start), nil
}

// startTimes starts the programs in turn and returns each one's median.
func startTimes(ctx context.Context, programs plugins, rounds int) (map[string]time.Duration, error) {
	samples := map[string][]time.Duration{}
	for range rounds {
		for _, p := range programs.all() {
			took, err := startTime(p)
			if err := errors.Join(err, ctx.Err()); err != nil {
				return nil, err
			}
			samples[p.name] = append(samples[p.name], took)
		}
	}
	medians := map[string]time.Duration{}
	for name, all := range samples {
		medians[name] = durations(all, 0.5)
	}
	return medians, nil
}

var errNotRunning = errors.New("no such process")

// pluginPID finds the plugin's process among the server's children, in /proc.
func (s *server) pluginPID(program string) (int, error) {
	links, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		if exe, err := os.Readlink(link); err != nil || filepath.Base(exe) != program {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			return 0, err
		}
		if fields, err := stat(pid); err == nil && fields[1] == strconv.Itoa(s.cmd.Process.Pid) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("finding the process of %s (this needs Linux): %w", program, errNotRunning)
}

// stat returns what proc_pid_stat(5) has after the program's name: state, parent and so on.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return nil, fmt.Errorf("parsing /proc/%d/stat: %d fields, want 13 or more", pid, len(fields))
	}
	return fields, nil
}

// ticksPerSecond is Linux's USER_HZ, the same on every platform that Go runs on.
const ticksPerSecond = 100

// processorTime is what a process has used so far, to 10 ms.
func processorTime(pid int) (time.Duration, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parsing /proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond, nil
}

// residentKiB is the memory of a process that is in RAM.
func residentKiB(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			return strconv.ParseInt(strings.Fields(value)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("reading /proc/%d/status: it has no VmRSS", pid)
}

// settle is how long the plugins are left alone before their memory at rest is read.
const settle = 3 * time.Second

// atRest returns the memory in KiB of each program's process once it has nothing to do.
func (s *server) atRest(ctx context.Context, programs ...program) (map[string]int64, error) {
	select {
	case <-time.After(settle):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	all := map[string]int64{}
	for _, p := range programs {
		pid, err := s.pluginPID(p.name)
		if err != nil {
			return nil, err
		}
		if all[p.name], err = residentKiB(pid); err != nil {
			return nil, err
		}
	}
	return all, nil
}
