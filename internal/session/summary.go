package session

import "time"

// Summary is what the pool holds at a time.
type Summary struct {
	Live     int       // sessions that can be handed out
	FirstEnd time.Time // the earliest Expiration of those; zero without any
}

// Summary counts the live sessions. It looks at each one in turn, so that it takes time in proportion to what is in
// use: about a millisecond for ten thousand.
func (p *Pool[T, S]) Summary() Summary {
	var entries []*entry[T, S]
	p.mu.RLock()
	for _, g := range p.byName {
		g.each(func(e *entry[T, S]) { entries = append(entries, e) })
	}
	p.mu.RUnlock()
	var sum Summary
	now := p.Clock()
	for _, e := range entries {
		e.mu.Lock()
		s := e.session
		e.mu.Unlock()
		if s.none() || !s.Live(now) {
			continue
		}
		sum.Live++
		if sum.FirstEnd.IsZero() || s.Expiration.Before(sum.FirstEnd) {
			sum.FirstEnd = s.Expiration
		}
	}
	return sum
}

// FailingScopes returns what is known of the name's scopes whose last request for a session failed, by scope. Of a
// scope with variants it is the variant that has failed most often in a row. The map is nil where none fails.
func (p *Pool[T, S]) FailingScopes(name string) map[string]Status {
	var entries []*entry[T, S]
	p.mu.RLock()
	if g := p.byName[name]; g != nil {
		for _, e := range g.scoped {
			entries = append(entries, e)
		}
	}
	p.mu.RUnlock()
	var failing map[string]Status
	now := p.Clock()
	for _, e := range entries {
		status := e.status(now)
		if status.Failures == 0 || status.Failures <= failing[e.key.Scope].Failures {
			continue
		}
		if failing == nil {
			failing = map[string]Status{}
		}
		failing[e.key.Scope] = status
	}
	return failing
}
