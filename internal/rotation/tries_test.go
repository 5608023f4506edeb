package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOrphans_AreWhatIAMHasMadeAtTheTimeOfARequest(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 500_000_000, time.UTC)
	ahead := func(by time.Duration) Listing { return Listing{Ahead: by, Within: time.Second} }
	for name, tt := range map[string]struct {
		listing Listing
		created time.Duration // by IAM's clock, from this host's now
		orphan  bool
	}{
		"at once":                            {Listing{}, 0, true},
		"rounded down to a second":           {ahead(0), -500 * time.Millisecond, true},
		"at the end of the request":          {ahead(0), 15 * time.Second, true},
		"long after it":                      {ahead(0), time.Minute, false},
		"before it":                          {ahead(0), -5 * time.Second, false},
		"long after it, by an unknown clock": {Listing{}, time.Minute, true},
		"too long after it":                  {Listing{}, 10 * time.Minute, false},
		"too long before it":                 {Listing{}, -10 * time.Minute, false},
		"a clock that is ahead":              {ahead(4 * time.Minute), 4 * time.Minute, true},
		"by hand, where a clock is ahead":    {ahead(4 * time.Minute), 0, false},
		"a clock that is behind":             {ahead(-time.Minute), -time.Minute, true},
		"a clock that IAM cannot have":       {ahead(time.Hour), 0, true},
	} {
		tt.listing.Keys = []Listed{{ID: "OLD"}}
		state := Stored{Current: Key{ID: "OLD"}}.begin(tt.listing, now)
		got, err := state.orphans([]Listed{{ID: "OLD", Created: now}, {ID: "NEW", Created: now.Add(tt.created)},
			{ID: "UNKNOWN"}})
		if err != nil || slices.Equal(got, []string{"NEW"}) != tt.orphan || !tt.orphan && len(got) > 0 {
			t.Errorf("%s: the orphans are %v, %v", name, got, err)
		}
	}
}

func TestTries_AreForgottenWhenTheirKeysWouldBeListed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	state := Stored{Current: Key{ID: "OLD"}}.begin(Listing{Keys: []Listed{{ID: "OLD"}}}, now)
	state = state.trying(Listing{Keys: []Listed{{ID: "OLD"}, {ID: "BY HAND"}}}, now.Add(time.Minute))
	if len(state.Tries) != 2 || !slices.Equal(state.Known, []string{"OLD", "BY HAND"}) {
		t.Errorf("after two requests the state is %+v", state)
	}
	late := []Listed{{ID: "FIRST", Created: now.Add(time.Second)}, {ID: "BY HAND", Created: now.Add(time.Minute)}}
	if got, err := state.orphans(late); err != nil || !slices.Equal(got, []string{"FIRST"}) {
		t.Errorf("the orphans are %v, %v", got, err)
	}
	if state = state.trying(Listing{}, now.Add(time.Hour)); len(state.Tries) != 1 {
		t.Errorf("an hour later the requests are %v", state.Tries)
	}
	if state = state.created(Key{ID: "NEW"}, now); len(state.Tries)+len(state.Known) > 0 || !state.Tried.IsZero() {
		t.Errorf("after the response the state is %+v", state)
	}
}

// A key that is made by hand soon after a lost response is not the rotation's.
func TestRotate_KeyMadeByHandAfterALostResponseStays(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.showsClock, w.ahead = true, 3*time.Minute
		w.fail["create"] = []error{errors.New("the connection broke")} // before IAM has made a key
		r := w.rotator()
		if _, err := r.Rotate(t.Context(), "orders"); err == nil {
			t.Fatal("the rotation has succeeded")
		}
		time.Sleep(45 * time.Second)
		byHand := w.addKey(time.Now())
		w.settle(r)
		if !slices.Contains(w.ids(), byHand.ID) || w.count("delete") > 0 || w.current.ID != "AKIA1" {
			t.Errorf("the connection has %s, IAM has %v after %v", w.current.ID, w.ids(), w.calls)
		}
	})
}

func TestRotate_MoreKeysThanWereAskedForAreNamedAndStay(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.lose["create"] = 1
		r := w.rotator()
		_, err := r.Rotate(t.Context(), "orders")
		if err == nil {
			t.Fatal("a lost response is no error")
		}
		left, _ := w.load().Left(time.Now())
		w.addKey(time.Now().Add(time.Second)) // by hand, at an IAM that allows more than two
		time.Sleep(time.Until(w.load().State.NextTry))
		_, err = r.Rotate(t.Context(), "orders")
		var ambiguous *AmbiguousError
		if !errors.As(err, &ambiguous) || !slices.Equal(ambiguous.IDs, []string{"AKIA2", "AKIA3"}) ||
			!strings.Contains(err.Error(), "AKIA2 and AKIA3") {
			t.Errorf("the error is %v", err)
		}
		if state := w.load().State; state.Phase != Idle || state.Failures != 2 || len(w.ids()) != 3 {
			t.Errorf("IAM has %v, the state is %+v", w.ids(), state)
		}
		if _, err := left.CleanUp(t.Context(), w, unused, time.Now()); !errors.As(err, &ambiguous) ||
			len(w.ids()) != 3 {
			t.Errorf("cleaning up: IAM has %v, %v", w.ids(), err)
		}
	})
}

func TestRun_OldKeyStaysWhileAnotherConnectionHasIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rotator()
		state, err := r.Rotate(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		w.sharedWith = "reports"
		time.Sleep(time.Until(state.Until))
		next := r.Run(t.Context(), "orders")
		if got := w.load().State; !w.keys[0].active || got.Failures != 1 || !next.Equal(got.NextTry) ||
			!strings.Contains(got.LastError, `"reports"`) {
			t.Errorf("the old key is active: %t; the state is %+v", w.keys[0].active, got)
		}
		w.sharedWith = ""
		w.settle(r)
		if ids := w.ids(); !slices.Equal(ids, []string{"AKIA2"}) {
			t.Errorf("at the end IAM has %v", ids)
		}
	})
}

func TestCreate_IsBoundedFromBeforeItWasNoted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		slow := &slowIAM{world: w}
		work := work{w.rotator(), "orders", w.load(), slow}
		if err := work.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if slow.left > createTimeout || slow.left <= 0 {
			t.Errorf("the request has %s", slow.left)
		}
	})
}

// slowIAM notes how long the request for a key may take.
type slowIAM struct {
	*world
	left time.Duration
}

func (s *slowIAM) Create(ctx context.Context, as Key) (Key, error) {
	deadline, _ := ctx.Deadline()
	s.left = time.Until(deadline)
	return s.world.Create(ctx, as)
}
