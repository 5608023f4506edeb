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
		return true, w.cleanUp(ctx)
	case state.Phase == Creating:
		return true, w.create(ctx)
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
	return w.Connections.Save(ctx, w.name, w.stored.State, next)
}

// begin notes the user's keys before another is made.
func (w *work) begin(ctx context.Context) error {
	if err := w.iam.Check(ctx, w.stored.Current); err != nil {
		return err
	}
	keys, err := w.iam.List(ctx, w.stored.Current)
	if err != nil {
		return err
	}
	if len(keys) > 1 {
		return &TwoKeysError{Keys: keys, now: w.Now()}
	}
	return w.save(ctx, w.stored.begin(keys, w.Now()))
}

// create has IAM make a key, after it has deleted those that an earlier try has made in vain.
func (w *work) create(ctx context.Context) error {
	state := w.stored.State
	if err := w.deleteOrphans(ctx); err != nil {
		return err
	}
	trying := state
	trying.Tried = w.Now()
	if err := w.save(ctx, trying); err != nil {
		return err
	}
	w.stored.State = trying
	key, err := w.iam.Create(ctx, state.Old)
	if err != nil {
		if madeNothing(err) {
			return w.refused(ctx, state, err)
		}
		return err
	}
	if err := w.save(ctx, trying.created(key, w.Now())); err != nil {
		// Its secret is lost with this process, and so it is of no use to anybody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		_ = w.iam.Delete(ctx, state.Old, key.ID) // where this fails, it is found as an orphan
		return err
	}
	return nil
}

// listLag is how long IAM may not list a key that it has made.
const listLag = 10 * time.Minute

// refused ends a rotation that IAM has refused to begin, unless an earlier try may have made a key that is not listed
// yet.
func (w *work) refused(ctx context.Context, before State, refusal error) error {
	next := before.idle()
	if !before.Tried.IsZero() && w.Now().Sub(before.Tried) < listLag {
		next = before
	}
	if err := w.save(ctx, next); err != nil {
		return err
	}
	w.stored.State = next
	return refusal
}

func (w *work) deleteOrphans(ctx context.Context) error {
	if w.stored.State.Tried.IsZero() {
		return nil
	}
	keys, err := w.iam.List(ctx, w.stored.State.Old)
	if err != nil {
		return err
	}
	for _, id := range w.stored.State.orphans(keys) {
		if err := w.iam.Delete(ctx, w.stored.State.Old, id); err != nil {
			return err
		}
	}
	return nil
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

func (w *work) deactivate(ctx context.Context) error {
	if err := w.iam.Deactivate(ctx, w.stored.Current, w.stored.State.Old.ID); err != nil {
		return err
	}
	return w.save(ctx, w.stored.State.deactivated(w.Now()))
}

func (w *work) delete(ctx context.Context) error {
	if err := w.iam.Delete(ctx, w.stored.Current, w.stored.State.Old.ID); err != nil {
		return err
	}
	return w.save(ctx, w.stored.State.settled())
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
