package s3conn

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// meteredStorage counts reads of connections.
type meteredStorage struct {
	logical.Storage
	gets atomic.Int64
}

func (s *meteredStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.gets.Add(1)
	return s.Storage.Get(ctx, key)
}

// indexMount is a mount with connections whose reads are counted.
func indexMount(t *testing.T, connections int) (*mount, *meteredStorage) {
	t.Helper()
	m := newMount(t)
	metered := &meteredStorage{Storage: m.storage.Storage}
	m.storage.Storage = metered
	for i := range connections {
		m.write(fmt.Sprintf("orders-%03d", i), accessKeyFields())
	}
	return m, metered
}

// readsOf returns how many connections a status reads.
func (m *mount) readsOf(metered *meteredStorage) int64 {
	m.t.Helper()
	before := metered.gets.Load()
	m.read("status")
	return metered.gets.Load() - before
}

func TestVitals_AreReadOnceAndAfterAChange(t *testing.T) {
	t.Parallel()
	m, metered := indexMount(t, 40)
	for _, step := range []struct {
		name   string
		change func()
		want   int64
	}{
		{"at first", func() {}, 40},
		{"again", func() {}, 0},
		{"after a write", func() { m.write("orders-003", with("region", "eu-west-1")) }, 1},
		{"after another node's write", func() { m.InvalidateKey(t.Context(), "config/orders-004") }, 1},
		{"after a deletion", func() { m.must(logical.DeleteOperation, "config/orders-005", nil) }, 0},
		{"after a new one", func() { m.write("orders-005", accessKeyFields()) }, 1},
		{"after a restart", m.start, 40},
		{"after ten minutes", func() { m.clock.Advance(vitalsAge) }, 40},
	} {
		step.change()
		if got := m.readsOf(metered); got != step.want {
			t.Errorf("%s a status reads %d connections, want %d", step.name, got, step.want)
		}
	}
}

// Whoever watches a big mount pays a little each time.
func TestVitals_AreReadAgainAFewAtATime(t *testing.T) {
	t.Parallel()
	m, metered := indexMount(t, maxRereads+10)
	m.readsOf(metered)
	m.clock.Advance(vitalsAge)
	for _, want := range []int64{maxRereads, 10, 0} {
		if got := m.readsOf(metered); got != want {
			t.Errorf("a status reads %d connections again, want %d", got, want)
		}
	}
}

func TestVitals_WhatWasReadBeforeAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", accessKeyFields())
	changed := false
	m.storage.afterGet = func(string) {
		if !changed {
			changed = true
			m.vitals.drop("orders") // as the write's own call does, after this read of what was there before
		}
	}
	m.read("status")
	m.storage.afterGet = nil
	if v := m.vitals.byName["orders"].vitals; v != nil {
		t.Errorf("the index keeps %+v, which was read before a change", v)
	}
	if all := m.read("status").Data; all["connections"] != 1 {
		t.Errorf("the next status is %v", all)
	}
}

func TestVitals_LostNoticeIsNoticedInTime(t *testing.T) {
	t.Parallel()
	m, _ := indexMount(t, 1)
	m.read("status")
	elsewhere, err := m.storage.Get(t.Context(), "config/orders-000")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.Value = []byte(`{}`)
	if err := m.storage.Put(t.Context(), elsewhere); err != nil {
		t.Fatal(err)
	}
	m.clock.Advance(vitalsAge - time.Second)
	if failing := m.read("status").Data["failing"].([]string); len(failing) != 0 {
		t.Errorf("%v is known before it was read again", failing)
	}
	m.clock.Advance(time.Second)
	if failing := m.read("status").Data["failing"].([]string); len(failing) != 1 {
		t.Errorf("failing are %v, want the changed connection", failing)
	}
}

// createdWhileListed is a storage in which something happens between the listing of the connections and its use.
type createdWhileListed struct {
	logical.Storage
	listed func()
}

func (s *createdWhileListed) List(ctx context.Context, prefix string) ([]string, error) {
	names, err := s.Storage.List(ctx, prefix)
	if s.listed != nil && prefix == configPrefix {
		s.listed()
	}
	return names, err
}

// A listing does not have what was created after it, and what is known of that must not be forgotten.
func TestVitals_WhatIsCreatedWhileTheyAreListedKeepsItsRecord(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", accessKeyFields())
	m.read("status")
	slow := &createdWhileListed{Storage: m.storage.Storage}
	m.storage.Storage = slow
	slow.listed = func() {
		slow.listed = nil
		m.write("new", accessKeyFields())
		m.read("creds/new")
		m.read("status/new")
	}
	m.read("status")
	if reads := m.read("status/new").Data["reads"].(map[string]any)["creds"]; reads != uint64(1) {
		t.Errorf("%v reads of the new connection are known, want 1", reads)
	}

	// What is gone is forgotten all the same, at the next listing.
	if err := slow.Delete(t.Context(), "config/new"); err != nil { // by another node, whose notice was lost
		t.Fatal(err)
	}
	if all := m.read("status").Data["connections"]; all != 1 {
		t.Errorf("%v connections, want 1", all)
	}
	if m.monitor.records.Find("new").HasReads() {
		t.Error("the record of a connection that is gone is kept")
	}
}
