package s3conn

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func TestRotate_FailingStorageAtEveryWriteLeavesAWorkingConnection(t *testing.T) {
	t.Parallel()
	for at := 1; at <= 5; at++ {
		t.Run(strconv.Itoa(at), func(t *testing.T) {
			t.Parallel()
			l := newKeyLab(t)
			writes := 0
			l.mount.storage.beforePut = func(string) {
				if writes++; writes == at {
					l.mount.storage.breakOn(errStorage, "put")
				}
			}
			_, err := l.do(t.Context(), logical.UpdateOperation, "rotate/reports", nil)
			l.rotator.Close()
			l.mount.storage.beforePut = nil
			l.mount.storage.breakOn(nil)
			l.start()
			if err := l.findJobs(); err != nil {
				t.Fatal(err)
			}
			for range 10 { // until nothing is due any more
				next := l.runDue()
				if next.IsZero() {
					break
				}
				l.clock.Advance(next.Sub(l.clock.Now()))
			}
			read := l.read("creds/reports").Data["access_key"]
			if ids := l.ids(); len(ids) != 1 || ids[0] != read {
				t.Errorf("storage that fails after write %d (%v): IAM has %v, a read shows %v", at, err, ids, read)
			}
		})
	}
}

func TestRotate_CancelledWithoutStorageAndOnStandbys(t *testing.T) {
	t.Parallel()
	l := newKeyLab(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if resp, err := l.do(gone, logical.UpdateOperation, "rotate/reports", nil); err == nil && !resp.IsError() {
		t.Errorf("a cancelled rotation is answered with %v", resp)
	}
	m := newMount(t)
	m.storage.breakOn(errStorage, "get")
	if _, err := m.do(t.Context(), logical.UpdateOperation, "rotate/reports", nil); !errors.Is(err, errStorage) {
		t.Errorf("without storage: %v", err)
	}
	operation := m.Route("rotate/x").Operations[logical.UpdateOperation].(*framework.PathOperation)
	if !operation.ForwardPerformanceStandby || !operation.ForwardPerformanceSecondary {
		t.Error("a standby rotates by itself")
	}
}
