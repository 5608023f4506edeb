package s3conn

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

func TestStatus_OnAStandbyIsMarked(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	if data := m.status("reports"); data["node"] != "active" {
		t.Errorf("the node is %v, want active", data["node"])
	}
	m.start()
	m.System().(*logical.StaticSystemView).ReplicationStateVal = consts.ReplicationPerformanceStandby
	for _, resp := range []*logical.Response{m.read("status/reports"), m.read("status"),
		m.must(logical.ListOperation, "status/", nil)} {
		if !slices.Contains(resp.Warnings, standbyWarning) {
			t.Errorf("a standby's %v has the warnings %q", resp.Data, resp.Warnings)
		}
	}
	if node := m.status("reports")["node"]; node != "standby" {
		t.Errorf("the node is %v, want standby", node)
	}
}

func TestStatus_StorageThatFails(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		fails, path string
		op          logical.Operation
	}{
		{"get", "status/reports", logical.ReadOperation}, {"get", "status", logical.ReadOperation},
		{"list", "status", logical.ReadOperation}, {"get", "status/", logical.ListOperation},
		{"list", "status/", logical.ListOperation},
	} {
		m := newMount(t)
		m.write("reports", accessKeyFields())
		m.storage.breakOn(errStorage, tc.fails)
		if _, err := m.do(t.Context(), tc.op, tc.path, nil); !errors.Is(err, errStorage) {
			t.Errorf("%s %s where %s fails: %v, want the storage's error", tc.op, tc.path, tc.fails, err)
		}
	}
}

func TestStatus_CallerThatHangsUp(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.storage.hangOn(configPrefix)
	for path, op := range map[string]logical.Operation{"status": logical.ReadOperation,
		"status/": logical.ListOperation, "status/reports": logical.ReadOperation} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := m.do(ctx, op, path, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%s of %s: %v, want it to end with its caller", op, path, err)
		}
	}
}

func TestStatus_ListsEveryConnectionInOrder(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	for _, name := range []string{"b", "c", "a"} {
		m.write(name, rolesAnywhereFields(t))
	}
	data := m.must(logical.ListOperation, "status/", nil).Data
	if keys := data["keys"].([]string); !slices.Equal(keys, []string{"a", "b", "c"}) {
		t.Errorf("the keys are %v", keys)
	}
	info := data["key_info"].(map[string]any)
	if names := slices.Sorted(maps.Keys(info)); len(names) != 3 {
		t.Errorf("key info is about %v", names)
	}
	if one := info["a"].(map[string]any); one["auth_type"] != "roles_anywhere" || one["certificate_not_after"] == nil {
		t.Errorf("key info is %v", one)
	}
}
