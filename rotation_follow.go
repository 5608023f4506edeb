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

// followRotation ends the rotation of a connection that has been written or deleted, as far as that has changed its
// key, and schedules the next. after is nil for a deleted one. The caller does not hold the name's lock: IAM is called.
func (b *backend) followRotation(ctx context.Context, storage logical.Storage, name string,
	before, after *connection.Connection) (warnings []string, err error) {
	if before != nil && !before.UsesRolesAnywhere() {
		if warnings, err = b.endRotation(ctx, storage, name, before, after); err != nil {
			return warnings, err
		}
	}
	if after == nil || after.UsesRolesAnywhere() {
		b.scheduleRotation(name, time.Time{})
		return warnings, nil
	}
	if after.RotationPeriod > 0 { // there may be no state yet, or its rotation has just been ended
		if err := b.beginRotations(ctx, storage, name); err != nil {
			return warnings, err
		}
	}
	stored, err := loadRotation(ctx, storage, name, after)
	if err != nil {
		return warnings, err
	}
	b.scheduleRotation(name, stored.Due())
	return warnings, nil
}

// beginRotations stores a state where there is none: connections that rotate are found by their states at the start of
// a backend, which does not read all connections.
func (b *backend) beginRotations(ctx context.Context, storage logical.Storage, name string) error {
	unlock, err := b.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	entry, err := storage.Get(ctx, rotationPrefix+name)
	if err != nil || entry != nil {
		return err
	}
	return saveRotation(ctx, storage, name, rotation.State{})
}

// endRotation deletes the keys that the rotation of the key before would delete later.
func (b *backend) endRotation(ctx context.Context, storage logical.Storage, name string,
	before, after *connection.Connection) (warnings []string, err error) {
	stays := after != nil && !after.UsesRolesAnywhere()
	stored, err := loadRotation(ctx, storage, name, before)
	if err != nil || stays && (after.AccessKey == before.AccessKey || stored.State.Phase == rotation.Idle) {
		return nil, err
	}
	if stored.State.Phase != rotation.Idle {
		bounded, cancel := context.WithTimeout(ctx, maxCleanUp)
		defer cancel()
		inUse := ""
		if stays {
			inUse = after.AccessKey
		}
		if err := rotation.CleanUp(bounded, stored, b.iam(before), inUse); err != nil {
			text := "access_key: " + err.Error()
			if stays {
				return []string{text + "; it is tried again later"}, nil
			}
			warnings = append(warnings, text+"; delete it in IAM")
		}
	}
	if stored.State.Phase == rotation.Grace || stored.State.Phase == rotation.Inactive {
		warnings = append(warnings, fmt.Sprintf("access_key: %s, which a rotation has made, stays in IAM; delete it "+
			"there when nobody uses it any more", problem.Quote(before.AccessKey)))
	}
	if err := storage.Delete(ctx, rotationPrefix+name); err != nil {
		return warnings, fmt.Errorf("deleting the rotation of connection %q from storage: %w", name, err)
	}
	return warnings, nil
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
