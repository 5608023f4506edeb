package s3conn

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/session"
)

const manyConnections = 10_000

// forgetfulStorage keeps no session, so that what is measured is the plugin's memory and not its storage's, which in
// a real Vault is elsewhere.
type forgetfulStorage struct{ logical.Storage }

func (s forgetfulStorage) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if strings.HasPrefix(entry.Key, sessionPrefix) {
		return nil
	}
	return s.Storage.Put(ctx, entry)
}

// heap is how much memory is in use, in bytes, with nothing left to collect.
func heap() float64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools held on to
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc + stats.StackInuse)
}

func benchNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("connection-%05d", i)
	}
	return names
}

func newScaleMount(b *testing.B, names []string) *benchMount {
	b.Helper()
	m := newBenchMount(b)
	m.storage.Storage = forgetfulStorage{m.storage.Storage}
	fields := rolesAnywhereFields(b, with("generate_lease", false))
	for _, name := range names {
		m.write(name, fields)
	}
	return m
}

// BenchmarkScaleRead is a cached read of each connection in turn: it must not depend on how many there are.
func BenchmarkScaleRead(b *testing.B) {
	for _, n := range []int{1, 100, manyConnections} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			m := newScaleMount(b, benchNames(n))
			paths := make([]string, n)
			for i, name := range benchNames(n) {
				paths[i] = "creds/" + name
				m.read(paths[i])
			}
			runtime.GC() // what was written before is not the reads' cost
			next := 0
			m.countTrips(func() {
				for b.Loop() {
					m.read(paths[next])
					next = (next + 1) % n
				}
			})
		})
	}
}

// BenchmarkScaleWrite is one more write where there are many connections, with the check for existence that Vault
// makes first. What was written is deleted again, uncounted, so that there are as many before each.
func BenchmarkScaleWrite(b *testing.B) {
	for _, n := range []int{0, manyConnections} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			m := newScaleMount(b, benchNames(n))
			fields := rolesAnywhereFields(b)
			written, trips := 0, int64(0)
			b.ReportAllocs()
			for b.Loop() {
				name := fmt.Sprintf("one-more-%d", written)
				before := m.storage.trips.Load()
				m.writeNew(name, fields)
				b.StopTimer()
				trips += m.storage.trips.Load() - before
				written++
				m.do(logical.DeleteOperation, configPrefix+name, nil)
				b.StartTimer()
			}
			b.ReportMetric(float64(trips)/float64(written), "trips/op")
		})
	}
}

// writeNew writes as Vault does: it asks first whether the connection exists, to know which operation the write is.
func (m *benchMount) writeNew(name string, fields map[string]any) {
	found, exists, err := m.HandleExistenceCheck(m.b.Context(), &logical.Request{
		Operation: logical.CreateOperation, Path: configPrefix + name, Data: fields, Storage: m.storage,
		MountPoint: "s3conn/"})
	if err != nil || !found || exists {
		m.b.Fatalf("checking for %s: found a check %v, exists %v, %v; want a check and no connection", name, found,
			exists, err)
	}
	m.write(name, fields)
}

// BenchmarkScaleList reads every connection for its key info.
func BenchmarkScaleList(b *testing.B) {
	for _, n := range []int{1, manyConnections} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			m := newScaleMount(b, benchNames(n))
			m.countTrips(func() {
				for b.Loop() {
					m.do(logical.ListOperation, "config/", nil)
				}
			})
		})
	}
}

// BenchmarkScaleMemory is what the plugin keeps for a connection that was read once, and for its session.
func BenchmarkScaleMemory(b *testing.B) {
	names := benchNames(manyConnections)
	m := newScaleMount(b, names)
	for b.Loop() {
		for _, name := range names {
			m.sessions.Drop(name)
		}
		empty := heap()
		m.down.Store(true) // so that connections are loaded and have no session
		for _, name := range names {
			_, _, err := m.sessions.Get(b.Context(), m.storage, session.Key{Name: name}, session.MinRemaining)
			if !errors.Is(err, errStorage) {
				b.Fatal(err)
			}
		}
		loaded := heap()
		m.down.Store(false)
		for _, name := range names {
			m.sessions.Forgive(session.Key{Name: name})
		}
		for _, name := range names {
			m.read("creds/" + name)
		}
		inUse := heap()
		b.ReportMetric((loaded-empty)/manyConnections, "B/connection")
		b.ReportMetric((inUse-loaded)/manyConnections, "B/session")
	}
	runtime.KeepAlive(m)
}

// BenchmarkStart is what Vault waits for at unseal, for a mount with few connections and with many: a mount reads
// nothing before it is asked.
func BenchmarkStart(b *testing.B) {
	for _, n := range []int{0, manyConnections} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			m := newScaleMount(b, benchNames(n))
			config := &logical.BackendConfig{Logger: m.Logger(), System: logical.TestSystemView(),
				StorageView: m.storage}
			m.countTrips(func() {
				for b.Loop() {
					fresh := newBackend(m.now, m.createSession, nil)
					if err := fresh.Setup(b.Context(), config); err != nil {
						b.Fatal(err)
					}
					if err := fresh.Initialize(b.Context(),
						&logical.InitializationRequest{Storage: m.storage}); err != nil {
						b.Fatal(err)
					}
					fresh.Cleanup(context.Background())
				}
			})
		})
	}
}
