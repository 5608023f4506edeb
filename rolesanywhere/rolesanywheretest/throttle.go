package rolesanywheretest

import (
	"slices"
	"sync"
	"time"
)

// throttle is the service's quota, a number of CreateSession requests a second for each account and
// region (a Service has one): https://docs.aws.amazon.com/general/latest/gr/rolesanywhere.html. How AWS
// measures is not public; a sliding window is the strictest. Its clock is the caller's.
type throttle struct {
	perSecond int

	mu       sync.Mutex
	accounts map[string][]time.Time
}

// allow reports whether account may make a request at now; refused ones do not count.
func (t *throttle) allow(account string, now time.Time) bool {
	if t.perSecond <= 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	recent := slices.DeleteFunc(t.accounts[account], func(at time.Time) bool {
		// A time ahead of now is from before the clock was set back.
		return now.Sub(at) >= time.Second || at.After(now)
	})
	allowed := len(recent) < t.perSecond
	if allowed {
		recent = append(recent, now)
	}
	if t.accounts == nil {
		t.accounts = map[string][]time.Time{}
	}
	t.accounts[account] = recent
	return allowed
}
