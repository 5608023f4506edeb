package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// unused says of no key that it is in use.
func unused(context.Context, string) (bool, error) { return false, nil }

// reach brings the rotation of the world's connection to the phase.
func (w *world) reach(r *Rotator, phase Phase) {
	w.t.Helper()
	switch phase {
	case Creating:
		w.lose["create"] = 1
	case Confirming:
		w.fail["swap"] = []error{errors.New("storage is broken")}
	case Discarding:
		w.acceptLag, w.fail["delete"] = time.Hour, []error{errors.New("IAM is down")}
	}
	state, err := r.Rotate(w.t.Context(), "orders")
	for errors.Is(err, ErrPending) {
		state, err = r.Rotate(w.t.Context(), "orders")
	}
	if (phase == Grace || phase == Inactive) != (err == nil) {
		w.t.Fatal(err)
	}
	if phase == Inactive {
		time.Sleep(time.Until(state.Until))
		r.Run(w.t.Context(), "orders")
	}
	if got := w.load().State.Phase; got != phase {
		w.t.Fatalf("the phase is %q, want %q", got, phase)
	}
}

func TestCleanUp_DeletesWhatTheRotationWouldAndLeavesTheConnectionsKey(t *testing.T) {
	for phase, kept := range map[Phase]string{
		Creating: "AKIA1", Confirming: "AKIA1", Discarding: "AKIA1", Grace: "AKIA2", Inactive: "AKIA2",
	} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.rotator()
				w.reach(r, phase)
				left, some := w.load().Left(time.Now())
				if !some {
					t.Fatal("nothing is left to be done")
				}
				again, err := left.CleanUp(t.Context(), w, unused, time.Now())
				if err != nil || !again.IsZero() || !slices.Equal(w.ids(), []string{kept}) {
					t.Errorf("IAM has %v, want %s; again at %s, %v", w.ids(), kept, again, err)
				}
				if _, err := left.CleanUp(t.Context(), w, unused, time.Now()); err != nil {
					t.Errorf("doing it again: %v", err)
				}
			})
		})
	}
}

func TestCleanUp_OfIdleRotationsCallsNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		left, some := w.load().Left(time.Now())
		again, err := left.CleanUp(t.Context(), w, unused, time.Now())
		if some || err != nil || !again.IsZero() || len(w.calls) > 0 {
			t.Errorf("%t, %s, %v after %v", some, again, err, w.calls)
		}
	})
}

// A process that ends between the swap and the state's Grace leaves a state that calls the new key unused.
func TestLeft_KeyThatIsHandedOutIsNeverTakenForUnused(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rotator()
		w.reach(r, Confirming)
		w.current = w.load().State.New
		stored := w.load()
		left, _ := stored.Left(time.Now())
		if left.State.Phase != Grace || !stored.Stays() {
			t.Errorf("what is left is %+v, the key stays: %t", left.State, stored.Stays())
		}
		if _, err := left.CleanUp(t.Context(), w, unused, time.Now()); err != nil ||
			!slices.Equal(w.ids(), []string{"AKIA2"}) {
			t.Errorf("IAM has %v, %v", w.ids(), err)
		}
	})
}

func TestCleanUp_KeyThatIsInUseStays(t *testing.T) {
	for phase, used := range map[Phase]string{Creating: "AKIA2", Confirming: "AKIA2", Grace: "AKIA1"} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.reach(w.rotator(), phase)
				left, _ := w.load().Left(time.Now())
				inUse := func(_ context.Context, id string) (bool, error) { return id == used, nil }
				if _, err := left.CleanUp(t.Context(), w, inUse, time.Now()); err != nil || len(w.ids()) != 2 {
					t.Errorf("IAM has %v, %v", w.ids(), err)
				}
				broken := errors.New("storage is broken")
				unknown := func(context.Context, string) (bool, error) { return false, broken }
				if _, err := left.CleanUp(t.Context(), w, unknown, time.Now()); !errors.Is(err, broken) ||
					len(w.ids()) != 2 || !strings.Contains(err.Error(), "deleting access key "+used) {
					t.Errorf("IAM has %v, %v", w.ids(), err)
				}
			})
		})
	}
}

func TestCleanUp_LooksAgainForAKeyThatIsNotListedYet(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.listLag = 9 * time.Minute
		w.reach(w.rotator(), Creating)
		left, _ := w.load().Left(time.Now())
		again, err := left.CleanUp(t.Context(), w, unused, time.Now())
		if err != nil || again.IsZero() {
			t.Fatalf("again at %s, %v", again, err)
		}
		time.Sleep(time.Until(again))
		again, err = left.CleanUp(t.Context(), w, unused, time.Now())
		if err != nil || !again.IsZero() || !slices.Equal(w.ids(), []string{"AKIA1"}) {
			t.Errorf("IAM has %v, again at %s, %v", w.ids(), again, err)
		}
	})
}

func TestCleanUp_NamesWhatCouldNotBeDeleted(t *testing.T) {
	down := errors.New("IAM is down")
	for name, tt := range map[string]struct {
		phase  Phase
		faults map[string][]error
		is     error
		says   string
	}{
		"a failure that may pass beside a refusal": {Grace,
			map[string][]error{"delete": {&refusal{403, "AccessDenied"}, down}}, down,
			"deleting access key AKIA1, which an earlier rotation has left"},
		"a refusal beside a failure that may pass": {Grace,
			map[string][]error{"delete": {down, &refusal{403, "AccessDenied"}}}, down, "AKIA1"},
		"an orphan": {Creating, map[string][]error{"delete": {down}}, down, "deleting access key AKIA2"},
		"the search for one": {Creating, map[string][]error{"list": {down}}, down,
			"looking for an access key that a rotation of AKIA1 may have made"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.reach(w.rotator(), tt.phase)
				w.fail = tt.faults
				left, _ := w.load().Left(time.Now())
				_, err := left.CleanUp(t.Context(), w, unused, time.Now())
				if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("the error is %v", err)
				}
			})
		})
	}
}

func TestRun_KeyOfAnOperatorEndsTheRotation(t *testing.T) {
	for _, phase := range []Phase{Creating, Confirming, Discarding, Grace, Inactive} {
		t.Run(string(phase), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.rotator()
				w.reach(r, phase)
				before := w.ids()
				w.current = w.addKey(time.Now().Add(-time.Hour)) // what is left of the rotation is stored elsewhere
				if _, some := w.load().Left(time.Now()); some {
					t.Error("what is left would be stored twice")
				}
				r.Run(t.Context(), "orders")
				if state := w.load().State; state.Phase != Idle || !slices.Equal(w.ids(), append(before, "AKIA3")) {
					t.Errorf("the keys are %v, the state is %+v", w.ids(), state)
				}
			})
		})
	}
}
