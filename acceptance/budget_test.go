package acceptance

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

const (
	coldConnections = 100
	mostInASecond   = 9 // calls of an account, of the 10 that AWS allows
	// onTheWay is how long the plugin takes a request that is not answered to be on its way at most.
	onTheWay = 500 * time.Millisecond
	// servedWithin is what 9 calls a second allow for all connections, twice, with room for a busy machine.
	servedWithin = 90 * time.Second
)

// coldStack is a Vault with a hundred connections of one account, the service and a store beside it.
type coldStack struct {
	*stack
	raw    *rawVault
	aws    *rolesanywheretest.Server
	fields map[string]any
}

func newColdStack(t *testing.T) *coldStack {
	t.Helper()
	s := &coldStack{stack: newCostStack(t)}
	s.raw = newRawVault(t, s.vault)
	authority, issued := newIdentity(t)
	s.aws = rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{authority.Certificate()}, MaxRecorded: 10_000})
	t.Cleanup(s.aws.Close)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, manyBuckets(100))
	}))
	t.Cleanup(store.Close)
	s.fields = map[string]any{
		"auth_type": "roles_anywhere", "profile_arn": profileARN, "trust_anchor_arn": trustAnchorARN,
		"session_name": "budget", "certificate": string(issued.CertificatePEM),
		"private_key": string(issued.PrivateKeyPEM), "rolesanywhere_endpoint": s.aws.URL,
		"s3_endpoint": store.URL, "s3_path_style": true, "s3_allow_http": true,
	}
	return s
}

// writeAll writes every connection, which drops the sessions that there are.
func (s *coldStack) writeAll() {
	s.t.Helper()
	for i := range coldConnections {
		fields := maps.Clone(s.fields)
		fields["role_arn"] = fmt.Sprintf("%s-%d", roleARN, i)
		s.write(fmt.Sprintf("config/cold-%d", i), fields)
	}
}

// A hundred connections are read for the first time, written anew and read again, while others are tested and Vault is
// under load. What counts is when the calls reach the service, however long the machine keeps Vault and the plugin
// waiting. The service is in this program: where this one waits for longer than a request can be on its way, the second
// that is judged is shorter by the excess. Not parallel: other tests would keep this one waiting.
func TestBudget_ServiceNeverSeesMoreThanNineCallsASecond(t *testing.T) {
	s := newColdStack(t)
	s.writeAll()
	ctx, cancel := context.WithTimeout(t.Context(), servedWithin)
	defer cancel()
	stop, waits := s.raw.startLoadAndTests(ctx), measureWaits(ctx)
	var took [2]time.Duration
	for round := range took {
		started := time.Now()
		s.raw.readAllCold(t, ctx)
		took[round] = time.Since(started)
		if round == 0 {
			s.writeAll()
		}
	}
	reads, tests := stop()
	calls, held := arrivalsOf(s.aws.Requests()), waits()
	t.Logf("%d connections were served within %s each time, beside %d warm reads and %d tests: %d calls, at most %d "+
		"in any second; this machine kept a ready program waiting %d times, for up to %s", coldConnections, took, reads,
		tests, len(calls), mostWithin(calls, time.Second), len(held), longestOf(held))
	for i := mostInASecond; i < len(calls); i++ {
		from, until := calls[i-mostInASecond], calls[i]
		span, longest := until.Sub(from), longestOf(overlapping(held, from.Add(-time.Second), until))
		if span+max(0, longest-onTheWay) < time.Second {
			t.Errorf("the service saw %d calls within %s, %s after the first one, beside waits of up to %s: want %d "+
				"in a second", mostInASecond+1, span, from.Sub(calls[0]), longest, mostInASecond)
		}
	}
	if tests == 0 || len(calls) < 2*coldConnections+int(tests) {
		t.Errorf("%d calls with %d tests: want one for each session and one for each test", len(calls), tests)
	}
}

// readAllCold reads each of the connections with three readers until all have credentials. A client of Vault's API
// repeats a request after a 503.
func (v *rawVault) readAllCold(t *testing.T, ctx context.Context) {
	t.Helper()
	var readers sync.WaitGroup
	for i := range 3 * coldConnections {
		readers.Go(func() {
			path := fmt.Sprintf("s3conn/creds/cold-%d", i%coldConnections)
			for {
				a := v.ask(ctx, http.MethodGet, path, "")
				_, err := a.vended()
				switch {
				case err == nil:
					return
				case ctx.Err() != nil || a.status != http.StatusServiceUnavailable:
					t.Errorf("reading %s: %v", path, err)
					return
				}
			}
		})
	}
	readers.Wait()
}

// startLoadAndTests reads a warm connection from four sides, hundreds of times a second, and tests connections from
// two, without a pause, and returns how often both succeeded once they are stopped.
func (v *rawVault) startLoadAndTests(ctx context.Context) (stop func() (reads, tests int64)) {
	ctx, cancel := context.WithCancel(ctx)
	var reads, tests atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				if v.ask(ctx, http.MethodGet, "s3conn/creds/warm", "").status == http.StatusOK {
					reads.Add(1)
				}
				waitUntil(ctx, time.Now().Add(breath))
			}
		})
	}
	for i := range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				path := fmt.Sprintf("s3conn/test/cold-%d", i)
				if v.ask(ctx, http.MethodPost, path, "").status == http.StatusOK {
					tests.Add(1)
				}
			}
		})
	}
	return func() (int64, int64) { cancel(); all.Wait(); return reads.Load(), tests.Load() }
}

// wait is a time in which a program was ready and did not run.
type wait struct{ from, until time.Time }

// measureWaits returns a function that returns the waits of a program since then, as far as they are worth a word.
func measureWaits(ctx context.Context) (stop func() []wait) {
	const every, slight = 5 * time.Millisecond, 20 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	var waits []wait
	var done sync.WaitGroup
	done.Go(func() {
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			due := time.Now().Add(every)
			timer.Reset(every)
			select {
			case <-timer.C:
				if now := time.Now(); now.Sub(due) > slight {
					waits = append(waits, wait{due, now})
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() []wait { cancel(); done.Wait(); return waits }
}

func longestOf(waits []wait) (longest time.Duration) {
	for _, one := range waits {
		longest = max(longest, one.until.Sub(one.from))
	}
	return longest
}

// overlapping returns the waits that share a moment with the time.
func overlapping(waits []wait, from, until time.Time) []wait {
	return slices.DeleteFunc(slices.Clone(waits), func(one wait) bool {
		return one.until.Before(from) || one.from.After(until)
	})
}

func arrivalsOf(requests []rolesanywheretest.Recorded) []time.Time {
	arrivals := make([]time.Time, len(requests))
	for i, one := range requests {
		arrivals[i] = one.Time
	}
	slices.SortFunc(arrivals, time.Time.Compare)
	return arrivals
}

// mostWithin is the most that arrived in any stretch of time of that length.
func mostWithin(arrivals []time.Time, window time.Duration) (most int) {
	first := 0
	for i, at := range arrivals {
		for at.Sub(arrivals[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
