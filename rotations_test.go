package s3conn

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestRotations_RefuseStepsOfAnotherStateOrKey(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.write("reports", accessKeyFields())
	m.write("orders", rolesAnywhereFields(t))
	r, ctx := rotations{m.backend}, t.Context()
	stored, _, err := r.Load(ctx, "reports")
	if err != nil {
		t.Fatal(err)
	}
	old, key := stored.Current.ID, rotation.Key{ID: "AKIANEW", Secret: secret.New("CANARY")}
	other := stored
	other.State.Phase, other.State.Until = rotation.Grace, testTime.Add(time.Hour)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	busy := func(step func() error) error { // no longer than the step: names may share a lock
		lock := m.locks.of("reports")
		lock <- struct{}{}
		defer func() { <-lock }()
		return step()
	}
	for name, test := range map[string]struct {
		err  error
		want error
	}{
		"a state that is another by now":       {r.Save(ctx, "reports", other, stored.State), rotation.ErrChanged},
		"a state of no connection":             {r.Save(ctx, "nothing", stored, other.State), rotation.ErrGone},
		"a state of a connection without keys": {r.Save(ctx, "orders", stored, other.State), rotation.ErrGone},
		"a state while a write takes long": {
			busy(func() error { return r.Save(gone, "reports", stored, other.State) }), errLocked},
		"a key in the place of another":      {r.Swap(ctx, "reports", "AKIAOTHER", key), rotation.ErrChanged},
		"a key of no connection":             {r.Swap(ctx, "nothing", old, key), rotation.ErrGone},
		"a key of a connection without keys": {r.Swap(ctx, "orders", old, key), rotation.ErrGone},
		"a key while a write takes long": {
			busy(func() error { return r.Swap(gone, "reports", old, key) }), errLocked},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", name, test.err, test.want)
		}
	}
	if got := m.read("creds/reports").Data["access_key"]; got != old {
		t.Errorf("the connection has the key %v", got)
	}
	if entry, err := m.storage.Get(ctx, rotationPrefix+"reports"); entry != nil || err != nil {
		t.Errorf("a state was stored (%v)", err)
	}
}

func TestRotations_OneFaultOfStorageChangesNothing(t *testing.T) {
	t.Parallel()
	for at, reached := 1, true; reached; at++ {
		m := newMount(t)
		m.write("reports", accessKeyFields())
		r, ctx := rotations{m.backend}, t.Context()
		before, _, err := r.Load(ctx, "reports")
		if err != nil {
			t.Fatal(err)
		}
		after := before.State
		after.Phase, after.Until, after.Old = rotation.Grace, testTime.Add(time.Hour), before.Current
		after.New = rotation.Key{ID: "AKIANEW", Secret: secret.New("s3cret-of-the-new-key")}
		steps := func() error {
			if err := r.Save(ctx, "reports", before, after); err != nil {
				return err
			}
			return r.Swap(ctx, "reports", before.Current.ID, after.New)
		}
		m.storage.failOnce(at)
		err = steps()
		reached = m.storage.hasFailed()
		m.storage.failOnce(0)
		if err != nil && !errors.Is(err, errStorage) {
			t.Errorf("with operation %d failing: %v", at, err)
		}
		got := m.must(logical.ReadOperation, "creds/reports", nil).Data["access_key"]
		if want := map[bool]string{true: "AKIANEW", false: before.Current.ID}[err == nil]; got != want {
			t.Errorf("with operation %d failing (%v) the connection has the key %v, want %s", at, err, got, want)
		}
	}
}
