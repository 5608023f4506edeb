package s3conn

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/scope"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const manyEntities = 1000

// newScopeBench has a connection with the scope "fixed" and the templated scope "home", read by 1,000 entities.
func newScopeBench(b *testing.B) *benchMount {
	b.Helper()
	m := newBenchMount(b)
	m.assume = func(ctx context.Context, conn *connection.Connection, _ session.Session, _ *scope.Rendered,
		lane budget.Lane) (
		session.Session, error,
	) {
		return m.createSession(ctx, conn, lane)
	}
	m.entities = newEntities(m.now, func(id string) (*logical.Entity, error) {
		return vaultEntity(id, "name-"+id, map[string]string{"team": "team-" + id}), nil
	})
	m.write("orders", rolesAnywhereFields(b))
	fields := map[string]any{"buckets": []string{"analytics"}, "generate_lease": false}
	m.do(logical.CreateOperation, "scopes/orders/fixed",
		changed(fields, []map[string]any{{"prefixes": []string{"reports/"}}}))
	m.do(logical.CreateOperation, "scopes/orders/home", changed(fields, []map[string]any{{
		"prefixes": []string{"{{identity.entity.metadata.team}}/"}, "session_name": "{{identity.entity.name}}"}}))
	return m
}

func (m *benchMount) readAs(id, path string) {
	resp, err := m.HandleRequest(m.b.Context(),
		&logical.Request{Operation: logical.ReadOperation, Path: path, EntityID: id,
			Storage: m.storage, MountPoint: "s3conn/"})
	if err != nil || resp.IsError() {
		m.b.Fatalf("%s reads %s: %v, %+v", id, path, err, resp)
	}
}

func entityNames() []string {
	names := make([]string, manyEntities)
	for i := range names {
		names[i] = fmt.Sprintf("11111111-2222-3333-4444-%012d", i)
	}
	return names
}

// BenchmarkScopedRead is a cached read of a scope, without templates and with 1,000 entities.
func BenchmarkScopedRead(b *testing.B) {
	for _, path := range []string{"creds/orders/fixed", "sdk/orders/fixed", "creds/orders/home", "sdk/orders/home"} {
		b.Run(path, func(b *testing.B) {
			m, names := newScopeBench(b), entityNames()
			for _, name := range names {
				m.readAs(name, path)
			}
			m.countTrips(func() {
				for i := 0; b.Loop(); i++ {
					m.readAs(names[i%len(names)], path)
				}
			})
		})
	}
}

// BenchmarkScopedMemory is what the plugin keeps for one entity's session of a templated scope, and for what it knows
// of the entity.
func BenchmarkScopedMemory(b *testing.B) {
	for b.Loop() {
		m, names := newScopeBench(b), entityNames()
		m.readAs("first", "creds/orders/home")
		before := heap()
		for _, name := range names {
			if _, err := m.entities.of(b.Context(), name, &session.Patience{}); err != nil {
				b.Fatal(err)
			}
		}
		known := heap()
		for _, name := range names {
			m.readAs(name, "creds/orders/home")
		}
		b.ReportMetric((known-before)/manyEntities, "B/entity")
		b.ReportMetric((heap()-known)/manyEntities, "B/session")
		runtime.KeepAlive(m)
	}
}
