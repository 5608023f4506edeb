package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestReport_BarsTellWhatIsMissed(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	results := map[target]series{
		floorLeaseless: {{perSecond: 100, p99: 100}}, oursLeaseless: {{perSecond: 98, p99: 111}},
		floorRaw: {{perSecond: 100, p99: 100}}, oursRaw: {{perSecond: 94, p99: 110}},
		floorCrowd: {{perSecond: 100, p99: 100}}, oursCrowd: {{perSecond: 92, p99: 111}},
		awsRole: {{perSecond: 10}},
	}
	report{&text}.bars(results)
	for _, want := range []string{
		"| reads/s of s3conn creds/NAME, no lease to floor, no lease | lower end at least 0.95 | 0.980 (0.980 to " +
			"0.980) | yes |",
		"| reads/s of s3conn sdk/NAME to floor, raw | lower end at least 0.95 | 0.940 (0.940 to 0.940) | no |",
		"| reads/s of s3conn creds/NAME, no lease to floor, no lease | at least 0.97 | 0.980 (0.980 to 0.980) | yes |",
		"| reads/s of s3conn creds/NAME/SCOPE, 1,000 entities to floor, 1,000 entities | at least 0.93 | 0.920 " +
			"(0.920 to 0.920) | no |",
		"\n4 of 14 bars hold.\n",
		"| p99 of s3conn creds/NAME, no lease to floor, no lease | at most 1.10 | 1.110 (1.110 to 1.110) | no |",
		"| p99 of s3conn sdk/NAME to floor, raw | at most 1.10 | 1.100 (1.100 to 1.100) | yes |",
		"| reads/s of s3conn creds/NAME, no lease to AWS engine, assumed_role | at least 5.00 | 9.800 (9.800 to " +
			"9.800) | yes |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

func TestReport_RatiosOfProcessorTimeAreOfTotals(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	const ms = time.Millisecond
	results := map[target]series{
		oursRaw: {
			{reads: 10, perSecond: 90, vaultTime: 10 * ms},
			{reads: 10, perSecond: 90, vaultTime: 10 * ms, pluginTime: 30 * ms},
		},
		floorRaw: {
			{reads: 10, perSecond: 100, vaultTime: 20 * ms},
			{reads: 30, perSecond: 90, vaultTime: 20 * ms, pluginTime: 120 * ms},
		},
		kvEntry: {{reads: 20, perSecond: 180, vaultTime: 5 * ms}, {reads: 20, perSecond: 180, vaultTime: 5 * ms}},
	}
	r := report{&text}
	r.ratios([][2]target{{oursRaw, floorRaw}, {oursRaw, kvEntry}}, results)
	r.targets([]target{oursRaw, kvEntry}, results)
	for _, want := range []string{
		"### Ratios, as medians over the rounds with the median's 95 % interval in brackets; processor time over " +
			"all rounds",
		"| s3conn sdk/NAME | floor, raw | 0.950 (0.900 to 1.000) | - | - | 1.000 | 0.500 |",
		"| s3conn sdk/NAME | kv version 1 (inside Vault) | 0.500 (0.500 to 0.500) | - | - | 4.000 | - |",
		"| s3conn sdk/NAME | 90 | 0 µs | 0 µs | 1000 µs | 1500 µs |",
		"| kv version 1 (inside Vault) | 180 | 0 µs | 0 µs | 250 µs | - |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

func TestReport_UpstreamCountsEveryRead(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	reads := map[target]int{
		oursLeased:         1,
		oursLeaseless:      20,
		oursRaw:            300,
		oursScoped:         4000,
		oursCrowd:          50000,
		awsRole:            1,
		awsRolePlain:       20,
		awsRoleAmongLeases: 300,
		kvEntry:            5,
	}
	report{&text}.upstream(reads, awsCalls{sessions: 2, narrowed: 1001, assumed: 321})
	for _, want := range []string{"| s3conn, CreateSession | 54321 | 2 (2 connections) |",
		"| s3conn, AssumeRole, one scope without templates and one with | 54000 | 1001 (1 scope and 1000 entities) |",
		"| AWS engine, AssumeRole | 321 | 321 |"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

func TestReport_CapacityAddsUp(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	results := map[target]series{oursLeaseless: {
		{
			reads:     10,
			vaultTime: 10 * time.Millisecond,
		},
		{reads: 90, vaultTime: 15 * time.Millisecond, pluginTime: 9 * time.Millisecond},
	}}
	report{&text}.capacity(results, leases{1000, footprint{1000, 0}, footprint{6000, 1 << 20}})
	for _, want := range []string{
		"| s3conn creds/NAME, no lease | 0.25 | 0.09 |",
		"Of 1000 leases each takes 5.0 KiB of Vault's memory and 1.0 KiB of raft's files.",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &text)
		}
	}
}

// needsProc skips where processes cannot be looked at as the benchmark does.
func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("!!! NOT TESTED: reading /proc needs Linux !!!")
	}
}

func TestReport_CapacityWithoutGrowthSaysNothingOfFiles(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	report{&text}.capacity(nil, leases{1000, footprint{1000, 500}, footprint{6000, 500}})
	if !strings.Contains(text.String(), "each takes 5.0 KiB of Vault's memory.\n") {
		t.Errorf("the report says:\n%s", &text)
	}
}

func TestFootprint_CountsRaftsFiles(t *testing.T) {
	t.Parallel()
	needsProc(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "raft", "snapshots"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"raft/vault.db", "raft/snapshots/one", "not-raft"} {
		if err := os.WriteFile(filepath.Join(dir, file), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := &server{dir: dir, cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	f, err := s.footprint()
	if err != nil || f.disk != 2000 || f.memory < 1000 {
		t.Errorf("footprint %+v, %v; want 2000 bytes of files and this process's memory", f, err)
	}
}

func TestProcessorTime_OfThisProcess(t *testing.T) {
	t.Parallel()
	needsProc(t)
	before, err := processorTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for start := time.Now(); ; {
		after, err := processorTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after > before {
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatal("ten seconds of work took no processor time")
		}
	}
}
