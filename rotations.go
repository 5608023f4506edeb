package s3conn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/health"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
)

// rotationPrefix is where the states of rotations are stored, by the connection's name.
const rotationPrefix = "rotation/"

// iamOf returns the IAM that a connection's access key is rotated with.
type iamOf func(conn *connection.Connection) rotation.IAM

// rotations is how rotations reach storage and IAM: it implements [rotation.Connections].
type rotations struct {
	*backend
}

func (b *backend) newRotator() *rotation.Rotator {
	return rotation.New(rotation.Config{
		Connections: rotations{b},
		Observer:    rotationLog{b},
		Now:         b.now,
		Random:      rand.Float64,
		Describe:    func(err error) error { return err }, // those of calls, storage and rotations can be shown
	})
}

// Load implements rotation.Connections.
func (r rotations) Load(ctx context.Context, name string) (rotation.Stored, rotation.IAM, error) {
	conn, err := loadConnection(ctx, r.storage, name)
	switch {
	case err != nil:
		return rotation.Stored{}, nil, err
	case conn == nil || conn.UsesRolesAnywhere():
		return rotation.Stored{}, nil, rotation.ErrGone
	}
	stored, err := loadRotation(ctx, r.storage, name, conn)
	return stored, r.iam(conn), err
}

// loadRotation returns what is stored of a connection's rotations. Since when it has its key is stored with the key.
func loadRotation(ctx context.Context, storage logical.Storage, name string, conn *connection.Connection) (
	rotation.Stored, error,
) {
	stored := rotation.Stored{Current: rotation.Key{ID: conn.AccessKey, Secret: conn.SecretKey}}
	stored.Period, stored.Grace = conn.Rotation()
	entry, err := storage.Get(ctx, rotationPrefix+name)
	if err != nil {
		return rotation.Stored{}, fmt.Errorf("reading the rotation of connection %q from storage: %w", name, err)
	}
	if entry != nil {
		if stored.State, err = rotation.Decode(entry.Value); err != nil {
			return rotation.Stored{}, fmt.Errorf("reading the rotation of connection %q: %w", name, err)
		}
	}
	stored.State.Since, _ = conn.LastRotation()
	return stored, nil
}

// Save implements rotation.Connections.
func (r rotations) Save(ctx context.Context, name string, before rotation.Stored, after rotation.State) error {
	unlock, err := r.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	now, _, err := r.Load(ctx, name)
	if err != nil {
		return err
	}
	was, err := before.State.Encode()
	if err != nil {
		return err
	}
	if is, err := now.State.Encode(); err != nil || !bytes.Equal(is, was) || now.Current.ID != before.Current.ID {
		return rotation.ErrChanged
	}
	if err := saveRotation(ctx, r.storage, name, after); err != nil {
		return err
	}
	r.vitals.drop(name)
	now.State = after
	r.scheduleRotation(name, now.Due())
	return nil
}

func saveRotation(ctx context.Context, storage logical.Storage, name string, state rotation.State) error {
	encoded, err := state.Encode()
	if err != nil {
		return fmt.Errorf("encoding the rotation of connection %q: %w", name, err)
	}
	if err := storage.Put(ctx, &logical.StorageEntry{Key: rotationPrefix + name, Value: encoded}); err != nil {
		return fmt.Errorf("storing the rotation of connection %q: %w", name, err)
	}
	return nil
}

// Swap implements rotation.Connections.
func (r rotations) Swap(ctx context.Context, name, old string, key rotation.Key) error {
	unlock, err := r.locks.lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	conn, err := loadConnection(ctx, r.storage, name)
	switch {
	case err != nil:
		return err
	case conn == nil || conn.UsesRolesAnywhere():
		return rotation.ErrGone
	case conn.AccessKey != old:
		return rotation.ErrChanged
	}
	before := *conn
	conn.AccessKey, conn.SecretKey, conn.Revision = key.ID, key.Secret, connection.NewRevision()
	conn.NoteKey(&before, r.now())
	defer r.forget(ctx, r.storage, name)
	return saveConnection(ctx, r.storage, name, conn)
}

// SharedWith implements rotation.Connections. It reads no more than a status does: see [vitalsIndex].
func (r rotations) SharedWith(ctx context.Context, name, id string) (string, error) {
	all, err := r.vitals.all(ctx, r.storage)
	if err != nil {
		return "", err
	}
	for _, one := range all {
		if one.name != name && one.vitals.accessKey == id {
			return one.name, nil
		}
	}
	return "", nil
}

// scheduleRotation makes the connection's rotation due at the time; zero: never.
func (b *backend) scheduleRotation(name string, due time.Time) {
	if due.IsZero() {
		b.jobs.Remove(rotationOf(name))
		return
	}
	b.jobs.Set(rotationOf(name), due)
}

// findRotation schedules what is stored under rotationPrefix, at the start of a backend.
func (b *backend) findRotation(name string) error {
	stored, _, err := rotations{b}.Load(b.background, name)
	var unreadable *connection.UnreadableError
	switch {
	case errors.Is(err, rotation.ErrGone):
		return b.forgetRotation(name)
	case errors.As(err, &unreadable), errors.Is(err, rotation.ErrUnreadable):
		b.Logger().Error("reading a rotation; the access key is not rotated", "connection", name, "error", err)
		return nil
	case err != nil:
		return err
	}
	if _, waiting := b.jobs.Due(rotationOf(name)); !waiting { // a write meanwhile knows better
		b.scheduleRotation(name, stored.Due())
	}
	return nil
}

// forgetRotation deletes the state of a connection whose deletion has not got through to it. What was left to be done
// was stored before the deletion: see [leftRotation].
func (b *backend) forgetRotation(name string) error {
	unlock, err := b.locks.lock(b.background, name)
	if err != nil {
		return err
	}
	defer unlock()
	conn, err := loadConnection(b.background, b.storage, name)
	if err != nil || conn != nil && !conn.UsesRolesAnywhere() {
		return err // it has been written meanwhile
	}
	return b.storage.Delete(b.background, rotationPrefix+name)
}

// rotationLog is the rotation.Observer.
type rotationLog struct{ *backend }

// Rotated implements rotation.Observer.
func (l rotationLog) Rotated(name, old, key string) {
	l.Logger().Info("rotated an access key", "connection", name, "access_key", key, "replaced", old)
	l.monitor.upkeep(health.Rotation, name, nil, time.Time{})
}

// RotationFailed implements rotation.Observer.
func (l rotationLog) RotationFailed(name string, err error, next time.Time) {
	l.monitor.upkeep(health.Rotation, name, err, next)
}
