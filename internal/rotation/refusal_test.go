package rotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRotate_RefusalsChangeNothing(t *testing.T) {
	denied := &refusal{403, "AccessDenied"}
	for name, tt := range map[string]struct {
		prepare func(w *world)
		says    string
	}{
		"the root user's key": {func(w *world) { w.checkRoot = errors.New("the account's root user") }, "root user"},
		"no right to list":    {func(w *world) { w.fail["list"] = []error{denied} }, "AccessDenied"},
		"no right to create":  {func(w *world) { w.fail["create"] = []error{denied} }, "AccessDenied"},
		"a key that another connection has": {func(w *world) { w.sharedWith = "reports" },
			`the access key AKIA1 is that of the connection "reports" too, which would lose it`},
		"two keys": {func(w *world) { w.addKey(time.Now().Add(-72 * time.Hour)) },
			"AKIA1 (active, made 24h0m0s ago) and AKIA2 (active, made 3 days ago)"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				tt.prepare(w)
				before := w.ids()
				_, err := w.rotator().Rotate(t.Context(), "orders")
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("the error is %v", err)
				}
				state := w.load().State
				if w.current.ID != "AKIA1" || !slices.Equal(w.ids(), before) || state.Phase != Idle ||
					state.LastError == "" ||
					len(w.failures) != 1 {
					t.Errorf("the keys are %v, the state is %+v, observed %v", w.ids(), state, w.failures)
				}
			})
		})
	}
}

func TestRotate_LostResponseLeavesNoKeyThatNobodyKnows(t *testing.T) {
	for _, lag := range []time.Duration{0, 3 * time.Minute} {
		t.Run(fmt.Sprintf("listed after %s", lag), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.lose["create"], w.listLag = 1, lag
				r := w.rotator()
				if _, err := r.Rotate(t.Context(), "orders"); err == nil {
					t.Fatal("a lost response is no error")
				}
				if state := w.load().State; state.Phase != Creating || state.Failures != 1 {
					t.Errorf("the state is %+v", state)
				}
				w.settle(r)
				if state := w.load().State; len(w.rotated) != 1 || state.Phase != Idle ||
					!slices.Equal(w.ids(), []string{"AKIA3"}) {
					t.Errorf("rotated %v, the keys are %v, the state is %+v", w.rotated, w.ids(), state)
				}
			})
		})
	}
}
