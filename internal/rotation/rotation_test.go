package rotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3conn/vault-plugin-s3conn/internal/secret"
)

func TestRotate_ReplacesTheKeyAndDeletesTheOldOneAfterTheGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r, start := w.rotator(), time.Now()
		state, err := r.Rotate(t.Context(), "orders")
		if err != nil || state.Phase != Grace || state.Old.ID != "AKIA1" || state.New.ID != "AKIA2" ||
			w.current.ID != "AKIA2" {
			t.Fatalf("%+v, %v; the connection has %s", state, err, w.current.ID)
		}
		if took := time.Since(start); took != (acceptedInARow-1)*acceptEvery {
			t.Errorf("it took %s", took)
		}
		want := "load check list shared save create save load accepted accepted accepted accepted accepted swap " +
			"load save load"
		if got := strings.Join(w.calls, " "); got != want {
			t.Errorf("the steps are %s,\nwant %s", got, want)
		}
		if want := time.Now().Add(2*time.Hour + handOutLag); !state.Until.Equal(want) ||
			!state.Since.Equal(time.Now()) {
			t.Errorf("the old key is used until %s, want %s", state.Until, want)
		}
		w.calls = nil
		next := r.Run(t.Context(), "orders")
		if !next.Equal(state.Until) || w.count("deactivate")+w.count("delete") > 0 {
			t.Errorf("within the grace: due at %s after %v", next, w.calls)
		}
		time.Sleep(time.Until(next))
		if next = r.Run(t.Context(), "orders"); !next.Equal(time.Now().Add(InactiveFor)) || w.keys[0].active {
			t.Errorf("after the grace: due at %s, the old key is %+v", next, w.keys[0])
		}
		time.Sleep(time.Until(next))
		if next = r.Run(t.Context(), "orders"); !next.IsZero() || !slices.Equal(w.ids(), []string{"AKIA2"}) {
			t.Errorf("at the end: due at %s, the keys are %v", next, w.ids())
		}
		if end := w.load().State; end.Phase != Idle || !end.Old.none() || !end.New.none() ||
			!end.Since.Equal(state.Since) {
			t.Errorf("the state at the end is %+v", end)
		}
	})
}

func TestRun_RotatesOncePerPeriod(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.settings = Settings{Period: 3 * time.Hour, Grace: time.Hour}
		r, end := w.rotator(), time.Now().Add(24*time.Hour)
		for time.Now().Before(end) {
			next := r.Run(t.Context(), "orders")
			if next.IsZero() {
				t.Fatal("the job has ended")
			}
			time.Sleep(max(time.Until(next), 0))
		}
		if len(w.rotated) < 7 || len(w.rotated) > 8 || len(w.failures) > 0 {
			t.Errorf("%d rotations in a day, the failures are %v", len(w.rotated), w.failures)
		}
	})
}

func TestRotate_WaitsUntilTheKeyIsAcceptedEverywhere(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag, w.flapFor = 20*time.Second, 20*time.Second
		r, start := w.rotator(), time.Now()
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, ErrPending) || time.Since(start) != answerWithin {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		if w.current.ID != "AKIA1" {
			t.Error("the new key is handed out before it is accepted")
		}
		time.Sleep(5 * time.Second)
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, ErrPending) { // joins
			t.Errorf("the second call: %v", err)
		}
		state, err := r.Rotate(t.Context(), "orders")
		if err != nil || state.Phase != Grace || w.count("create") != 1 {
			t.Errorf("the third call: %+v, %v after %d keys", state, err, w.count("create"))
		}
		if took := time.Since(start); took < 40*time.Second {
			t.Errorf("a key that flapped until 40 s is in use after %s", took)
		}
	})
}

func TestRotate_TwoOperatorsGetOneRotation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rotator()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if state, err := r.Rotate(t.Context(), "orders"); err != nil || state.New.ID != "AKIA2" {
					t.Errorf("%+v, %v", state, err)
				}
			})
		}
		all.Wait()
		if w.count("create") != 1 {
			t.Errorf("%d keys were made", w.count("create"))
		}
		time.Sleep(justRotated)
		var grace *GraceError
		if _, err := r.Rotate(t.Context(), "orders"); !errors.As(err, &grace) || grace.Old != "AKIA1" ||
			grace.New != "AKIA2" {
			t.Errorf("within the grace: %v", err)
		}
		if w.load().State.Failures != 0 {
			t.Error("a refused rotation counts as a failure")
		}
	})
}

func TestRotate_WhileTheOldKeyIsInactiveDeletesItFirst(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r := w.rotator()
		state, err := r.Rotate(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(state.Until))
		r.Run(t.Context(), "orders")
		if state, err = r.Rotate(t.Context(), "orders"); err != nil || state.New.ID != "AKIA3" ||
			!slices.Equal(w.ids(), []string{"AKIA2", "AKIA3"}) {
			t.Errorf("%+v, %v; the keys are %v", state, err, w.ids())
		}
	})
}

func TestRotate_KeyThatIsNeverAcceptedIsDeletedAndTheOldOneStays(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag = time.Hour
		r := w.rotator()
		_, err := r.Rotate(t.Context(), "orders")
		for range 20 {
			if !errors.Is(err, ErrPending) {
				break
			}
			_, err = r.Rotate(t.Context(), "orders")
		}
		if err == nil || !strings.Contains(err.Error(), "AKIA2 was not accepted within 2m0s") ||
			w.current.ID != "AKIA1" {
			t.Errorf("%v; the connection has %s", err, w.current.ID)
		}
		if state := w.load().State; !slices.Equal(w.ids(), []string{"AKIA1"}) || state.Phase != Idle ||
			state.Failures != 1 ||
			state.LastError == "" {
			t.Errorf("the keys are %v, the state is %+v", w.ids(), state)
		}
	})
}

func TestRun_OfADeletedConnectionEndsTheJob(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.gone = true
		if next := w.rotator().Run(t.Context(), "orders"); !next.IsZero() {
			t.Errorf("due at %s", next)
		}
		if _, err := w.rotator().Rotate(t.Context(), "orders"); !errors.Is(err, ErrGone) {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestRun_FailuresBackOff(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.settings = Settings{Period: 2 * time.Hour, Grace: time.Hour}
		r := w.rotator()
		time.Sleep(time.Until(r.Run(t.Context(), "orders"))) // notes when it has begun to rotate
		var pauses []string
		for range 8 {
			w.fail["list"] = []error{&refusal{400, "Throttling"}}
			next := r.Run(t.Context(), "orders")
			pauses = append(pauses, time.Until(next).String())
			time.Sleep(time.Until(next))
		}
		if want := []string{"52.5s", "1m45s", "3m30s", "7m0s", "14m0s", "28m0s", "52m30s", "52m30s"}; !slices.Equal(
			pauses,
			want,
		) {
			t.Errorf("the pauses are %q, want %q", pauses, want)
		}
		if r.Run(t.Context(), "orders"); len(w.rotated) != 1 || w.load().State.LastError != "" {
			t.Errorf("rotated %v, the state is %+v", w.rotated, w.load().State)
		}
	})
}

func TestClose_EndsWhatGoesOnAndAnotherGoesOnFromThere(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.acceptLag = time.Minute
		r := w.rotator()
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, ErrPending) {
			t.Fatal(err)
		}
		r.Close()
		if _, err := r.Rotate(t.Context(), "orders"); !errors.Is(err, ErrClosing) {
			t.Errorf("after Close: %v", err)
		}
		w.settle(w.rotator()) // of the next leader
		if w.count("create") != 1 || len(w.rotated) != 1 || len(w.failures) > 0 ||
			!slices.Equal(w.ids(), []string{"AKIA2"}) {
			t.Errorf(
				"%d keys made, rotated %v, failures %v, the keys are %v",
				w.count("create"),
				w.rotated,
				w.failures,
				w.ids(),
			)
		}
	})
}

func TestState_SecretsDoNotPrintAndComeBackFromStorage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	state := State{
		Since:     now,
		Phase:     Grace,
		Old:       Key{"A", secret.New("CANARY-1")},
		New:       Key{"B", secret.New("CANARY-2")},
		Until:     now.Add(time.Hour),
		Failures:  1,
		LastError: "no",
		LastTry:   now,
		NextTry:   now.Add(time.Minute),
	}
	if text := fmt.Sprintf("%v %+v %#v", state, state, state); strings.Contains(text, "CANARY") {
		t.Errorf("it prints as %s", text)
	}
	stored, err := state.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(stored)
	again, _ := got.Encode()
	if err != nil || string(again) != string(stored) || got.Old.Secret.Reveal() != "CANARY-1" ||
		!got.Until.Equal(state.Until) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, damaged := range []string{"", "{}", "CANARY", `{"version":1,"phase":"CANARY"}`, `{"version":2}`,
		`{"version":1,"since":"CANARY"}`} {
		if _, err := Decode([]byte(damaged)); !errors.Is(err, ErrUnreadable) ||
			strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %v", damaged, err)
		}
	}
}
