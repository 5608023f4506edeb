package rotation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

// A leader that steps down, or a mount that is disabled, must not wait for the 14 seconds of a response.
func TestClose_AnswersWhoeverWaitsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag = time.Minute
		r, start := w.rotator(), time.Now()
		answered := make(chan error, 1)
		go func() { _, err := r.Rotate(t.Context(), "orders"); answered <- err }()
		time.Sleep(3500 * time.Millisecond)
		r.Close()
		if err := <-answered; !errors.Is(err, ErrPending) && !errors.Is(err, ErrClosing) ||
			time.Since(start) != 3500*time.Millisecond {
			t.Errorf("answered after %s: %v", time.Since(start), err)
		}
		if next := r.Run(t.Context(), "orders"); !next.Equal(time.Now().Add(busyPause)) {
			t.Errorf("a run after it is due again at %s", next)
		}
	})
}

func TestRotate_CallerThatHangsUpIsAnsweredAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag = 10 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r, start := w.rotator(), time.Now()
		if _, err := r.Rotate(ctx, "orders"); !errors.Is(err, ErrPending) || time.Since(start) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if state, err := r.Rotate(t.Context(), "orders"); err != nil || state.New.ID != "AKIA2" {
			t.Errorf("the rotation has not gone on: %+v, %v", state, err)
		}
	})
}

func TestRun_LeavesARotationThatIsUnderWayAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag = time.Minute
		r := w.rotator()
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, ErrPending) {
			t.Fatal(err)
		}
		if next := r.Run(t.Context(), "orders"); !next.Equal(time.Now().Add(busyPause)) {
			t.Errorf("it is looked at again at %s", next)
		}
	})
}

func TestRotate_PanicEndsNeitherTheProcessNorTheConnectionsKey(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.panics = true
		r := w.rotator()
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, errPanicked) || len(w.failures) != 1 {
			t.Errorf("%v; observed %v", err, w.failures)
		}
		w.panics = false
		if _, err := r.Rotate(t.Context(), "orders"); err != nil {
			t.Errorf("asking again: %v", err)
		}
	})
}

func TestRun_StorageThatFailsIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		broken := errors.New("storage is broken")
		w.fail["load"] = []error{broken, broken}
		if next := w.rotator().Run(t.Context(), "orders"); time.Until(next) < 45*time.Second {
			t.Errorf("it is tried again at %s", next)
		}
		w.fail["load"] = []error{nil, ErrGone} // deleted while it ran
		if next := w.rotator().Run(t.Context(), "orders"); !next.IsZero() {
			t.Errorf("the job of a deleted connection is due at %s", next)
		}
	})
}

func TestRotate_FailuresOnTheWayKeepTheStateThatIsStored(t *testing.T) {
	broken := errors.New("it is broken")
	for name, prepare := range map[string]func(w *world, r *Rotator){
		"listing before another request": func(w *world, _ *Rotator) {
			w.lose["create"], w.fail["list"] = 1, []error{nil, broken}
		},
		"noting a refusal": func(w *world, _ *Rotator) {
			w.fail["create"], w.fail["save"] = []error{&refusal{403, "AccessDenied"}}, []error{nil, broken}
		},
		"noting that a key is given up": func(w *world, _ *Rotator) {
			w.acceptLag, w.fail["save"] = 125*time.Second, []error{nil, nil, broken}
		},
		"looking for another connection": func(w *world, _ *Rotator) { w.fail["shared"] = []error{broken} },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.rotator()
				prepare(w, r)
				for range 20 {
					if _, err := r.Rotate(t.Context(), "orders"); err == nil {
						break
					}
					time.Sleep(time.Minute)
				}
				w.settle(r)
				if state := w.load().State; state.Phase != Idle || !slices.Equal(w.ids(), []string{w.current.ID}) ||
					w.current.ID == "AKIA1" {
					t.Errorf("the connection has %s, IAM has %v, the state is %+v after %v", w.current.ID, w.ids(),
						state, w.calls)
				}
			})
		})
	}
}

func TestStored_SaysWhatIsDueAndWhatIsUsed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key := func(id string) Key { return Key{id, secret.New("CANARY")} }
	grace := State{Phase: Grace, Old: key("OLD"), New: key("NEW"), Since: now, Until: now.Add(time.Hour)}
	for name, tt := range map[string]struct {
		stored Stored
		due    time.Time
		uses   string
	}{
		"idle": {Stored{Current: key("NEW"), State: State{Since: now}}, time.Time{}, "NEW"},
		"with a period": {Stored{Current: key("NEW"), State: State{Since: now},
			Settings: Settings{Period: time.Hour}}, now.Add(time.Hour), "NEW"},
		"grace":                          {Stored{Current: key("NEW"), State: grace}, now.Add(time.Hour), "NEW OLD"},
		"an operator's key in the grace": {Stored{Current: key("THIRD"), State: grace}, time.Unix(0, 0), "THIRD"},
		"the key before in the grace":    {Stored{Current: key("OLD"), State: grace}, time.Unix(0, 0), "OLD"},
		"after a failure": {Stored{Current: key("OLD"), State: State{Phase: Creating, Old: key("OLD"), Began: now,
			NextTry: now.Add(time.Minute)}}, now.Add(time.Minute), "OLD"},
	} {
		var uses []string
		for _, id := range []string{"NEW", "OLD", "THIRD"} {
			if tt.stored.Uses(id) {
				uses = append(uses, id)
			}
		}
		if due := tt.stored.Due(); !due.Equal(tt.due) || strings.Join(uses, " ") != tt.uses {
			t.Errorf("%s: due at %s, uses %v", name, due, uses)
		}
	}
}

func TestErrors_NameKeysAndTimes(t *testing.T) {
	t.Parallel()
	until := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	last := errors.New("STS is down")
	for want, err := range map[string]error{
		"AKIA1 was replaced by AKIA2, and may be in use until 2026-11-23T12": &GraceError{"AKIA1", "AKIA2", until},
		"AKIA2 was not accepted within 2m0s and is given up; the key before stays in use; the last check failed: " +
			"STS is down": &NotAcceptedError{id: "AKIA2", last: last},
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}
