// Package rotation replaces a connection's access key with another one of the same IAM user, so that at every moment a
// stored key works and every key that IAM may have made is either stored or going to be deleted. Each step is stored
// before the next begins: whoever finds a state goes on from it.
//
// It knows neither Vault nor AWS's protocols: see [Connections] and [IAM].
package rotation

import (
	"slices"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// Times of a rotation.
const (
	// acceptWithin is how long IAM is given until it accepts a new key everywhere.
	acceptWithin = 2 * time.Minute
	// acceptedInARow is how many checks of a new key have to succeed one after the other, acceptEvery apart: hosts of
	// an eventually consistent service that know the key answer beside others that do not.
	acceptedInARow = 5
	acceptEvery    = time.Second
	// handOutLag is how much longer than the grace an old key stays: another node of a cluster may hand it out until it
	// has noticed the new one.
	handOutLag = 2 * time.Minute
	// InactiveFor is how long an old key is inactive, which can be undone, before it is deleted, which cannot.
	InactiveFor = 10 * time.Minute
	// clockSkew is how far IAM's clock may be from this host's, either way.
	clockSkew = 5 * time.Minute
	// createTimeout is how long after its request IAM may have made a key.
	createTimeout = 15 * time.Second
)

// Key is an access key.
type Key struct {
	ID     string
	Secret secret.Text
}

func (k Key) none() bool { return k.ID == "" }

// Listed is one of a user's access keys as IAM lists it.
type Listed struct {
	ID      string
	Active  bool
	Created time.Time // zero: unknown
}

// Phase is where a rotation is.
type Phase string

// The phases, in their order.
const (
	Idle       Phase = ""           // the connection's key is the only one
	Creating   Phase = "creating"   // IAM may have been asked for a key whose secret is not stored
	Confirming Phase = "confirming" // New is stored, and not yet the connection's
	Discarding Phase = "discarding" // New is not going to be used and has to be deleted
	Grace      Phase = "grace"      // New is the connection's; whoever got Old may still use it
	Inactive   Phase = "inactive"   // Old is not accepted any more and waits for its deletion
)

// State is what is stored of a connection's rotations. It is a value; its methods return what follows it.
type State struct {
	Since time.Time // when the connection's key became its key; zero: unknown
	Phase Phase
	Old   Key // the key that is being replaced
	New   Key // the key that replaces it

	Known []string  // Creating: the IDs of the user's keys before
	Began time.Time // Creating, Confirming: when the phase began
	Tried time.Time // Creating: when IAM was last asked for a key
	Until time.Time // Grace, Inactive: when the phase ends

	Failures  int // in a row
	LastError string
	LastTry   time.Time // of the last failure
	NextTry   time.Time // zero: nothing has failed
}

// Settings are a connection's.
type Settings struct {
	Period time.Duration // 0: only when asked to
	Grace  time.Duration
}

// Stored is what is stored of a connection.
type Stored struct {
	State   State
	Current Key // the connection's
	Settings
}

// Due returns when something is to be done; zero: never.
func (s Stored) Due() time.Time {
	var due time.Time
	switch {
	case s.displaced():
		due = s.State.Began
	case s.State.Phase == Grace || s.State.Phase == Inactive:
		due = s.State.Until
	case s.State.Phase != Idle:
		due = s.State.Began
	case s.Period == 0:
		return time.Time{}
	default:
		due = s.NextRotation()
	}
	if s.State.NextTry.After(due) {
		return s.State.NextTry
	}
	return due
}

// NextRotation returns when the connection's key is to be replaced; zero: never.
func (s Stored) NextRotation() time.Time {
	if s.Period == 0 {
		return time.Time{}
	}
	return s.State.Since.Add(s.Period)
}

// displaced says whether the connection has got another key in the middle of a rotation, from an operator.
func (s Stored) displaced() bool {
	switch s.State.Phase {
	case Idle:
		return false
	case Creating:
		return s.Current.ID != s.State.Old.ID
	case Confirming, Discarding:
		return s.Current.ID != s.State.Old.ID && s.Current.ID != s.State.New.ID
	default:
		return s.Current.ID != s.State.New.ID
	}
}

// swapped says whether the new key is the connection's although the state does not say so yet.
func (s Stored) swapped() bool {
	return (s.State.Phase == Confirming || s.State.Phase == Discarding) && s.Current.ID == s.State.New.ID
}

// begin is stored before IAM is asked for a key.
func (s Stored) begin(keys []Listed, now time.Time) State {
	next := s.State
	next.Phase, next.Old, next.New = Creating, s.Current, Key{}
	next.Began, next.Tried, next.Known = now, time.Time{}, nil
	for _, one := range keys {
		next.Known = append(next.Known, one.ID)
	}
	return next
}

// orphans returns the keys that IAM has made for this rotation and whose secrets nobody knows: the response was lost,
// or whoever got it ended before it was stored. Keys that an operator has made at another time are none.
func (s State) orphans(keys []Listed) (ids []string) {
	if s.Tried.IsZero() {
		return nil
	}
	from, to := s.Began.Add(-clockSkew), s.Tried.Add(createTimeout+clockSkew)
	for _, one := range keys {
		if one.ID != s.Old.ID && !slices.Contains(s.Known, one.ID) && !one.Created.Before(from) &&
			!one.Created.After(to) {
			ids = append(ids, one.ID)
		}
	}
	return ids
}

func (s State) created(key Key, now time.Time) State {
	s.Phase, s.New, s.Began, s.Known, s.Tried = Confirming, key, now, nil, time.Time{}
	return s
}

// discard gives the new key up.
func (s State) discard() State {
	s.Phase = Discarding
	return s
}

// graced is stored after the connection has the new key.
func (s Stored) graced(now time.Time) State {
	next := s.State.settled()
	next.Phase, next.Old, next.New = Grace, s.State.Old, s.State.New
	next.Since, next.Until = now, now.Add(s.Grace+handOutLag)
	return next
}

func (s State) deactivated(now time.Time) State {
	s.Phase, s.Until = Inactive, now.Add(InactiveFor)
	return s.succeeded()
}

// idle is the end of a rotation. It keeps what is known of failures.
func (s State) idle() State {
	return State{Since: s.Since, Failures: s.Failures, LastError: s.LastError, LastTry: s.LastTry, NextTry: s.NextTry}
}

// settled is the end of a rotation that nothing is wrong with.
func (s State) settled() State { return s.idle().succeeded() }

func (s State) succeeded() State {
	s.Failures, s.LastError, s.NextTry = 0, "", time.Time{}
	return s
}

func (s State) failed(text string, now, next time.Time) State {
	s.Failures, s.LastError, s.LastTry, s.NextTry = s.Failures+1, text, now, next
	return s
}
