package rotation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/schedule"
)

var (
	// errUnstored is wrapped by the error of a try whose outcome could not be noted.
	errUnstored = errors.New("what became of the rotation could not be stored")
	// errLater means that the time for a run is over while nothing has failed.
	errLater = errors.New("the new access key is not accepted yet")
)

// justRotated is how long after a rotation its result is returned to whoever asks for one.
const justRotated = 2 * time.Minute

// maxSteps is more than any rotation has, also one whose connection is being changed meanwhile.
const maxSteps = 30

// advance goes on from wherever the state is until nothing is due. asked begins a rotation that is not due.
func (r *Rotator) advance(ctx context.Context, name string, asked bool) (State, error) {
	var outcome error // of a rotation that was given up, whose key is still to be deleted
	for range maxSteps {
		stored, iam, err := r.Connections.Load(ctx, name)
		if err != nil {
			return State{}, err
		}
		if stored.State.Phase == Creating || stored.State.Phase == Confirming {
			asked = false // it is under way
		}
		w := work{r, name, stored, iam}
		took, err := w.step(ctx, asked)
		var givenUp *NotAcceptedError
		var grace *GraceError
		switch {
		case errors.As(err, &givenUp):
			outcome, asked = r.Describe(err), false
		case errors.As(err, &grace), errors.Is(err, ErrGone), errors.Is(err, errLater):
			return stored.State, err
		case errors.Is(err, ErrChanged): // look again
		case err != nil:
			return w.failed(ctx, err)
		case !took:
			return stored.State, outcome
		}
	}
	return State{}, ErrChanged
}

// work is one step of one connection.
type work struct {
	*Rotator
	name   string
	stored Stored
	iam    IAM
}

// step does the next thing that is due, and says whether there was any.
func (w *work) step(ctx context.Context, asked bool) (took bool, err error) {
	state, now := w.stored.State, w.Now()
	over := !state.Until.After(now)
	switch {
	case w.stored.swapped():
		return true, w.grace(ctx)
	case w.stored.displaced():
		return true, w.save(ctx, state.Ended())
	case state.Phase == Creating:
		return true, w.retry(ctx)
	case state.Phase == Confirming:
		return true, w.confirm(ctx)
	case state.Phase == Discarding:
		return true, w.throwAway(ctx)
	case state.Phase == Grace && over:
		return true, w.deactivate(ctx)
	case state.Phase == Inactive && (over || asked):
		return true, w.delete(ctx)
	case state.Phase == Grace && asked && now.Sub(state.Since) < justRotated:
		return false, nil // whoever asked was answered before it ended, and asks again
	case state.Phase == Grace && asked:
		return false, &GraceError{Old: state.Old.ID, New: state.New.ID, Until: state.Until}
	case state.Phase != Idle:
		return false, nil
	case asked:
		return true, w.begin(ctx)
	}
	due := w.stored.Due()
	if due.IsZero() || due.After(now) {
		return false, nil
	}
	if state.Since.IsZero() { // of a connection that has just begun to rotate
		state.Since = now
		return true, w.save(ctx, state)
	}
	return true, w.begin(ctx)
}

func (w *work) save(ctx context.Context, next State) error {
	return w.Connections.Save(ctx, w.name, w.stored, next)
}

// confirm makes the new key the connection's when it was accepted several times in a row.
func (w *work) confirm(ctx context.Context) error {
	key := w.stored.State.New
	for row := 0; row < acceptedInARow; {
		accepted, err := w.iam.Accepted(ctx, key)
		switch {
		case accepted && err == nil:
			row++
		case ctx.Err() != nil:
			return errLater
		case w.Now().Sub(w.stored.State.Began) >= acceptWithin:
			return w.giveUp(ctx, err)
		default:
			row = 0
		}
		if row == acceptedInARow {
			break
		}
		timer := time.NewTimer(w.AcceptEvery)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errLater
		}
	}
	return w.Connections.Swap(ctx, w.name, w.stored.State.Old.ID, key)
}

func (w *work) giveUp(ctx context.Context, last error) error {
	given := &NotAcceptedError{id: w.stored.State.New.ID, last: last}
	now := w.Now()
	next := w.stored.State.discard().failed(w.Describe(given).Error(), now,
		now.Add(schedule.Pause(w.stored.State.Failures+1, 0, w.Random())))
	if err := w.save(ctx, next); err != nil {
		return err
	}
	w.Observer.RotationFailed(w.name, given, next.NextTry)
	return given
}

// throwAway deletes a new key that was given up.
func (w *work) throwAway(ctx context.Context) error {
	if err := w.iam.Delete(ctx, w.stored.State.Old, w.stored.State.New.ID); err != nil {
		return err
	}
	return w.save(ctx, w.stored.State.idle())
}

func (w *work) grace(ctx context.Context) error {
	next := w.stored.graced(w.Now())
	if err := w.save(ctx, next); err != nil {
		return err
	}
	w.Observer.Rotated(w.name, next.Old.ID, next.New.ID)
	return nil
}

// refuseShared is an error where another connection has the key: it would lose it.
func (w *work) refuseShared(ctx context.Context, id string) error {
	other, err := w.Connections.SharedWith(ctx, w.name, id)
	if err == nil && other != "" {
		err = &SharedError{ID: id, Other: other}
	}
	return err
}

func (w *work) deactivate(ctx context.Context) error {
	if err := w.refuseShared(ctx, w.stored.State.Old.ID); err != nil {
		return err
	}
	if err := w.iam.Deactivate(ctx, w.stored.Current, w.stored.State.Old.ID); err != nil {
		return err
	}
	return w.save(ctx, w.stored.State.deactivated(w.Now()))
}

func (w *work) delete(ctx context.Context) error {
	if err := w.iam.Delete(ctx, w.stored.Current, w.stored.State.Old.ID); err != nil {
		return err
	}
	return w.save(ctx, w.stored.State.Ended())
}

// failed notes why a try ended and when the next is. It returns the error in words that may be shown.
func (w *work) failed(ctx context.Context, err error) (State, error) {
	described := w.Describe(err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	now := w.Now()
	pause := schedule.Pause(w.stored.State.Failures+1, 0, w.Random())
	next := w.stored.State.failed(described.Error(), now, now.Add(pause))
	if noteErr := w.save(ctx, next); noteErr != nil {
		next, described = w.stored.State, fmt.Errorf("%w; %w: %w", described, errUnstored, noteErr)
	}
	w.Observer.RotationFailed(w.name, described, next.NextTry)
	return next, described
}
