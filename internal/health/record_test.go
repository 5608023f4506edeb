package health_test

import (
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/health"
)

func TestStateOf_FollowsFromTheFacts(t *testing.T) {
	t.Parallel()
	// good is a connection with a live session that is read.
	good := health.Facts{HasIdentity: true, HasCredentials: true, HasReads: true}
	with := func(change func(*health.Facts)) health.Facts {
		f := good
		change(&f)
		return f
	}
	for _, tc := range []struct {
		name  string
		facts health.Facts
		want  health.State
	}{
		{"a live session", good, health.StateOK},
		{"the session has ended and nobody has read since",
			with(func(f *health.Facts) { f.HasCredentials = false }), health.StateOK},
		{"the refresh fails", with(func(f *health.Facts) { f.SessionFailing = true }), health.StateDegraded},
		{"the renewal fails", with(func(f *health.Facts) { f.RenewalFailing = true }), health.StateDegraded},
		{"the rotation fails", with(func(f *health.Facts) { f.RotationFailing = true }), health.StateDegraded},
		{"a scope's sessions fail", with(func(f *health.Facts) { f.ScopesFailing = true }), health.StateDegraded},
		{"the certificate has ended before the session",
			with(func(f *health.Facts) { f.CertificateEnded = true }), health.StateDegraded},
		{"requests for a session fail and none lives",
			with(func(f *health.Facts) { f.HasCredentials, f.SessionFailing = false, true }), health.StateFailing},
		{"the certificate has ended and no session lives",
			with(func(f *health.Facts) { f.HasCredentials, f.CertificateEnded = false, true }), health.StateFailing},
		{"the same, and nobody reads it",
			health.Facts{HasIdentity: true, CertificateEnded: true}, health.StateFailing},
		{"nobody has read it", health.Facts{HasIdentity: true}, health.StateIdle},
		{"nobody has read it, and its session was stored",
			health.Facts{HasIdentity: true, HasCredentials: true}, health.StateIdle},
		{"nobody has read it, and its renewal fails",
			health.Facts{HasIdentity: true, RenewalFailing: true}, health.StateDegraded},
		{"no identity yet", health.Facts{}, health.StateIncomplete},
		{"no identity yet, and a read was refused",
			health.Facts{HasReads: true, SessionFailing: true}, health.StateIncomplete},
	} {
		if got := health.StateOf(tc.facts); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestStates_NamesEveryState(t *testing.T) {
	t.Parallel()
	named := map[health.State]bool{}
	for _, state := range health.States() {
		named[state] = true
	}
	for bits := range 1 << 8 {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		state := health.StateOf(health.Facts{HasIdentity: bit(0), CertificateEnded: bit(1), HasCredentials: bit(2),
			HasReads: bit(3), SessionFailing: bit(4), RenewalFailing: bit(5), RotationFailing: bit(6),
			ScopesFailing: bit(7)})
		if !named[state] {
			t.Errorf("States does not name %q", state)
		}
	}
}

func TestRecord_KeepsTheLastFailure(t *testing.T) {
	t.Parallel()
	var r health.Record
	if f := r.Failure(health.Session); f.Failing() || f != (health.Failure{}) {
		t.Errorf("a new record has the failure %+v", f)
	}
	if r.Succeeded(health.Session) {
		t.Error("a success without a failure before it is a recovery")
	}
	next := testTime.Add(time.Minute)
	r.Failed(health.Session, testTime.Add(-time.Minute), "AccessDenied", testTime)
	if n := r.Failed(health.Session, testTime, "ThrottlingException", next); n != 2 {
		t.Errorf("the second failure is number %d", n)
	}
	want := health.Failure{Time: testTime, Error: "ThrottlingException", Count: 2, NextTry: next}
	if f := r.Failure(health.Session); f != want || !f.Failing() {
		t.Errorf("after two failures: %+v, want %+v", f, want)
	}
	if f := r.Failure(health.Renewal); f.Failing() {
		t.Errorf("a failure of the session is one of the renewal too: %+v", f)
	}
	if !r.Succeeded(health.Session) {
		t.Error("a success after failures is no recovery")
	}
	want = health.Failure{Time: testTime, Error: "ThrottlingException"}
	if f := r.Failure(health.Session); f != want || f.Failing() {
		t.Errorf("after a success: %+v, want %+v", f, want)
	}
	r.Failed(health.Session, testTime, "AccessDenied", next)
	if f := r.Failure(health.Session); f.Count != 1 {
		t.Errorf("the first failure after a success is counted as number %d", f.Count)
	}
}

func TestRecord_CountsReadsByPath(t *testing.T) {
	t.Parallel()
	var r health.Record
	if r.HasReads() {
		t.Error("a new record has reads")
	}
	r.Read(health.SDK)
	r.Read(health.SDK)
	r.Read(health.Presign)
	for path, want := range map[health.Path]uint64{health.Creds: 0, health.SDK: 2, health.Presign: 1} {
		if n := r.Reads(path); n != want {
			t.Errorf("%d reads of %s, want %d", n, path, want)
		}
	}
	if !r.HasReads() {
		t.Error("a record with reads says that it has none")
	}
}

func TestRecord_ReportsEachChangeOnce(t *testing.T) {
	t.Parallel()
	var r health.Record
	for _, step := range []struct {
		state, before health.State
		changed       bool
	}{
		{health.StateOK, "", true}, {health.StateOK, health.StateOK, false},
		{health.StateFailing, health.StateOK, true}, {health.StateOK, health.StateFailing, true},
	} {
		if before, changed := r.Changed(step.state); before != step.before || changed != step.changed {
			t.Errorf("to %s: %q %v, want %q %v", step.state, before, changed, step.before, step.changed)
		}
	}
}

func TestRecord_AnnouncesAnEndOnceADay(t *testing.T) {
	t.Parallel()
	var r health.Record
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, false}, {24*time.Hour - 1, false}, {24 * time.Hour, true}, {25 * time.Hour, false}} {
		if got := r.AnnounceEnd(testTime.Add(step.after)); got != step.want {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
}

func TestRecords_KeepOneRecordAConnection(t *testing.T) {
	t.Parallel()
	var records health.Records
	records.Find("orders").Read(health.Creds)
	if records.Find("orders").HasReads() {
		t.Error("looking for a record has made it")
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { records.Of("orders").Read(health.Creds) })
	}
	all.Wait()
	if n := records.Find("orders").Reads(health.Creds); n != 8 {
		t.Errorf("%d reads of the connection, want 8", n)
	}
	if records.Of("billing").HasReads() {
		t.Error("another connection shares the record")
	}
	records.Forget("orders")
	if records.Of("orders").HasReads() {
		t.Error("the record outlives its connection")
	}
}
