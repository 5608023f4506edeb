package acceptance

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
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
	// servedWithin is what 9 calls a second allow for all connections, twice, with room for a busy machine.
	servedWithin = 90 * time.Second
)

// A hundred connections are read for the first time, written anew and read again, while others are tested and Vault is
// under load. What counts is when the calls reach the service. A machine that keeps a ready program waiting delays single
// calls by as much, so that those behind it arrive closer together than they were sent: the second that is judged is
// shorter by the longest such wait.
func TestBudget_ServiceNeverSeesMoreThanNineCallsASecond(t *testing.T) {
	t.Parallel()
	s := newCostStack(t)
	v := newRawVault(t, s.vault)
	authority, err := rolesanywheretest.NewAuthority(rolesanywheretest.AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(rolesanywheretest.IssueOptions{NotAfter: time.Now().Add(90 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	aws := rolesanywheretest.NewServer(rolesanywheretest.Options{
		TrustAnchors: []*x509.Certificate{authority.Certificate()}, MaxRecorded: 10_000})
	t.Cleanup(aws.Close)
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, manyBuckets(100))
	}))
	t.Cleanup(store.Close)
	write := func(i int) {
		s.write(fmt.Sprintf("config/cold-%d", i), map[string]any{
			"auth_type": "roles_anywhere", "profile_arn": profileARN, "trust_anchor_arn": trustAnchorARN,
			"role_arn": fmt.Sprintf("%s-%d", roleARN, i), "session_name": "budget",
			"certificate": string(issued.CertificatePEM), "private_key": string(issued.PrivateKeyPEM),
			"rolesanywhere_endpoint": aws.URL, "s3_endpoint": store.URL, "s3_path_style": true, "s3_allow_http": true,
		})
	}
	for i := range coldConnections {
		write(i)
	}
	ctx, cancel := context.WithTimeout(t.Context(), servedWithin)
	defer cancel()
	stop, heldUp := v.startLoadAndTests(ctx), measureWaits(ctx)
	started := time.Now()
	v.readAllCold(t, ctx)
	first := time.Since(started)
	for i := range coldConnections {
		write(i) // drops the session
	}
	started = time.Now()
	v.readAllCold(t, ctx)
	second := time.Since(started)
	reads, tests := stop()
	calls, held := aws.Requests(), heldUp()
	t.Logf("%d connections were served within %s, and again within %s, beside %d warm reads and %d tests: %d calls, at "+
		"most %d in any second; this machine kept a ready program waiting for up to %s",
		coldConnections, first, second, reads, tests, len(calls), mostWithin(calls, time.Second), held)
	if most := mostWithin(calls, time.Second-held); most > mostInASecond {
		t.Errorf("the service saw %d calls within %s, want at most %d", most, time.Second-held, mostInASecond)
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

// startLoadAndTests reads a warm connection from four sides and tests connections from two, without a pause, and
// returns how often both succeeded once they are stopped.
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

// measureWaits returns a function that says by how much a timer was late at most since then.
func measureWaits(ctx context.Context) (worst func() time.Duration) {
	const every = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	var late time.Duration
	var done sync.WaitGroup
	done.Go(func() {
		timer := time.NewTimer(every)
		defer timer.Stop()
		for {
			due := time.Now().Add(every)
			timer.Reset(every)
			select {
			case <-timer.C:
				late = max(late, time.Since(due))
			case <-ctx.Done():
				return
			}
		}
	})
	return func() time.Duration { cancel(); done.Wait(); return late }
}

// mostWithin is the most requests that arrived in any stretch of time of that length.
func mostWithin(requests []rolesanywheretest.Recorded, window time.Duration) (most int) {
	arrivals := make([]time.Time, len(requests))
	for i, one := range requests {
		arrivals[i] = one.Time
	}
	slices.SortFunc(arrivals, time.Time.Compare)
	first := 0
	for i, at := range arrivals {
		for at.Sub(arrivals[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
