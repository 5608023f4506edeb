package s3conn

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
	"github.com/s3conn/vault-plugin-s3conn/internal/source"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
	"github.com/s3conn/vault-plugin-s3conn/rolesanywhere/rolesanywheretest"
)

// budgeted lets the service be called as a real one is: in turn.
func (m *mount) budgeted(aws *service) {
	turns := newTurns(m.t)
	caller := budget.Caller{Mount: &budget.Mount{}}
	key := budget.Key{Account: testAccount, Region: "us-east-1", API: budget.CreateSession}
	m.source = func(ctx context.Context, conn *connection.Connection, lane budget.Lane) (session.Session, error) {
		caller := caller
		caller.Lane = lane
		turn, err := turns.Wait(ctx, key, caller)
		if err != nil {
			return session.Session{}, upstream.Describe(source.CreateSession, err)
		}
		defer turn.Done(budget.Answered)
		return aws.createSession(ctx, conn, lane)
	}
	m.start()
}

// underTheQuota fails the test if more than ten of the calls fell into one second, or would if one were delayed a
// little.
func (s *service) underTheQuota(t *testing.T) {
	t.Helper()
	for i := 10; i < len(s.calls); i++ {
		if within := s.calls[i].Sub(s.calls[i-10]); within < time.Second+100*time.Millisecond {
			t.Fatalf("11 calls within %s: the service allows 10 a second", within)
		}
	}
}

func TestBudget_ThousandColdConnectionsAllGetASession(t *testing.T) {
	loneSessionTest(t, func(t *testing.T, m *mount, aws *service) {
		m.budgeted(aws)
		names := m.writeConnections(1000)
		start := time.Now()
		pending := names
		for rounds := 0; len(pending) > 0; rounds++ { // a client tries again after a 503
			if rounds == 12 {
				t.Fatalf("%d connections have no session after %s", len(pending), time.Since(start))
			}
			var again []string
			for i, g := range m.readers(1, pending...)() {
				if g.err != nil {
					again = append(again, pending[i])
				}
			}
			pending = again
		}
		t.Logf("1000 sessions after %s", time.Since(start))
		if n := aws.count(); n != 1000 {
			t.Errorf("%d calls, want 1000", n)
		}
		aws.underTheQuota(t)
	})
}

func TestBudget_TenThousandColdConnectionsWakeByThemselves(t *testing.T) {
	loneSessionTest(t, func(t *testing.T, m *mount, aws *service) {
		const connections = 10_000
		m.budgeted(aws)
		names := m.writeConnections(1)
		like, err := loadConnection(t.Context(), m.storage, names[0])
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < connections; i++ {
			names = append(names, fmt.Sprintf("orders-%d", i))
			like.IdentityID = "" // the certificate and key are its own
			if err := saveConnection(t.Context(), m.storage, names[i], like); err != nil {
				t.Fatal(err)
			}
		}

		start := time.Now()
		m.readers(1, names...)() // most are to try again, and their sessions are on their way
		pass(connections * time.Second / 8)
		t.Logf("10,000 connections woke within %s", time.Since(start))
		before := aws.count()
		for i, g := range m.readers(1, names...)() {
			if g.err != nil || g.took != 0 {
				t.Fatalf("%s: %+v, want its session at once", names[i], g)
			}
		}
		if before != connections {
			t.Errorf("%d calls, want one for each of %d connections", before, connections)
		}
		aws.underTheQuota(t)
	})
}

// The mounts of one process share an account's quota: what one has used up, another has not.
func TestNewFactory_MountsShareOneBudget(t *testing.T) {
	t.Parallel()
	l := newLab(t, rolesanywheretest.Options{})
	slow := budget.Rate{PerSecond: 0.2, TestsPerSecond: 1, Floor: 0.2}
	shared, err := budget.NewGroup(time.Now, map[budget.API]budget.Rate{budget.CreateSession: slow})
	if err != nil {
		t.Fatal(err)
	}
	factory := newFactory(l.clock.Now, shared)
	var mounts []*mount
	for range 2 {
		made, err := factory(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(),
			System: logical.TestSystemView()})
		if err != nil {
			t.Fatal(err)
		}
		m := &mount{t: t, backend: made.(*backend), storage: &brokenStorage{Storage: &logical.InmemStorage{}},
			log: &lockedBuffer{}}
		t.Cleanup(func() { m.Cleanup(context.Background()) })
		m.write("orders", l.sessionFields())
		mounts = append(mounts, m)
	}
	mounts[0].read("creds/orders")
	short, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if got := mounts[1].readCreds(short, "orders"); got.err == nil {
		t.Error("the second mount has a budget of its own, or there is none: it got a session without a turn")
	}
	if n := l.aws.Calls(); n != 1 {
		t.Errorf("%d calls with one turn", n)
	}
	mounts[1].must(logical.UpdateOperation, "test/orders", nil)
	if n := l.aws.Calls(); n != 2 {
		t.Errorf("%d calls after a test, which has turns of its own, want 2", n)
	}
}
