package s3conn

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/s3conn/vault-plugin-s3conn/internal/connection"
	"github.com/s3conn/vault-plugin-s3conn/internal/problem"
	"github.com/s3conn/vault-plugin-s3conn/internal/rotation"
	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

const (
	// leftPrefix is where it is stored what is left to be done of rotations, by random IDs.
	leftPrefix  = "rotation-left/"
	leftVersion = 1

	// maxCleanUp bounds how long a write or a delete waits for IAM to delete the keys of a rotation.
	maxCleanUp = 10 * time.Second
	// maxLeftFor is how long an IAM that does not respond is tried.
	maxLeftFor = 7 * 24 * time.Hour
)

// leftRotation is what is left to be done in IAM of a rotation whose connection was deleted or has got another key from
// an operator. It is stored before that is, with what IAM is reached by. So it may be of a write that was not stored in
// the end: a key is deleted only if the connection of the name does not use it.
type leftRotation struct {
	id     string
	name   string
	conn   *connection.Connection
	stored rotation.Stored
	since  time.Time
}

// leftEntry is its stored form, encrypted and seal wrapped. The tags never change.
type leftEntry struct {
	Version    int             `json:"version"`
	Name       string          `json:"name"`
	Since      time.Time       `json:"since"`
	Connection json.RawMessage `json:"connection"`
	Rotation   json.RawMessage `json:"rotation"`
}

func leftOf(id string) schedule.Key { return schedule.Key{Kind: leftJob, Name: id} }

// handOver is called with the name's lock held, before a write or a deletion is stored that takes its key from a
// connection. It stores what is left to be done of the key's rotation, nil where that is nothing, and warns of a key
// that stays in IAM.
func (b *backend) handOver(ctx context.Context, storage logical.Storage, name string,
	before, after *connection.Connection) (left *leftRotation, warnings []string, err error) {
	if !takesKey(before, after) {
		return nil, nil, nil
	}
	stored, err := loadRotation(ctx, storage, name, before)
	switch {
	case errors.Is(err, rotation.ErrUnreadable):
		return nil, []string{"access_key: " + err.Error() + "; look for the keys of its user in IAM"}, nil
	case err != nil:
		return nil, nil, err
	}
	if stored.Stays() {
		b.Logger().Warn("an access key that a rotation has made is taken from its connection and stays in IAM",
			"connection", name, "access_key", before.AccessKey)
		warnings = append(warnings, fmt.Sprintf("access_key: %s, which a rotation has made, stays in IAM; delete it "+
			"there when nobody uses it any more", problem.Quote(before.AccessKey)))
	}
	stored, some := stored.Left(b.now())
	if !some {
		return nil, warnings, nil
	}
	left = &leftRotation{id: rand.Text(), name: name, conn: before, stored: stored, since: b.now()}
	left.stored.State.NextTry = time.Time{}
	if err := left.save(ctx, storage); err != nil {
		return nil, nil, err
	}
	b.jobs.Set(leftOf(left.id), b.now().Add(schedule.FirstPause))
	return left, warnings, nil
}

// warnOfUnknownKeys names the keys of a rotation whose connection cannot be read any more: IAM cannot be called.
func warnOfUnknownKeys(ctx context.Context, storage logical.Storage, name string) []string {
	stored, err := loadRotation(ctx, storage, name, &connection.Connection{})
	if err != nil || stored.State.Phase == rotation.Idle {
		return nil
	}
	return []string{fmt.Sprintf("access_key: the stored connection cannot be read, and its key was being rotated; "+
		"look for the access keys of the user of %s in IAM", problem.Quote(stored.State.Old.ID))}
}

func (l *leftRotation) save(ctx context.Context, storage logical.Storage) error {
	conn, connErr := l.conn.Encode()
	state, stateErr := l.stored.State.Encode()
	entry, err := logical.StorageEntryJSON(leftPrefix+l.id, &leftEntry{Version: leftVersion, Name: l.name,
		Since: l.since.UTC(), Connection: conn, Rotation: state})
	if err := errors.Join(connErr, stateErr, err); err != nil {
		return fmt.Errorf("encoding what is left of the rotation of connection %q: %w", l.name, err)
	}
	if err := storage.Put(ctx, entry); err != nil {
		return fmt.Errorf("storing what is left of the rotation of connection %q: %w", l.name, err)
	}
	return nil
}

// errUnreadableLeft is of an entry that is damaged or of a newer plugin. It quotes nothing of it.
var errUnreadableLeft = errors.New("the entry is damaged or of a newer plugin")

// loadLeft returns nil where there is no such entry.
func loadLeft(ctx context.Context, storage logical.Storage, id string) (*leftRotation, error) {
	entry, err := storage.Get(ctx, leftPrefix+id)
	if err != nil || entry == nil {
		return nil, err
	}
	var e leftEntry
	if json.Unmarshal(entry.Value, &e) != nil || e.Version != leftVersion {
		return nil, errUnreadableLeft
	}
	conn, connErr := connection.Decode(e.Connection)
	state, stateErr := rotation.Decode(e.Rotation)
	if connErr != nil || stateErr != nil {
		return nil, errUnreadableLeft
	}
	stored := rotation.Stored{State: state, Current: rotation.Key{ID: conn.AccessKey, Secret: conn.SecretKey}}
	return &leftRotation{id: id, name: e.Name, conn: conn, stored: stored, since: e.Since}, nil
}

// cleanUp does what is left, and returns when that is to be done again; zero: never. What could not be done is an error
// in words that may be shown. It calls IAM: no lock is held.
func (b *backend) cleanUp(ctx context.Context, storage logical.Storage, left *leftRotation) (time.Time, error) {
	inUse := func(ctx context.Context, id string) (bool, error) { return b.usesKey(ctx, storage, left, id) }
	again, err := left.stored.CleanUp(ctx, b.iam(left.conn), inUse, b.now())
	state := &left.stored.State
	switch now := b.now(); {
	case err == nil && !again.IsZero():
		state.NextTry = again
	case err == nil:
	case permanentCleanUp(err), now.Sub(left.since) > maxLeftFor:
		err = fmt.Errorf("%w; delete it in IAM", err)
		b.Logger().Error("cleaning up after a rotation is given up", "connection", left.name, "error", err)
	default:
		state.Failures++
		again = now.Add(schedule.Pause(state.Failures, 0, b.rotator.Random()))
		state.LastError, state.LastTry, state.NextTry = err.Error(), now, again
		b.Logger().Warn("cleaning up after a rotation", "connection", left.name, "error", err,
			"next_try", instant(again))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWait)
	defer cancel()
	if noteErr := left.note(ctx, storage, again); noteErr != nil {
		again = b.now().Add(schedule.FirstPause)
		b.Logger().Warn("storing how far the cleaning up after a rotation is", "connection", left.name,
			"error", noteErr)
	}
	return again, err
}

// noteWait bounds the write of how far a clean-up is.
const noteWait = 2 * time.Second

// note stores how far it is; again is zero at the end.
func (l *leftRotation) note(ctx context.Context, storage logical.Storage, again time.Time) error {
	if again.IsZero() {
		return storage.Delete(ctx, leftPrefix+l.id)
	}
	return l.save(ctx, storage)
}

// permanentCleanUp reports whether the same error would be returned again.
func permanentCleanUp(err error) bool {
	var ambiguous *rotation.AmbiguousError
	return permanentProof(err) || errors.As(err, &ambiguous)
}

// errRotating is returned while a key cannot be distinguished from one that another rotation has just requested.
var errRotating = errors.New("another rotation of the same key is under way")

// usesKey says whether the connection of the name, or its rotation, uses the key: a write that was not stored in the
// end has left it to them, and an operator may have written it again.
func (b *backend) usesKey(ctx context.Context, storage logical.Storage, left *leftRotation, id string) (bool, error) {
	conn, err := loadConfig(ctx, storage, left.name)
	if err != nil {
		return false, err
	}
	if conn == nil || conn.UsesRolesAnywhere() {
		return false, nil
	}
	stored, err := loadRotation(ctx, storage, left.name, conn)
	if err != nil {
		return false, err
	}
	if stored.Uses(id) {
		return true, nil
	}
	if stored.State.Phase == rotation.Creating && left.stored.State.Phase == rotation.Creating &&
		stored.Current.ID == left.stored.State.Old.ID {
		return false, errRotating
	}
	return false, nil
}

// cleanUpNow is cleanUp for a write or a deletion, which warns of what could not be done.
func (b *backend) cleanUpNow(ctx context.Context, storage logical.Storage, left *leftRotation) (warnings []string) {
	if left == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, maxCleanUp)
	defer cancel()
	again, err := b.cleanUp(bounded, storage, left)
	b.jobs.Set(leftOf(left.id), again)
	switch {
	case err == nil && again.IsZero():
		return nil
	case err == nil:
		return []string{"access_key: IAM may have made a key for a rotation that it does not list yet; it is looked " +
			"for again at " + instant(again)}
	case again.IsZero():
		return []string{"access_key: " + err.Error()}
	}
	return []string{"access_key: " + err.Error() + "; it is tried again later"}
}

// runLeft is the job: cleanUp after a crash or a failure.
func (b *backend) runLeft(ctx context.Context, id string) time.Time {
	ctx, cancel := context.WithTimeout(ctx, maxCleanUp)
	defer cancel()
	left, err := loadLeft(ctx, b.storage, id)
	switch {
	case errors.Is(err, errUnreadableLeft):
		b.Logger().Error("cleaning up after a rotation is not possible", "entry", leftPrefix+id, "error", err)
		return time.Time{}
	case err != nil:
		return b.now().Add(schedule.FirstPause)
	case left == nil:
		return time.Time{}
	}
	again, _ := b.cleanUp(ctx, b.storage, left)
	return again
}

// findLeft schedules what is stored under leftPrefix, at the start of a backend.
func (b *backend) findLeft(id string) error {
	left, err := loadLeft(b.background, b.storage, id)
	if err != nil && !errors.Is(err, errUnreadableLeft) {
		return err
	}
	if _, waiting := b.jobs.Due(leftOf(id)); waiting {
		return nil
	}
	due := b.now() // also where it cannot be read, which its run logs
	if left != nil && left.stored.State.NextTry.After(due) {
		due = left.stored.State.NextTry
	}
	b.jobs.Set(leftOf(id), due)
	return nil
}
