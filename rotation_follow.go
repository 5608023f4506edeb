package s3conn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
)

// settleRotation has the state of a connection's rotations follow a write or, with an after of nil, a deletion that has
// been stored, and schedules the next. The caller holds the name's lock and has called handOver before.
func (b *backend) settleRotation(ctx context.Context, storage logical.Storage, name string,
	before, after *connection.Connection) error {
	if after == nil || after.UsesRolesAnywhere() {
		b.scheduleRotation(name, time.Time{})
		if after != nil && before == nil || before != nil && before.UsesRolesAnywhere() {
			return nil
		}
		if err := storage.Delete(ctx, rotationPrefix+name); err != nil {
			return fmt.Errorf("deleting the rotation of connection %q from storage: %w", name, err)
		}
		return nil
	}
	stored, err := loadRotation(ctx, storage, name, after)
	taken := takesKey(before, after)
	switch {
	case taken && (errors.Is(err, rotation.ErrUnreadable) || err == nil && stored.State.Phase != rotation.Idle):
		if err = saveRotation(ctx, storage, name, stored.State.Ended()); err == nil {
			stored, err = loadRotation(ctx, storage, name, after)
		}
	case err == nil && after.RotationPeriod > 0:
		err = beginRotations(ctx, storage, name)
	}
	if err != nil {
		return err
	}
	b.scheduleRotation(name, stored.Due())
	return nil
}

// takesKey says whether a write, or with an after of nil a deletion, takes its access key from a connection.
func takesKey(before, after *connection.Connection) bool {
	return before != nil && !before.UsesRolesAnywhere() &&
		(after == nil || after.UsesRolesAnywhere() || after.AccessKey != before.AccessKey)
}

// beginRotations stores a state where there is none: connections that rotate are found by their states at the start of
// a backend, which does not read all connections. The caller holds the name's lock.
func beginRotations(ctx context.Context, storage logical.Storage, name string) error {
	entry, err := storage.Get(ctx, rotationPrefix+name)
	if err != nil || entry != nil {
		return err
	}
	return saveRotation(ctx, storage, name, rotation.State{})
}

// warnOfSharedKey warns of an access key that another connection has too, where one of the two rotates. It reads
// nothing, and so knows only those connections that a status or a rotation has read.
func (b *backend) warnOfSharedKey(name string, conn *connection.Connection) []string {
	if conn.UsesRolesAnywhere() {
		return nil
	}
	other := b.vitals.sharing(name, conn)
	if other == "" {
		return nil
	}
	return []string{fmt.Sprintf("access_key: the connection %s has the same access key, so that neither can rotate "+
		"it; give each the key of an IAM user of its own", problem.Quote(other))}
}

// rotationStatus is what status/NAME shows of a rotation beside its last failure.
func rotationStatus(ctx context.Context, storage logical.Storage, name string) (map[string]any, error) {
	conn, err := loadConnection(ctx, storage, name)
	var unreadable *connection.UnreadableError
	switch {
	case errors.As(err, &unreadable):
		return nil, nil // the state of the connection says so
	case err != nil || conn == nil || conn.UsesRolesAnywhere():
		return nil, err
	}
	stored, err := loadRotation(ctx, storage, name, conn)
	switch {
	case errors.Is(err, rotation.ErrUnreadable):
		return nil, nil // the last failure says so
	case err != nil:
		return nil, err
	}
	state, shown := stored.State, map[string]any{}
	if next := stored.NextRotation(); !next.IsZero() {
		shown["last_vault_rotation"], shown["next_rotation"] = instant(state.Since), instant(next)
	}
	switch state.Phase {
	case rotation.Idle:
	case rotation.Grace, rotation.Inactive:
		shown["previous_access_key"], shown["previous_key_end"] = state.Old.ID, instant(state.Until)
		if state.Phase == rotation.Inactive {
			shown["previous_key_end"] = instant(state.Until.Add(-rotation.InactiveFor))
		}
	default:
		shown["under_way_since"] = instant(state.Began)
	}
	return shown, nil
}
