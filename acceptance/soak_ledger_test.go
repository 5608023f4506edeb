package acceptance

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// incident is a time in which some reads may fail.
type incident struct {
	from, to time.Time
	name     string // of the one connection that was deleted; empty: all fail
	kind     string
}

// failed is a request that was not answered as it should.
type failed struct {
	from, to         time.Time
	what, name, text string
}

func (f failed) meets(i incident) bool {
	overlap := !f.from.After(i.to) && !f.to.Before(i.from)
	return overlap && (i.name == "" || i.name == f.name && strings.Contains(f.text, "there is no connection"))
}

// ledger keeps what became of every request. It is safe for concurrent use.
type ledger struct {
	mu        sync.Mutex
	reads     int
	changes   map[string]int
	failures  []failed
	incidents []incident
	slow      []failed // answered, but late
	shortest  time.Duration
}

func (l *ledger) incident(i incident) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.incidents = append(l.incidents, i)
}

func (l *ledger) changed(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changes == nil {
		l.changes = map[string]int{}
	}
	l.changes[what]++
}

func (l *ledger) fail(f failed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, f)
}

// read notes an answer; life is zero for access keys.
func (l *ledger) read(f failed, life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if f.to.Sub(f.from) > soakEvery {
		l.slow = append(l.slow, f)
	}
	if life != 0 && (l.shortest == 0 || life < l.shortest) {
		l.shortest = life
	}
}

// counts returns what there was so far. Incidents that go on explain nothing yet.
func (l *ledger) counts() (reads, failures, unexplained int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.failures {
		if l.excuse(f) == "" {
			unexplained++
		}
	}
	return l.reads, len(l.failures), unexplained
}

// report logs what there was, and fails the test for requests that failed without an incident.
func (l *ledger) report(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	excused, examples := map[string]int{}, map[string]string{}
	unexcused := 0
	for _, f := range l.failures {
		if kind := l.excuse(f); kind != "" {
			excused[kind]++
			examples[kind] = strings.Join(strings.Fields(f.text), " ")
			continue
		}
		if unexcused++; unexcused <= 20 {
			t.Errorf("%s: %s of %s failed after %s, with nothing going on: %s", f.from.UTC().Format(time.TimeOnly),
				f.what, f.name,
				f.to.Sub(f.from).Round(time.Millisecond), f.text)
		}
	}
	times, longest := map[string]int{}, map[string]time.Duration{}
	for _, i := range l.incidents {
		times[i.kind]++
		longest[i.kind] = max(longest[i.kind], i.to.Sub(i.from))
	}
	t.Logf("%d reads answered, shortest life handed out %s; %d failed with nothing going on", l.reads, l.shortest,
		unexcused)
	for _, kind := range slices.Sorted(maps.Keys(times)) {
		t.Logf("%s: %d times, up to %s; %d requests failed meanwhile: %.300s", kind, times[kind],
			longest[kind].Round(time.Millisecond), excused[kind], examples[kind])
	}
	t.Logf("changes: %v", l.changes)
	t.Logf("longest wait for an answer with nothing going on: %s", l.longestWait().Round(time.Millisecond))
	if l.shortest < shortestLife {
		t.Errorf("credentials with a life of %s were handed out, want %s or more", l.shortest, shortestLife)
	}
	if l.reads == 0 || len(times) < 4 {
		t.Errorf("%d reads and incidents %v: the soak missed some", l.reads, times)
	}
}

// excuse is the kind of incident that explains the failure, the connection's own before those of the whole mount;
// empty: none does.
func (l *ledger) excuse(f failed) (kind string) {
	for _, i := range l.incidents {
		if f.meets(i) && (kind == "" || i.name != "") {
			kind = i.kind
		}
	}
	return kind
}

func (l *ledger) longestWait() (longest time.Duration) {
	for _, f := range l.slow {
		if l.excuse(f) == "" {
			longest = max(longest, f.to.Sub(f.from))
		}
	}
	return longest
}

func TestLedger_ExcusesOnlyWhatAnIncidentExplains(t *testing.T) {
	t.Parallel()
	at := func(second int) time.Time { return time.Unix(int64(second), 0) }
	l := &ledger{incidents: []incident{
		{from: at(10), to: at(20), kind: "kill"},
		{from: at(18), to: at(30), name: "a", kind: "delete"},
	}}
	const missing = "there is no connection"
	for what, one := range map[string]struct {
		failed
		want string
	}{
		"before":                            {failed{from: at(8), to: at(9), name: "a", text: missing}, ""},
		"begun before, ended in it":         {failed{from: at(8), to: at(10), name: "b", text: "EOF"}, "kill"},
		"begun in it, ended after":          {failed{from: at(20), to: at(40), name: "b", text: "EOF"}, "kill"},
		"around it":                         {failed{from: at(1), to: at(40), name: "b", text: "EOF"}, "kill"},
		"after":                             {failed{from: at(21), to: at(22), name: "b", text: "EOF"}, ""},
		"deleted":                           {failed{from: at(25), to: at(26), name: "a", text: missing}, "delete"},
		"deleted, in both":                  {failed{from: at(19), to: at(20), name: "a", text: missing}, "delete"},
		"another connection is deleted":     {failed{from: at(25), to: at(26), name: "b", text: missing}, ""},
		"deleted, but for another reason":   {failed{from: at(25), to: at(26), name: "a", text: "EOF"}, ""},
		"missing after it was written back": {failed{from: at(31), to: at(32), name: "a", text: missing}, ""},
	} {
		if got := l.excuse(one.failed); got != one.want {
			t.Errorf("%s: excused by %q, want %q", what, got, one.want)
		}
	}
}
