package rotation

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestRotator_NeverDeletesTheKeyThatAnOperatorHasWritten(t *testing.T) {
	for name, prepare := range map[string]func(w *world, r *Rotator) Key{
		"the key before, within the grace": func(w *world, r *Rotator) Key {
			if _, err := r.Rotate(w.t.Context(), "reports"); err != nil {
				w.t.Fatal(err)
			}
			return w.keys[0].Key
		},
		"one that is made while a rotation tries": func(w *world, r *Rotator) Key {
			w.fail["create"] = []error{errors.New("the connection broke")}
			if _, err := r.Rotate(w.t.Context(), "reports"); err == nil {
				w.t.Fatal("the rotation has succeeded")
			}
			return w.addKey(time.Now())
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := w.rotator()
				written := prepare(w, r)
				w.current = written
				r.Run(t.Context(), "reports")
				if !slices.ContainsFunc(w.keys, func(k *userKey) bool { return k.ID == written.ID }) {
					t.Errorf("%s was deleted by %v", written.ID, w.calls)
				}
				if phase := w.load().State.Phase; phase != Idle {
					t.Errorf("the rotation goes on in the phase %q", phase)
				}
			})
		})
	}
}
