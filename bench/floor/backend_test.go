package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// remoteSystem fails a test that asks Vault for anything: over gRPC that would be another hop.
type remoteSystem struct {
	*logical.StaticSystemView
	asked func()
}

func (s remoteSystem) ReplicationState() consts.ReplicationState {
	s.asked()
	return s.StaticSystemView.ReplicationState()
}

func newTestFloor(t *testing.T, asked func()) *floor {
	t.Helper()
	f := newFloor(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))
	err := f.Setup(t.Context(), &logical.BackendConfig{
		Logger: hclog.NewNullLogger(), System: remoteSystem{logical.TestSystemView(), asked},
		StorageView: &logical.InmemStorage{}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func read(t *testing.T, f *floor, path string) *logical.Response {
	t.Helper()
	resp, err := f.HandleRequest(t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: path,
		Storage: &logical.InmemStorage{}})
	if err != nil || resp == nil || resp.IsError() {
		t.Fatalf("reading %s: %+v, %v", path, resp, err)
	}
	return resp
}

func TestFloor_AnswersInOneHop(t *testing.T) {
	t.Parallel()
	f := newTestFloor(t, func() { t.Error("the floor asked Vault for its replication state") })
	if resp := read(t, f, "leaseless/orders"); resp.Secret != nil || len(resp.Data) != 9 {
		t.Errorf("leaseless: %+v", resp)
	}
	if resp := read(t, f, "leased/orders"); resp.Secret == nil || resp.Secret.TTL != 59*time.Minute {
		t.Errorf("leased: %+v", resp)
	}
	var body map[string]any
	if err := json.Unmarshal(read(t, f, "raw/orders").Data[logical.HTTPRawBody].([]byte), &body); err != nil ||
		body["AccessKeyId"] == "" {
		t.Errorf("raw: %v, %v", body, err)
	}
}

func TestFloor_FrameworkAsksVault(t *testing.T) {
	t.Parallel()
	asked := 0
	f := newTestFloor(t, func() { asked++ })
	read(t, f, "framework/orders")
	if asked != 1 {
		t.Errorf("the framework asked Vault %d times, want once: if it has stopped, the floor needs no way around it",
			asked)
	}
}
