package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// InUse says whether a key, by its ID, is used and so must not be deleted. It is asked right before the deletion.
type InUse func(ctx context.Context, id string) (bool, error)

// Left is called before a connection is deleted or gets another key, from an operator. It returns what [Stored.CleanUp]
// has to be called with after it, and whether there is anything. That has to be stored before the connection is, and
// the state has to be ended after it: whoever crashes in between leaves either the one or the other.
func (s Stored) Left(now time.Time) (left Stored, some bool) {
	if s.swapped() {
		s.State = s.graced(now) // apps have got the new key
	}
	return s, s.State.Phase != Idle && !s.displaced()
}

// Stays reports whether the connection's key was made by a rotation. It stays in IAM when an operator takes it from the
// connection, since apps may use it, and nobody else knows its secret.
func (s Stored) Stays() bool {
	return s.Current.ID != "" && (s.Current.ID == s.State.Made || s.swapped() && s.Current.ID == s.State.New.ID)
}

// Uses says whether the connection or its rotation uses the key with the ID. What is left to be done of a rotation that
// was ended by an operator's key uses nothing.
func (s Stored) Uses(id string) bool {
	return id == s.Current.ID || !s.displaced() && (id == s.State.Old.ID || id == s.State.New.ID)
}

// CleanUp deletes the keys that the rotation would delete later, for a connection that is deleted or has got another
// key from an operator. The key that was the connection's last stays, and so does every key that is in use: an operator
// may have gone back to the key before. again is when CleanUp has to be called again, because IAM may have made a key
// that it does not list yet; zero: never. The error names what could not be deleted.
func (s Stored) CleanUp(ctx context.Context, iam IAM, inUse InUse, now time.Time) (again time.Time, err error) {
	cleaner := cleaner{iam, inUse}
	state := s.State
	switch state.Phase {
	case Creating:
		return s.cleanUpOrphans(ctx, cleaner, now)
	case Grace, Inactive:
		return time.Time{}, cleaner.deleteAs(ctx, state.Old.ID, state.New, s.Current, state.Old)
	case Confirming, Discarding:
		return time.Time{}, cleaner.deleteAs(ctx, state.New.ID, state.Old, state.New, s.Current)
	}
	return time.Time{}, nil
}

func (s Stored) cleanUpOrphans(ctx context.Context, cleaner cleaner, now time.Time) (again time.Time, err error) {
	if len(s.State.Tries) == 0 {
		return time.Time{}, nil
	}
	listing, err := cleaner.iam.List(ctx, s.State.Old)
	var ids []string
	if err == nil {
		ids, err = s.State.orphans(listing.Keys)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("looking for an access key that a rotation of %s may have made: %w",
			s.State.Old.ID, err)
	}
	for _, id := range ids {
		if err := cleaner.deleteAs(ctx, id, s.State.Old); err != nil {
			return time.Time{}, err
		}
	}
	if last := s.State.Tries[len(s.State.Tries)-1].listedAt(); len(ids) < len(s.State.Tries) && last.After(now) {
		return last, nil
	}
	return time.Time{}, nil
}

// cleaner deletes keys that are not in use.
type cleaner struct {
	iam   IAM
	inUse InUse
}

// deleteAs signs with each of the keys until one may delete the key. Of several errors it returns one that may pass.
func (c cleaner) deleteAs(ctx context.Context, id string, signers ...Key) error {
	used, err := c.inUse(ctx, id)
	if used {
		return nil
	}
	if err == nil {
		err = errors.New("no key is left to sign with")
		tried := map[string]bool{}
		for _, as := range signers {
			if as.Secret.Empty() || tried[as.ID] {
				continue
			}
			tried[as.ID] = true
			failed := c.iam.Delete(ctx, as, id)
			if failed == nil {
				return nil
			}
			if len(tried) == 1 || madeNothing(err) {
				err = failed
			}
		}
	}
	return fmt.Errorf("deleting access key %s, which an earlier rotation has left: %w", id, err)
}
