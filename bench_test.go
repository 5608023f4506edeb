package s3conn

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/budget"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

// countingStorage counts round trips to Vault: over gRPC each would cost as much as a cached read.
type countingStorage struct {
	logical.Storage
	trips atomic.Int64
}

func (s *countingStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.trips.Add(1)
	return s.Storage.Get(ctx, key)
}

func (s *countingStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	s.trips.Add(1)
	return s.Storage.Put(ctx, entry)
}

func (s *countingStorage) List(ctx context.Context, prefix string) ([]string, error) {
	s.trips.Add(1)
	return s.Storage.List(ctx, prefix)
}

func (s *countingStorage) Delete(ctx context.Context, key string) error {
	s.trips.Add(1)
	return s.Storage.Delete(ctx, key)
}

// benchMount is a backend as a benchmark needs it: no checks beside the measured work, no upstream, and sessions that
// never run out.
type benchMount struct {
	*backend
	b       *testing.B
	storage *countingStorage
	calls   atomic.Int64 // of CreateSession
	down    atomic.Bool  // CreateSession fails
	written map[string]bool
}

func newBenchMount(b *testing.B) *benchMount {
	b.Helper()
	m := &benchMount{b: b, storage: &countingStorage{Storage: &logical.InmemStorage{}}, written: map[string]bool{}}
	m.backend = newBackend(func() time.Time { return testTime }, m.createSession, nil)
	err := m.Setup(b.Context(), &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), System: logical.TestSystemView(), StorageView: m.storage})
	if err != nil {
		b.Fatalf("setting up the backend: %v", err)
	}
	b.Cleanup(func() { m.Cleanup(context.Background()) })
	return m
}

// createSession returns what AWS would, in its sizes; each session has strings of its own, as one that was parsed has.
func (m *benchMount) createSession(context.Context, *connection.Connection, budget.Lane) (session.Session, error) {
	if m.down.Load() {
		return session.Session{}, errStorage
	}
	n := m.calls.Add(1)
	return session.Session{Issued: testTime,
		AccessKey:    fmt.Sprintf("ASIA%016d", n),
		SecretKey:    secret.New(fmt.Sprintf("%040d", n)),
		SessionToken: secret.New(fmt.Sprintf("%0912d", n)),
		Expiration:   testTime.Add(time.Hour),
		ARN:          fmt.Sprintf("ARN:aws:sts::%s:assumed-role/app/orders-api-%d", testAccount, n),
	}, nil
}

func (m *benchMount) do(op logical.Operation, path string, data map[string]any) *logical.Response {
	resp, err := m.HandleRequest(m.b.Context(), &logical.Request{
		Operation: op, Path: path, Data: data, Storage: m.storage, MountPoint: "s3conn/"})
	if err == nil && resp.IsError() {
		err = resp.Error()
	}
	if err != nil {
		m.b.Fatalf("%s %s: %v", op, path, err)
	}
	return resp
}

func (m *benchMount) read(path string) *logical.Response {
	return m.do(logical.ReadOperation, path, nil)
}

// write creates a connection, or changes the one that it has written before.
func (m *benchMount) write(name string, data map[string]any) {
	operation := logical.CreateOperation
	if m.written[name] {
		operation = logical.UpdateOperation
	}
	m.written[name] = true
	m.do(operation, configPrefix+name, data)
}

// countTrips reports the storage round trips that work makes, per operation.
func (m *benchMount) countTrips(work func()) {
	m.b.Helper()
	before := m.storage.trips.Load()
	m.b.ReportAllocs()
	work()
	m.b.ReportMetric(float64(m.storage.trips.Load()-before)/float64(m.b.N), "trips/op")
}

// BenchmarkRead is a cached read in process, by what is read.
func BenchmarkRead(b *testing.B) {
	for _, kind := range []struct{ name, path, connection string }{
		{"creds/leased", "creds/", "leased"},
		{"creds/leaseless", "creds/", "leaseless"},
		{"creds/access-key", "creds/", "keys"},
		{"sdk", "sdk/", "leaseless"},
	} {
		b.Run(kind.name, func(b *testing.B) {
			m := newBenchMount(b)
			m.write("leased", rolesAnywhereFields(b))
			m.write("leaseless", rolesAnywhereFields(b, with("generate_lease", false)))
			m.write("keys", accessKeyFields())
			path := kind.path + kind.connection
			m.read(path)
			m.countTrips(func() {
				for b.Loop() {
					m.read(path)
				}
			})
		})
	}
}

// BenchmarkReadParallel has every processor read one connection, whose lock they share.
func BenchmarkReadParallel(b *testing.B) {
	m := newBenchMount(b)
	m.write("leaseless", rolesAnywhereFields(b, with("generate_lease", false)))
	m.read("creds/leaseless")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.read("creds/leaseless")
		}
	})
}

// BenchmarkResponse is the part of a read that makes the answer from a session.
func BenchmarkResponse(b *testing.B) {
	m := newBenchMount(b)
	conn := connection.New()
	s, _ := m.createSession(b.Context(), &conn, budget.First)
	now, used := m.clock(), &inUse{conn: &conn}
	b.Run("creds", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			credentialsResponse(&conn, &s, 3600)
		}
	})
	b.Run("lease", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.lease(&logical.Response{}, session.Key{Name: "orders"}, used, &s, now)
		}
	})
}

// BenchmarkConfig is what one write costs, and validation's part of it.
func BenchmarkConfig(b *testing.B) {
	fields := rolesAnywhereFields(b)
	b.Run("validate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p := &problem.List{}
			conn := connection.Merge(connection.New(), fields, p)
			conn.Validate(testTime, p)
			if err := p.Err("benchmark", ""); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		m := newBenchMount(b)
		m.countTrips(func() {
			for b.Loop() {
				m.write("orders", fields)
			}
		})
	})
	b.Run("read", func(b *testing.B) {
		m := newBenchMount(b)
		m.write("orders", fields)
		m.countTrips(func() {
			for b.Loop() {
				m.read("config/orders")
			}
		})
	})
}

// BenchmarkColdRead is the first read after a restart: the session comes from storage.
func BenchmarkColdRead(b *testing.B) {
	m := newBenchMount(b)
	m.write("orders", rolesAnywhereFields(b))
	m.read("creds/orders")
	m.countTrips(func() {
		for b.Loop() {
			m.sessions.Drop("orders")
			m.read("creds/orders")
		}
	})
	if calls := m.calls.Load(); calls != 1 {
		b.Errorf("CreateSession was called %d times, want once: a stored session has to serve", calls)
	}
}
