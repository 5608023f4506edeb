package rotation

import "time"

func (w *world) count(operation string) (n int) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, one := range w.calls {
		if one == operation {
			n++
		}
	}
	return n
}

// active returns the IDs of the user's keys.
func (w *world) ids() (ids []string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, one := range w.keys {
		ids = append(ids, one.ID)
	}
	return ids
}

// settle runs whatever is due, as a scheduler does, until nothing is for the time being or a day has passed.
func (w *world) settle(r *Rotator) {
	w.t.Helper()
	end := time.Now().Add(24 * time.Hour)
	for range 1000 {
		next := r.Run(w.t.Context(), "orders")
		if next.IsZero() || next.After(end) {
			return
		}
		time.Sleep(time.Until(next))
	}
	w.t.Error("it never settles")
}
