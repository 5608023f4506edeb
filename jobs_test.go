package s3conn

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// leftovers is a mount with a connection to renew, one to rotate, and what deletions in the middle have left.
func leftovers(t *testing.T) *mount {
	t.Helper()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	m.must(logical.UpdateOperation, "identity/orders/issuer",
		map[string]any{"type": "step_ca", "address": "https://ca"})
	m.write("reports", accessKeyFields(with("rotation_period", "24h")))
	putEntry(t, m, identityPrefix+"gone", m.storedIdentity("orders"))
	state := rotation.State{Phase: rotation.Grace, Until: testTime,
		Old: rotation.Key{ID: "AKIAOLD", Secret: secret.New("CANARY")}, New: rotation.Key{ID: "AKIANEW"}}
	encoded, err := state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	putEntry(t, m, rotationPrefix+"gone", string(encoded))
	m.start()
	return m
}

func TestFindJobs_OneFaultOfStorageIsMendedByTheNextSearch(t *testing.T) {
	t.Parallel()
	for at, reached := 1, true; reached; at++ {
		m := leftovers(t)
		m.storage.failOnce(at)
		err := m.findJobs()
		reached = m.storage.hasFailed()
		m.storage.failOnce(0)
		if errors.Is(err, errStorage) != reached {
			t.Errorf("with operation %d failing the search ends with %v", at, err)
		}
		if err := m.findJobs(); err != nil {
			t.Errorf("with operation %d having failed: %v", at, err)
		}
		if n := m.jobs.Len(); n != 2 {
			t.Errorf("with operation %d having failed %d jobs are known, want a renewal and a rotation", at, n)
		}
		for _, prefix := range []string{identityPrefix, rotationPrefix} {
			if entry, err := m.storage.Get(t.Context(), prefix+"gone"); entry != nil || err != nil {
				t.Errorf("with operation %d having failed %sgone is still stored (%v)", at, prefix, err)
			}
		}
		if log := m.log.String(); strings.Contains(log, "CANARY") {
			t.Errorf("the log is %s", log)
		}
	}
}

func TestFindJobs_EntriesThatCannotBeReadHideNoOther(t *testing.T) {
	t.Parallel()
	m := leftovers(t)
	putEntry(t, m, identityPrefix+"orders", "CANARY")
	m.write("second", rolesAnywhereFields(t))
	m.must(logical.UpdateOperation, "identity/second/issuer",
		map[string]any{"type": "step_ca", "address": "https://ca"})
	putEntry(t, m, rotationPrefix+"reports", "CANARY")
	m.start()
	if err := m.findJobs(); err != nil {
		t.Fatal(err)
	}
	if _, known := m.jobs.Due(renewalOf("second")); !known || m.jobs.Len() != 1 {
		t.Errorf("%d jobs are known, the second connection's: %v", m.jobs.Len(), known)
	}
	log := m.log.String()
	for _, line := range []string{"reading an identity; its certificate is not renewed",
		"reading a rotation; the access key is not rotated"} {
		if !strings.Contains(log, line) || strings.Contains(log, "CANARY") {
			t.Errorf("the log does not say %q: %s", line, log)
		}
	}
}

func TestFindJobs_FailuresOfBeforeAreKnownAfterARestart(t *testing.T) {
	sessionTest(t, func(t *testing.T, m *mount, _ *service) {
		issuer := renewed(t, m)
		issuer.fail(errors.New("down"))
		pass(17 * time.Hour)
		m.Cleanup(t.Context())
		m.start()
		if err := m.findJobs(); err != nil {
			t.Fatal(err)
		}
		if shown, _ := m.read("status/orders").Data["renewal"].(map[string]any); shown["last_failure"] == nil {
			t.Errorf("the status of the renewal is %v", shown)
		}
	})
}

func TestRunJob_PanicEndsNothing(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("orders", rolesAnywhereFields(t))
	m.storage.afterGet = func(string) { panic("CANARY") }
	next := m.runJob(t.Context(), renewalOf("orders"))
	m.storage.afterGet = nil
	if !next.Equal(testTime.Add(afterPanic)) {
		t.Errorf("the job that panicked runs again at %s", next)
	}
	if log := m.log.String(); !strings.Contains(log, "a job panicked") || strings.Contains(log, "CANARY") {
		t.Errorf("the log is %s", log)
	}
	if next := m.runJob(t.Context(), schedule.Key{Kind: "other", Name: "orders"}); !next.IsZero() {
		t.Errorf("a job of no kind is due at %s", next)
	}
}

func TestBackend_WithoutAServerStartsNothing(t *testing.T) {
	t.Parallel()
	made, err := NewFactory()(t.Context(), &logical.BackendConfig{})
	if err != nil {
		t.Fatal(err)
	}
	b := made.(*backend)
	if err := errors.Join(b.initialize(t.Context(), nil), b.periodic(t.Context(), nil)); err != nil {
		t.Error(err)
	}
	if b.search.running || b.search.done {
		t.Error("jobs are looked for")
	}
}
