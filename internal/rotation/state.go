// Package rotation replaces a connection's access key with another one of the same IAM user, so that at every moment a
// stored key works and every key that IAM may have made is either stored or going to be deleted. Each step is stored
// before the next begins: whoever finds a state goes on from it.
//
// It knows neither Vault nor AWS's protocols: see [Connections] and [IAM].
package rotation

import (
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
)

// Key is an access key.
type Key struct {
	ID     string
	Secret secret.Text
}

func (k Key) none() bool { return k.ID == "" }

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

	Known []string  // Creating: the IDs of the user's keys that are not of this rotation
	Began time.Time // Creating, Confirming: when the phase began
	Tried time.Time // Creating: when IAM was last asked for a key
	Tries []Try     // Creating: the requests for a key that IAM may have made without being listed yet
	Until time.Time // Grace, Inactive: when the phase ends
	Made  string    // ID of the last key that a rotation has made the connection's

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
		due = time.Unix(0, 0) // at once
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

// displaced says whether the connection has got another key in the middle of a rotation, from an operator. What was
// left to be done of the rotation was stored elsewhere before: see [Stored.Left].
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

func (s State) created(key Key, now time.Time) State {
	s.Phase, s.New, s.Began, s.Known, s.Tried, s.Tries = Confirming, key, now, nil, time.Time{}, nil
	return s
}

// discard gives the new key up.
func (s State) discard() State {
	s.Phase = Discarding
	return s
}

// graced is stored after the connection has the new key.
func (s Stored) graced(now time.Time) State {
	next := s.State.Ended()
	next.Phase, next.Old, next.New = Grace, s.State.Old, s.State.New
	next.Since, next.Until, next.Made = now, now.Add(s.Grace+handOutLag), s.State.New.ID
	return next
}

func (s State) deactivated(now time.Time) State {
	s.Phase, s.Until = Inactive, now.Add(InactiveFor)
	return s.succeeded()
}

// idle is the end of a rotation. It keeps what is known of failures.
func (s State) idle() State {
	return State{Since: s.Since, Made: s.Made, Failures: s.Failures, LastError: s.LastError, LastTry: s.LastTry,
		NextTry: s.NextTry}
}

// Ended is the end of a rotation that nothing is wrong with.
func (s State) Ended() State { return s.idle().succeeded() }

func (s State) succeeded() State {
	s.Failures, s.LastError, s.NextTry = 0, "", time.Time{}
	return s
}

func (s State) failed(text string, now, next time.Time) State {
	s.Failures, s.LastError, s.LastTry, s.NextTry = s.Failures+1, text, now, next
	return s
}
