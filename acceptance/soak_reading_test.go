package acceptance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/acceptance/harness"
)

// reading is what the plugin's process and the storage hold at one time.
type reading struct {
	at                      time.Duration
	processes               int // of the plugin
	rss, vaultRSS           int // MiB
	threads, fds            int
	goroutines, ours        int // of idle readings alone; ours are those with the plugin's own code in them
	leases                  int
	configs, sessions, rest []string // keys in storage
	identities              []string
	reads                   int
	failures, unexplained   int // of requests
}

const readingHead = "| reading | after | plugin RSS MiB | threads | fds | goroutines (own) | Vault RSS MiB | leases " +
	"| config keys | session keys | reads | failed (unexplained) |"

func (r reading) row(name string) string {
	return fmt.Sprintf("| %s | %s | %d | %d | %d | %d (%d) | %d | %d | %d | %d | %d | %d (%d) |", name,
		r.at.Round(time.Second), r.rss, r.threads, r.fds,
		r.goroutines, r.ours, r.vaultRSS, r.leases, len(r.configs), len(r.sessions), r.reads, r.failures, r.unexplained)
}

func (k *soak) reading() reading {
	k.t.Helper()
	r := reading{at: time.Since(k.started), leases: k.leases()}
	r.configs, r.sessions = k.list("sys/raw/logical/"+k.mount+"/config"), k.list("sys/raw/logical/"+k.mount+"/session")
	r.identities = k.list("sys/raw/logical/" + k.mount + "/identity")
	r.rest = k.list("sys/raw/logical/" + k.mount)
	r.reads, r.failures, r.unexplained = k.ledger.counts()
	pids := k.vault.PluginPIDs()
	if r.processes = len(pids); r.processes == 0 {
		return r
	}
	status := k.status(pids[0])
	r.rss, r.threads = status["VmRSS"]/1024, status["Threads"]
	r.vaultRSS = k.status(status["PPid"])["VmRSS"] / 1024
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pids[0]))
	if err != nil {
		k.t.Fatalf("counting the plugin's open files: %v", err)
	}
	r.fds = len(fds)
	return r
}

// status reads the numbers of proc_pid_status(5).
func (k *soak) status(pid int) map[string]int {
	k.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		k.t.Fatalf("reading a process's status: %v", err)
	}
	numbers := map[string]int{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		first, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		if n, err := strconv.Atoi(first); err == nil {
			numbers[name] = n
		}
	}
	return numbers
}

// list returns the keys below a path, sorted.
func (k *soak) list(path string) []string {
	k.t.Helper()
	listed, err := k.api.Logical().ListWithContext(k.t.Context(), path)
	if err != nil {
		k.t.Fatalf("listing %s: %v", path, err)
	}
	if listed == nil {
		return nil
	}
	var keys []string
	for _, key := range listed.Data["keys"].([]any) {
		keys = append(keys, key.(string))
	}
	slices.Sort(keys)
	return keys
}

func (k *soak) leases() (n int) {
	k.t.Helper()
	for _, name := range k.list("sys/leases/lookup/s3conn/creds") {
		n += len(k.list("sys/leases/lookup/s3conn/creds/" + strings.TrimSuffix(name, "/")))
	}
	return n
}

var (
	aGoroutine  = regexp.MustCompile(`(?m): goroutine \d+ .*\[`)
	ourFunction = regexp.MustCompile(`(?m)^.*: (created by )?github\.com/s3conn/vault-plugin-s3conn` +
		`(/rolesanywhere|/internal/\w+)?\..*$`)
)

// goroutines ends the plugin's process with SIGQUIT, at which Go's runtime prints all stacks, and counts them. Vault
// logs what its plugins print.
func (k *soak) goroutines() (int, int) {
	k.t.Helper()
	before := len(k.vault.ServerLog())
	pid := k.vault.PluginPIDs()[0]
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		k.t.Fatalf("asking process %d for its goroutines: %v", pid, err)
	}
	var dump string
	harness.WaitFor(k.t, "the plugin's stacks", func(context.Context) error {
		if harness.ProcessRuns(pid) {
			return errors.New("the process still runs")
		}
		was := len(dump)
		dump = k.vault.ServerLog()[before:]
		if !aGoroutine.MatchString(dump) || len(dump) != was {
			return errors.New("they are still being printed")
		}
		return nil
	})
	all, left := countGoroutines(dump)
	for _, line := range left {
		k.t.Logf("left behind: %s", line)
	}
	return all, len(left)
}

func countGoroutines(dump string) (all int, ours []string) {
	ours = slices.DeleteFunc(ourFunction.FindAllString(dump, -1), theScheduler.MatchString)
	return len(aGoroutine.FindAllString(dump, -1)), ours
}

func TestCountGoroutines_KnowsOurOwn(t *testing.T) {
	t.Parallel()
	const line = "2026-11-23T14:10:30.424Z [DEBUG] " +
		"secrets.vault-plugin-s3conn.vault-plugin-s3conn_051224f1.vault-plugin-s3conn: "
	theirs := []string{
		"goroutine 1 gp=0xc0002e2000 m=nil [chan receive]:", "main.main()",
		"\tgithub.com/s3conn/vault-plugin-s3conn/cmd/vault-plugin-s3conn/main.go:30 +0x1d",
		"github.com/s3conn/vault-plugin-s3conn/internal/schedule.(*Scheduler).loop(0xc000045a50)",
		"created by github.com/s3conn/vault-plugin-s3conn/internal/schedule.(*Scheduler).Start in goroutine 34",
		"goroutine 38 gp=0xc0002e2000 m=nil [select, 2 minutes]:",
		"google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run(0xc000045a50)",
	}
	ours := []string{
		"github.com/s3conn/vault-plugin-s3conn/internal/session.(*entry[...]).fly(0xc000045a50)",
		"created by github.com/s3conn/vault-plugin-s3conn/internal/session.(*entry[...]).begin in goroutine 34",
		"github.com/s3conn/vault-plugin-s3conn/rolesanywhere.(*Client).CreateSession(...)",
		"github.com/s3conn/vault-plugin-s3conn.listBuckets({0x1399a80?, 0x2ae8c902ad20?}, 0x2ae8c908b540)",
		"github.com/s3conn/vault-plugin-s3conn.(*backend).listConnections.func1()",
	}
	all, own := countGoroutines(line + strings.Join(append(theirs, ours...), "\n"+line) + "\n")
	if all != 2 || len(own) != len(ours) {
		t.Errorf("counted %d goroutines and found %q as ours, want 2 and the last %d lines", all, own, len(ours))
	}
}

// checkStorage holds the keys against the connections: one configuration each, and no session of anything else.
func (k *soak) checkStorage(r reading) {
	k.t.Helper()
	names := k.names()
	slices.Sort(names)
	if !slices.Equal(r.configs, names) {
		k.t.Errorf("after %s the configurations stored are %v, want %v", r.at, r.configs, names)
	}
	for _, name := range slices.Concat(r.sessions, r.identities) {
		if !slices.Contains(names, name) || strings.HasPrefix(name, "keys-") {
			k.t.Errorf("after %s a session or identity of %s is stored, which has none", r.at, name)
		}
	}
	if !slices.Equal(r.rest, []string{"config/", "identity/", "session/"}) {
		k.t.Errorf("after %s the mount's storage holds %v, want config/, identity/ and session/ alone", r.at, r.rest)
	}
}

// checkFlat compares two idle readings. What may differ:
//   - memory: Go gives freed pages back lazily, and the race detector keeps a shadow of what was ever in use, so that
//     it levels off and is not exact; a leak of a few KiB a read would be tens of MiB by the end of a long soak.
//   - threads: Go keeps a thread that once blocked in a system call.
//   - files: a listener's or a connection's that Vault or the runtime holds or not at the moment.
//   - goroutines: those that the plugin library keeps for a connection to Vault. Of our own there is the
//     scheduler alone.
func checkFlat(t *testing.T, first, last reading) {
	t.Helper()
	for _, one := range []struct {
		what               string
		first, last, limit int
	}{
		{"processes of the plugin at first", 1, first.processes, 1},
		{"processes of the plugin", 1, last.processes, 1},
		{"plugin RSS in MiB", first.rss, last.rss, first.rss + first.rss/4 + 16},
		{"threads", first.threads, last.threads, first.threads + 6},
		{"open files", first.fds, last.fds, first.fds + 2},
		{"goroutines", first.goroutines, last.goroutines, first.goroutines + 4},
		{"own goroutines at first", 0, first.ours, 0},
		{"own goroutines at last", 0, last.ours, 0},
		{"leases", first.leases, last.leases, 0},
	} {
		if one.last > one.limit {
			t.Errorf("%s: %d, and %d after the warm-up; at most %d is flat", one.what, one.last, one.first, one.limit)
		}
	}
	if first.goroutines == 0 || last.goroutines == 0 {
		t.Error("no goroutine was counted: their dump was not recognized")
	}
}
