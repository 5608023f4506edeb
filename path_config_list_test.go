package s3conn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
)

func TestConfigList_ShowsAuthTypeAndRegionAndSurvivesADamagedEntry(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields(with("custom_region", "xx-new-9")))
	m.write("orders", rolesAnywhereFields(t))
	if err := m.storage.Put(t.Context(), &logical.StorageEntry{Key: "config/damaged",
		Value: []byte(`{"secret_key": "CANARY`)}); err != nil {
		t.Fatal(err)
	}
	got := m.must(logical.ListOperation, "config/", nil).Data
	if keys := strings.Join(got["keys"].([]string), " "); keys != "damaged orders reports" {
		t.Errorf("keys = %s", keys)
	}
	info := got["key_info"].(map[string]any)
	if reports := info["reports"].(map[string]any); reports["auth_type"] != "access_key" ||
		reports["region"] != "xx-new-9" {
		t.Errorf("key info of reports = %v", reports)
	}
	if damaged := info["damaged"].(map[string]any); damaged["error"] == nil {
		t.Errorf("key info of a damaged entry = %v, want an error", damaged)
	}
	if strings.Contains(m.log.String(), "CANARY") {
		t.Error("the log quotes a damaged entry")
	}
}

func TestConfigList_LeavesOutWhatIsDeletedMeanwhile(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", accessKeyFields())
	m.write("reports", accessKeyFields())
	m.storage.Storage = deletingStorage{m.storage.Storage}
	got := m.must(logical.ListOperation, "config/", nil).Data
	if info := got["key_info"].(map[string]any); len(info) != 1 ||
		strings.Join(got["keys"].([]string), " ") != "reports" {
		t.Errorf("the list is %v, want reports alone", got)
	}
}

// deletingStorage has lost one connection by the time it is read.
type deletingStorage struct{ logical.Storage }

func (s deletingStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if key == "config/orders" {
		return nil, nil
	}
	return s.Storage.Get(ctx, key)
}

func TestConfigList_EndsWhenTheCallerHangsUp(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for i := range 50 {
		m.write(fmt.Sprintf("orders-%d", i), accessKeyFields())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var reads atomic.Int64
	m.storage.afterGet = func(string) { reads.Add(1); cancel() }
	if resp, err := m.do(ctx, logical.ListOperation, "config/", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the list of a caller that has gone = %+v, %v", resp, err)
	}
	if n := reads.Load(); n > 2*maxListLoads {
		t.Errorf("%d connections were read after the caller had gone, want at most those on their way", n)
	}
	if log := m.log.String(); strings.Contains(log, "listing connections") {
		t.Errorf("the log blames connections:\n%s", log)
	}
}
