package rotation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCrash_AtEveryStepLeavesAWorkingKeyAndNoKeyThatNobodyKnows ends the process before and after each operation of a
// rotation, of its end and of a recovery, and has another process go on. The world checks after each operation that the
// connection's key works.
func TestCrash_AtEveryStepLeavesAWorkingKeyAndNoKeyThatNobodyKnows(t *testing.T) {
	type crash struct {
		at     int
		after  bool
		second int // counted in the recovery; 0: none
	}
	var crashes []crash
	for at := 1; at <= 30; at++ {
		for _, after := range []bool{false, true} {
			crashes = append(
				crashes,
				crash{at, after, 0},
				crash{at, after, 3},
				crash{at, after, 5},
				crash{at, after, 8},
			)
		}
	}
	for _, one := range crashes {
		t.Run(fmt.Sprintf("%d %t %d", one.at, one.after, one.second), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.settings = Settings{Period: 26 * time.Hour, Grace: time.Hour}
				w.crashAt, w.crashAfter = one.at, one.after
				w.process(t)
				if !w.crashed && one.at <= 18 {
					t.Fatalf("there was no crash in %v", w.calls)
				}
				for range 2 {
					w.crashed, w.operations, w.crashAt = false, 0, one.second
					w.process(t)
					one.second = 0
				}
				w.checkEnd(t)
			})
		})
	}
}

// TestFailure_OfEveryStepIsMadeUpFor has each operation of a rotation and of its end fail once, before or after its
// effect.
func TestFailure_OfEveryStepIsMadeUpFor(t *testing.T) {
	for at := 1; at <= 30; at++ {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %t", at, after), func(t *testing.T) {
				inBubble(t, func(t *testing.T, w *world) {
					w.settings = Settings{Period: 26 * time.Hour, Grace: time.Hour}
					w.transient, w.crashAt, w.crashAfter = true, at, after
					w.process(t)
					w.process(t)
					w.process(t)
					w.checkEnd(t)
				})
			})
		}
	}
}

func (w *world) checkEnd(t *testing.T) {
	t.Helper()
	state := w.load().State
	if ids := w.ids(); state.Phase != Idle || !slices.Equal(ids, []string{w.current.ID}) || w.current.ID == "AKIA1" {
		t.Errorf("the keys are %v, the connection has %s, the state is %+v after\n%s",
			ids, w.current.ID, state, strings.Join(w.calls, " "))
	}
	if made := w.count("create"); made > 3 {
		t.Errorf("%d keys were made", made)
	}
}

// process is one process's life: it is asked for a rotation and runs what is due for half a day, or until it crashes.
func (w *world) process(t *testing.T) {
	t.Helper()
	r := w.rotator()
	if w.current.ID == "AKIA1" {
		_, _ = r.Rotate(t.Context(), "orders") // also refused where one is under way
	}
	for end := time.Now().Add(12 * time.Hour); time.Now().Before(end) && !w.crashed; {
		next := r.Run(t.Context(), "orders")
		time.Sleep(max(min(time.Until(next), time.Until(end)), 0))
	}
	r.Close()
}
