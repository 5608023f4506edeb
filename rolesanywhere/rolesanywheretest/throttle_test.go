package rolesanywheretest

import (
	"strings"
	"testing"
	"time"
)

func TestThrottle_SlidingSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Options{RatePerSecond: 2})
	other := strings.NewReplacer("123456789012", "210987654321")
	for i, step := range []struct {
		after  time.Duration
		other  bool
		status int
	}{
		{0, false, 201},
		{600 * time.Millisecond, false, 201},
		{0, false, 429},
		{0, true, 201}, // another account has a quota of its own
		{399 * time.Millisecond, false, 429},
		{time.Millisecond, false, 201}, // the first is a second old
		{0, false, 429},
		{time.Second, false, 201},
		{0, false, 201},
		{0, false, 429},
		{-time.Minute, false, 201}, // the clock was set back
	} {
		w.clock.advance(step.after)
		got := w.call(t, func(u *unsigned) {
			if step.other {
				u.body = other.Replace(u.body)
			}
		})
		if got.Code != step.status {
			t.Errorf("step %d: status %d, want %d; reason %q", i, got.Code, step.status, w.lastReason())
		}
		if got.Code == 429 &&
			(got.Header().Get("X-Amzn-ErrorType") != "ThrottlingException" ||
				!strings.Contains(got.Body.String(), messageRate)) {
			t.Errorf("step %d: header %v, %s", i, got.Header(), got.Body)
		}
	}
}
