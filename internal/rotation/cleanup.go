package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// CleanUp deletes the keys that a rotation would delete later, for a connection that is deleted or has got another key
// from an operator. The key that was the connection's last stays: it may be in use, and IAM lists it. So does the key
// with the ID inUse, which is the connection's from now on ("" for none): an operator may have gone back to the key
// before. The error names what could not be deleted.
func CleanUp(ctx context.Context, stored Stored, iam IAM, inUse string) error {
	iam = keeping{iam, inUse}
	state := stored.State
	signers := []Key{state.Old, state.New, stored.Current}
	switch {
	case state.Phase == Creating:
		return stored.cleanUpOrphans(ctx, iam)
	case stored.swapped(), state.Phase == Grace, state.Phase == Inactive:
		return deleteAs(ctx, iam, state.Old.ID, state.New, stored.Current, state.Old)
	case state.Phase == Confirming, state.Phase == Discarding:
		return deleteAs(ctx, iam, state.New.ID, signers...)
	}
	return nil
}

// keeping is an IAM that leaves one key alone.
type keeping struct {
	IAM
	id string
}

// Delete implements IAM.
func (k keeping) Delete(ctx context.Context, as Key, id string) error {
	if id == k.id {
		return nil
	}
	return k.IAM.Delete(ctx, as, id)
}

func (s Stored) cleanUpOrphans(ctx context.Context, iam IAM) error {
	if s.State.Tried.IsZero() {
		return nil
	}
	var keys []Listed
	var err error
	for _, as := range []Key{s.State.Old, s.Current} {
		if as.Secret.Empty() {
			continue
		}
		if keys, err = iam.List(ctx, as); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("looking for an access key that a rotation of %s may have made: %w", s.State.Old.ID, err)
	}
	for _, id := range s.State.orphans(keys) {
		if err := deleteAs(ctx, iam, id, s.State.Old, s.Current); err != nil {
			return err
		}
	}
	return nil
}

// deleteAs signs with each of the keys until one may delete the key.
func deleteAs(ctx context.Context, iam IAM, id string, signers ...Key) error {
	err := errors.New("no key is left to sign with")
	for _, as := range signers {
		if as.Secret.Empty() {
			continue
		}
		if err = iam.Delete(ctx, as, id); err == nil {
			return nil
		}
	}
	return fmt.Errorf("deleting access key %s, which an earlier rotation has left: %w", id, err)
}

// cleanUp ends the rotation of a connection that has got another key. What IAM refuses for good is given up and named.
func (w *work) cleanUp(ctx context.Context) error {
	err := CleanUp(ctx, w.stored, w.iam, w.stored.Current.ID)
	if err != nil && !madeNothing(err) {
		return err // it may be possible later
	}
	next := w.stored.State.settled()
	next.Since = w.Now()
	if err != nil {
		next.LastError, next.LastTry = w.Describe(err).Error()+"; delete it in IAM", w.Now()
		w.Observer.RotationFailed(w.name, err, time.Time{})
	}
	return w.save(ctx, next)
}
