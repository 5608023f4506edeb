package health_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

var testTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newMetrics() *health.Metrics { return health.NewMetrics("v1.2.3", &health.Records{}) }

func exposition(t *testing.T, m *health.Metrics, gauges ...health.Gauges) string {
	t.Helper()
	var now health.Gauges
	if len(gauges) > 0 {
		now = gauges[0]
	}
	text, err := m.Exposition(now)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantLines fails the test where the exposition lacks one of the lines.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	have := strings.Split(text, "\n")
	for _, line := range lines {
		if !slices.Contains(have, line) {
			series := line[:strings.LastIndex(line, " ")+1]
			near := slices.DeleteFunc(slices.Clone(have), func(l string) bool { return !strings.HasPrefix(l, series) })
			t.Errorf("the exposition lacks the line %s; instead it has %q", line, near)
		}
	}
}

// allGauges leaves no figure out.
func allGauges() health.Gauges {
	return health.Gauges{Connections: map[health.State]int{health.StateFailing: 2},
		Failing: map[health.Activity]int{health.Renewal: 4}, Sessions: 7, QueueLength: 3,
		FirstCertificateEnd: testTime, FirstRenewedEnd: testTime.Add(time.Hour),
		FirstSessionEnd: testTime.Add(time.Hour)}
}

// Each row of the table in docs/metrics.md is "| `NAME` | TYPE | ...".
func TestExposition_HasTheMetricsThatAreDocumented(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(s3conn_[a-z_]+)` \\| ([a-z]+) ").FindAllSubmatch(document, -1) {
		documented[string(row[1])] = string(row[2])
	}
	text := exposition(t, newMetrics(), allGauges())
	for line := range strings.Lines(text) {
		declared, isType := strings.CutPrefix(strings.TrimSpace(line), "# TYPE ")
		if !isType {
			continue
		}
		name, kind, _ := strings.Cut(declared, " ")
		if documented[name] != kind {
			t.Errorf("%s is a %s, documented as %q", name, kind, documented[name])
		}
		if !strings.Contains(text, "# HELP "+name+" ") {
			t.Errorf("%s has no help", name)
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("the exposition lacks %v", documented)
	}
}

func TestExposition_CountsWhatHappened(t *testing.T) {
	t.Parallel()
	records := &health.Records{}
	m := health.NewMetrics("v1.2.3", records)
	records.Of("orders").Read(health.Creds)
	records.Of("invoices").Read(health.Creds)
	m.ReadFailed(health.SDK, health.Forwarded)
	m.Call(health.CreateSession, 30*time.Millisecond, health.OK)
	m.Call(health.CreateSession, 3*time.Second, health.Throttled)
	m.Call("DropDatabase", time.Second, health.Permanent)
	m.QueueWait(2 * time.Second)
	m.Renewal(health.Unavailable)
	m.Rotation(health.OK)
	wantLines(t, exposition(t, m, allGauges()),
		`s3conn_reads_total{outcome="ok",path="creds"} 2`,
		`s3conn_reads_total{outcome="forwarded",path="sdk"} 1`,
		`s3conn_reads_total{outcome="ok",path="presign"} 0`,
		`s3conn_calls_total{operation="CreateSession",outcome="ok"} 1`,
		`s3conn_calls_total{operation="CreateSession",outcome="throttled"} 1`,
		`s3conn_calls_total{operation="other",outcome="permanent"} 1`,
		`s3conn_calls_total{operation="AssumeRole",outcome="unavailable"} 0`,
		`s3conn_call_seconds_bucket{operation="CreateSession",le="0.025"} 0`,
		`s3conn_call_seconds_bucket{operation="CreateSession",le="0.05"} 1`,
		`s3conn_call_seconds_bucket{operation="CreateSession",le="+Inf"} 2`,
		`s3conn_call_seconds_sum{operation="CreateSession"} 3.03`,
		`s3conn_queue_wait_seconds_bucket{le="1"} 0`,
		`s3conn_queue_wait_seconds_bucket{le="2.5"} 1`,
		`s3conn_renewals_total{outcome="unavailable"} 1`,
		`s3conn_rotations_total{outcome="ok"} 1`,
		`s3conn_sessions 7`,
		`s3conn_queue_length 3`,
		`s3conn_connections{state="failing"} 2`,
		`s3conn_connections{state="ok"} 0`,
		`s3conn_connections_failing{activity="renewal"} 4`,
		`s3conn_connections_failing{activity="session"} 0`,
		`s3conn_first_certificate_end_seconds{renewal="none"} 1.7723664e+09`,
		`s3conn_first_certificate_end_seconds{renewal="automatic"} 1.77237e+09`,
		`s3conn_first_session_end_seconds 1.77237e+09`,
		`s3conn_build_info{version="v1.2.3"} 1`,
	)
}

func TestExposition_LeavesOutWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	text := exposition(t, newMetrics())
	for _, name := range []string{"_end_seconds", "s3conn_connections"} {
		if strings.Contains(text, name) {
			t.Errorf("a mount that knows nothing of it has a figure for %s", name)
		}
	}
	wantLines(t, text, "s3conn_sessions 0", "s3conn_queue_length 0")
}

// Two mounts share a process.
func TestMetrics_MountsStayApart(t *testing.T) {
	t.Parallel()
	one, other := newMetrics(), newMetrics()
	one.ReadFailed(health.Creds, health.Permanent)
	wantLines(t, exposition(t, one), `s3conn_reads_total{outcome="permanent",path="creds"} 1`)
	wantLines(t, exposition(t, other), `s3conn_reads_total{outcome="permanent",path="creds"} 0`)
}

// Prometheus takes a counter that decreases for one of a process that has started again.
func TestMetrics_ReadsStayCountedWhenTheirConnectionGoes(t *testing.T) {
	t.Parallel()
	records := &health.Records{}
	m := health.NewMetrics("v1.2.3", records)
	for _, name := range []string{"orders", "orders", "invoices"} {
		records.Of(name).Read(health.SDK)
	}
	for _, gone := range []string{"orders", "orders", "nobody"} {
		records.Forget(gone)
		wantLines(t, exposition(t, m), `s3conn_reads_total{outcome="ok",path="sdk"} 3`)
	}
	records.Of("orders").Read(health.SDK)
	wantLines(t, exposition(t, m), `s3conn_reads_total{outcome="ok",path="sdk"} 4`)
}

func TestMetrics_CountConcurrently(t *testing.T) {
	t.Parallel()
	records := &health.Records{}
	m := health.NewMetrics("v1.2.3", records)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				m.ReadFailed(health.SDK, health.Permanent)
				records.Of("orders").Read(health.SDK)
				m.Call(health.ListBuckets, time.Second, health.OK)
				m.QueueWait(time.Second)
			}
			if _, err := m.Exposition(health.Gauges{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	wantLines(t, exposition(t, m),
		`s3conn_reads_total{outcome="ok",path="sdk"} 4000`,
		`s3conn_reads_total{outcome="permanent",path="sdk"} 4000`,
		`s3conn_calls_total{operation="ListBuckets",outcome="ok"} 4000`,
		`s3conn_call_seconds_count{operation="ListBuckets"} 4000`,
		`s3conn_queue_wait_seconds_count 4000`,
	)
}

// A name for an operation cannot make series without end.
func FuzzCall_LabelsAreBounded(f *testing.F) {
	f.Add("CreateSession", int64(5))
	f.Add("\"}\nx 1", int64(-5))
	f.Add("\xff", int64(1)<<62)
	f.Fuzz(func(t *testing.T, operation string, took int64) {
		m := newMetrics()
		series := strings.Count(exposition(t, m), "\n")
		m.Call(health.Operation(operation), time.Duration(took), health.OK)
		if n := strings.Count(exposition(t, m), "\n"); n != series {
			t.Errorf("a call of %q made %d lines out of %d", operation, n, series)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	record := new(health.Record)
	b.ReportAllocs()
	for b.Loop() {
		record.Read(health.Creds)
	}
}

func BenchmarkReadParallel(b *testing.B) {
	record := new(health.Record)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			record.Read(health.Creds)
		}
	})
}

func BenchmarkExposition(b *testing.B) {
	m := newMetrics()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Exposition(health.Gauges{}); err != nil {
			b.Fatal(err)
		}
	}
}
