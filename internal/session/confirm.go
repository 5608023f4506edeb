package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// confirmation is when a name's settings in use were last compared with the stored ones.
type confirmation struct {
	at      atomic.Int64 // uptime of the last comparison's start
	mu      sync.Mutex
	running chan struct{} // closes when the comparison ends; nil: none runs
}

func (c *confirmation) restart(now Instant) { c.at.Store(int64(now.Uptime)) }

func (c *confirmation) age(now Instant) time.Duration { return now.Uptime - time.Duration(c.at.Load()) }

// confirmed has the settings in use under a name compared with the stored ones where that is due. It returns false if
// it waited for that, so that the reader looks again. Notice of a change can be late or lost: a write may land after
// its caller has gone, and an invalidation by another node may not arrive.
func (p *Pool[T, S]) confirmed(
	ctx context.Context, storage S, name string, g *group[T, S], now Instant, reader *Patience,
) bool {
	age := g.check.age(now)
	if age < confirmAfter {
		return true
	}
	running := p.beginConfirm(storage, name, g, now)
	if age < confirmBy || running == nil {
		return true
	}
	timer := time.NewTimer(min(reader.Left(), maxRefreshWait))
	defer timer.Stop()
	select {
	case <-running:
		return false
	case <-ctx.Done():
	case <-timer.C:
	}
	return true
}

// beginConfirm returns what closes when the comparison that runs for the name ends, starting one if it is due and there
// is a slot for it; nil if none runs.
func (p *Pool[T, S]) beginConfirm(storage S, name string, g *group[T, S], now Instant) <-chan struct{} {
	c := &g.check
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running != nil || c.age(now) < confirmAfter {
		return c.running
	}
	select {
	case p.confirms <- struct{}{}:
	default:
		return nil
	}
	c.restart(now)
	c.running = make(chan struct{})
	go p.confirm(storage, name, g)
	return c.running
}

// confirm compares what is in use under the name, scope by scope.
func (p *Pool[T, S]) confirm(storage S, name string, g *group[T, S]) {
	defer func() {
		if recover() != nil { // what was recovered may quote a secret
			p.Observer.Unconfirmed(Key{Name: name}, fmt.Errorf("%w: %s", ErrDefect, debug.Stack()))
		}
		g.check.mu.Lock()
		close(g.check.running)
		g.check.running = nil
		g.check.mu.Unlock()
		<-p.confirms
	}()
	inUse := map[string][]*entry[T, S]{}
	p.mu.RLock()
	g.each(func(e *entry[T, S]) { inUse[e.key.Scope] = append(inUse[e.key.Scope], e) })
	p.mu.RUnlock()
	for _, entries := range inUse {
		if p.ctx.Err() != nil {
			return
		}
		p.compare(p.ctx, storage, entries)
	}
}

// compare drops those of one scope's entries whose subject is not the stored one.
func (p *Pool[T, S]) compare(ctx context.Context, storage S, entries []*entry[T, S]) {
	ctx, cancel := context.WithTimeout(ctx, StorageWait)
	defer cancel()
	key := Key{Name: entries[0].key.Name, Scope: entries[0].key.Scope}
	revision, err := p.Loader.Revision(ctx, storage, key)
	if err != nil {
		if p.ctx.Err() == nil && !entries[0].dropped() {
			p.Observer.Unconfirmed(key, err)
		}
		return
	}
	var outdated T
	found := false
	for _, e := range entries {
		if subject := e.current(); subject.Revision() != revision && p.dropEntry(e) {
			outdated, found = subject, true
		}
	}
	if !found {
		return
	}
	p.Observer.Dropped(key, outdated)
	if revision == "" && !p.ReadOnly() {
		p.Store.Discard(ctx, storage, key)
	}
}

// dropEntry ends one entry. It returns false if that is not in use any more.
func (p *Pool[T, S]) dropEntry(e *entry[T, S]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.dropped() {
		return false
	}
	p.drops[p.slot(e.key.Name)]++
	p.recent.remove(e)
	p.removeLocked(e)
	return true
}
