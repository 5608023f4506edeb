package s3conn

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/upstream"
)

// budgeted lets the service be called as a real one is: in turn.
func (m *mount) budgeted(aws *service) {
	budget := newBudget()
	m.source = func(ctx context.Context, conn *connection.Connection) (session, error) {
		if err := budget.forReads(conn).Wait(ctx); err != nil {
			return session{}, upstream.Describe(opCreateSession, err)
		}
		return aws.createSession(ctx, conn)
	}
	m.start()
}

// underTheQuota fails the test if more than ten of the calls fell into one second, or would if one were delayed a little.
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
			if err := saveConnection(t.Context(), m.storage, names[i], like); err != nil {
				t.Fatal(err)
			}
		}

		start := time.Now()
		m.readers(1, names...)() // most are told to try again, and their sessions are on their way
		pass(connections * time.Second / callsPerSecond)
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

func TestBudget_IsPerAccountAndRegion(t *testing.T) {
	t.Parallel()
	b := newBudget()
	conn := func(account, region string) *connection.Connection {
		return &connection.Connection{Settings: connection.Settings{RoleARN: "arn:aws:iam::" + account + ":role/x", Region: region}}
	}
	one := b.of(conn("111111111111", "us-east-1"))
	if b.of(conn("111111111111", "us-east-1")) != one {
		t.Error("two connections of one account and region have budgets of their own")
	}
	if b.of(conn("222222222222", "us-east-1")) == one || b.of(conn("111111111111", "eu-west-1")) == one {
		t.Error("another account or region shares the budget")
	}
}

func TestBudget_ForgetsAccountsThatHaveTheirWholeBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		conn := func(i int) *connection.Connection {
			return &connection.Connection{Settings: connection.Settings{RoleARN: fmt.Sprintf("arn:aws:iam::%012d:role/x", i), Region: "us-east-1"}}
		}
		busy := b.of(conn(0))
		for i := range 3 * maxAccounts {
			busy.calls.Allow() // it never has a whole turn
			b.of(conn(i))
			time.Sleep(time.Millisecond)
		}
		if n := len(b.accounts); n > maxAccounts {
			t.Errorf("%d accounts are remembered, want at most %d", n, maxAccounts)
		}
		if b.of(conn(0)) != busy {
			t.Error("an account that has used its budget got a new one")
		}
	})
}

// An operator mends a connection while hundreds of others are refused again and again.
func TestBudget_TestsHaveATurnWhileOthersUseUpEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		conn := &connection.Connection{Settings: connection.Settings{RoleARN: "arn:aws:iam::111111111111:role/x", Region: "us-east-1"}}
		var mu sync.Mutex
		var readers sync.WaitGroup
		var calls []time.Time
		call := func() { mu.Lock(); calls = append(calls, time.Now()); mu.Unlock() }
		for range 30 * callsPerSecond { // half a minute's queue
			readers.Go(func() {
				if b.forReads(conn).Wait(t.Context()) == nil {
					call()
				}
			})
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), maxProbeWait)
		defer cancel()
		start := time.Now()
		for i, want := range []time.Duration{0, 2, 4} {
			if err := b.forTests(conn).Wait(ctx); err != nil || time.Since(start) != want*time.Second {
				t.Errorf("test %d has its turn after %s, %v; want %ds", i, time.Since(start), err, want)
			}
			call()
		}
		if err := b.forReads(conn).Wait(ctx); err == nil {
			t.Error("a read has a turn too: the test shows nothing")
		}
		readers.Wait()
		for i := 9; i < len(calls); i++ {
			if within := calls[i].Sub(calls[i-9]); within <= time.Second {
				t.Fatalf("10 calls within %s, tests and reads together; want fewer than that in any second", within)
			}
		}
	})
}

func TestBudget_ManyTestsUseTheOthersTurnsToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget()
		conn := &connection.Connection{Settings: connection.Settings{RoleARN: "arn:aws:iam::111111111111:role/x", Region: "us-east-1"}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		for range 5 * callsPerSecond {
			if err := b.forTests(conn).Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%d tests took %s", 5*callsPerSecond, took)
		}
	})
}
