package rotation

import (
	"context"
	"slices"
	"time"
)

const (
	// maxSkew is how far IAM's clock may be from this host's, either way, where it has not said what it shows: beyond
	// that it refuses signatures.
	maxSkew = 5 * time.Minute
	// createTimeout is how long a request for a key goes on, counted from before it was noted.
	createTimeout = 15 * time.Second
	// createLag is how long after that IAM may still have made the key: the request may have been on its way.
	createLag = 15 * time.Second
	// createdUnit is the unit of the times at which IAM says that it has made a key. They are rounded down.
	createdUnit = time.Second
	// listLag is how long IAM may not list a key that it has made.
	listLag = 10 * time.Minute
)

// Listed is one of a user's access keys as IAM lists it.
type Listed struct {
	ID      string
	Active  bool
	Created time.Time // by IAM's clock; zero: unknown
}

// Listing is what IAM lists of a user, and what it shows of its clock.
type Listing struct {
	Keys []Listed
	// Ahead is by how much IAM's clock is ahead of this host's, and Within how far that may be off. Within is 0 where
	// IAM has shown nothing of its clock.
	Ahead, Within time.Duration
}

// Try is a request for a key whose response is not stored. If IAM has made the key, then between From and To, by its
// own clock.
type Try struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// try is a request that is made now.
func (l Listing) try(now time.Time) Try {
	ahead, within := l.Ahead, l.Within
	if within <= 0 || ahead.Abs() > maxSkew {
		ahead, within = 0, maxSkew
	}
	return Try{From: now.Add(ahead - within - createdUnit).UTC().Round(0),
		To: now.Add(ahead + createTimeout + createLag + within).UTC().Round(0)}
}

// begin is stored before IAM is asked for a key the first time.
func (s Stored) begin(listing Listing, now time.Time) State {
	next := s.State
	next.Phase, next.Old, next.New = Creating, s.Current, Key{}
	next.Began, next.Known, next.Tries = now, nil, nil
	return next.trying(listing, now)
}

// trying is stored before IAM is asked for a key. The keys that are listed are not of the request.
func (s State) trying(listing Listing, now time.Time) State {
	known := slices.Clone(s.Known)
	for _, one := range listing.Keys {
		if !slices.Contains(known, one.ID) {
			known = append(known, one.ID)
		}
	}
	tries := slices.DeleteFunc(slices.Clone(s.Tries), func(one Try) bool { return one.listedAt().Before(now) })
	s.Known, s.Tries, s.Tried = known, append(tries, listing.try(now)), now
	return s
}

// listedAt is when IAM lists what it has made at this request.
func (t Try) listedAt() time.Time { return t.To.Add(listLag) }

// orphans returns the keys that IAM has made for this rotation and whose secrets nobody knows: the response was lost,
// or whoever got it ended before it was stored. Keys that somebody has made by hand at another time are none. Where
// there are more than IAM was asked for, it is not known which ones they are: then the error is an *[AmbiguousError].
func (s State) orphans(keys []Listed) (ids []string, err error) {
	for _, one := range keys {
		if one.ID != s.Old.ID && !slices.Contains(s.Known, one.ID) && slices.ContainsFunc(s.Tries, one.madeBy) {
			ids = append(ids, one.ID)
		}
	}
	if len(ids) > len(s.Tries) {
		return nil, &AmbiguousError{IDs: ids}
	}
	return ids, nil
}

func (l Listed) madeBy(try Try) bool { return !l.Created.Before(try.From) && !l.Created.After(try.To) }

// begin notes the user's keys and asks IAM for another.
func (w *work) begin(ctx context.Context) error {
	current := w.stored.Current
	if err := w.iam.Check(ctx, current); err != nil {
		return err
	}
	listing, err := w.iam.List(ctx, current)
	if err != nil {
		return err
	}
	if len(listing.Keys) > 1 {
		return &TwoKeysError{Keys: listing.Keys, now: w.Now()}
	}
	if err := w.refuseShared(ctx, current.ID); err != nil {
		return err
	}
	return w.create(ctx, w.stored.begin(listing, w.Now()))
}

// retry asks IAM for a key again, after it has deleted those that an earlier request has made in vain.
func (w *work) retry(ctx context.Context) error {
	state := w.stored.State
	listing, err := w.iam.List(ctx, state.Old)
	if err != nil {
		return err
	}
	orphans, err := state.orphans(listing.Keys)
	if err != nil {
		return w.refused(ctx, state.idle(), err)
	}
	for _, id := range orphans {
		if err := w.iam.Delete(ctx, state.Old, id); err != nil {
			return err
		}
		listing.Keys = slices.DeleteFunc(listing.Keys, func(one Listed) bool { return one.ID == id })
	}
	return w.create(ctx, state.trying(listing, w.Now()))
}

// create notes that IAM is asked for a key, and asks.
func (w *work) create(ctx context.Context, trying State) error {
	before := w.stored.State
	if err := w.save(ctx, trying); err != nil {
		return err
	}
	w.stored.State = trying
	bounded, cancel := context.WithTimeout(ctx, createTimeout-w.Now().Sub(trying.Tried))
	defer cancel()
	key, err := w.iam.Create(bounded, trying.Old)
	switch {
	case err != nil && !madeNothing(err):
		return err
	case err != nil && len(before.Tries) > 0 && w.Now().Sub(before.Tried) < listLag:
		return w.refused(ctx, before, err) // an earlier request may have made a key that is not listed yet
	case err != nil:
		return w.refused(ctx, before.idle(), err)
	}
	if err := w.save(ctx, trying.created(key, w.Now())); err != nil {
		// Its secret is lost with this process, and so it is of no use to anybody.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
		defer cancel()
		_ = w.iam.Delete(ctx, trying.Old, key.ID) // where this fails, it is found as an orphan
		return err
	}
	return nil
}

// refused returns to the state where nothing was made.
func (w *work) refused(ctx context.Context, next State, refusal error) error {
	if err := w.save(ctx, next); err != nil {
		return err
	}
	w.stored.State = next
	return refusal
}
