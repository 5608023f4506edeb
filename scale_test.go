package s3conn

import (
	"context"
	"fmt"
	"testing"
	"time"
)

func TestScale_TenThousandColdConnectionsWakeUnderTheQuota(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, aws *service) {
		const connections = 10_000
		budget := newBudget()
		m.source = func(ctx context.Context, conn *connection) (session, error) {
			if err := budget.of(conn).Wait(ctx); err != nil {
				return session{}, upstream(opCreateSession, err)
			}
			return aws.createSession(ctx, conn)
		}
		m.start()
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
		for i := range connections - 10 {
			if within := aws.calls[i+10].Sub(aws.calls[i]); within <= time.Second {
				t.Fatalf("11 calls within %s: the service allows 10 a second", within)
			}
		}
	})
}
