package session

import (
	"cmp"
	"context"
	"hash/maphash"
	"sync"
	"time"
)

// defaultMaxVariants is how many sessions with a variant a pool keeps unless it is configured otherwise.
const defaultMaxVariants = 10_000

// Config is what a pool is made of.
type Config[T Subject, S any] struct {
	Clock    Clock
	Loader   Loader[T, S]
	Store    Store[T, S]
	Source   Source[T, S]
	Observer Observer[T]
	// ReadOnly says whether this node must not obtain or store sessions: it serves those that it finds in storage. It
	// is asked where a session is missing or due, not by every read. Nil is never.
	ReadOnly func() bool
	// MaxVariants bounds how many keys with a Variant are kept. 0 is 10,000.
	MaxVariants int
}

// Pool holds the subjects that are in use and their sessions. It starts nothing by itself: requests for sessions and
// comparisons with storage begin with a reader. It is safe for concurrent use.
//
// The invariant: a session is stored, and handed out, only while its subject is still the one it was requested for.
// Whoever changes what is stored under a name holds the name's lock and calls Drop before releasing it.
type Pool[T Subject, S any] struct {
	Config[T, S]
	ctx      context.Context // ends when the pool closes
	cancel   context.CancelFunc
	seed     maphash.Seed
	confirms chan struct{} // a slot for each comparison that runs

	mu     sync.RWMutex
	byName map[string]*group[T, S]
	// drops counts, for the names that share a slot, how often one was dropped: a subject that was read before a drop
	// must not be kept after it.
	drops [256]uint64

	recent recency[T, S]
}

// New returns an empty pool. It does no I/O and starts nothing. Close ends it.
func New[T Subject, S any](config Config[T, S]) *Pool[T, S] {
	config.MaxVariants = cmp.Or(config.MaxVariants, defaultMaxVariants)
	if config.ReadOnly == nil {
		config.ReadOnly = func() bool { return false }
	}
	p := &Pool[T, S]{Config: config, seed: maphash.MakeSeed(), byName: map[string]*group[T, S]{},
		confirms: make(chan struct{}, maxConfirms)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Close ends every request for a session and every wait. Reads fail from now on.
func (p *Pool[T, S]) Close() { p.cancel() }

// group is what is in use under one name.
type group[T Subject, S any] struct {
	own    *entry[T, S]            // of the name itself; nil: not in use
	scoped map[scoped]*entry[T, S] // nil until there is one
	check  confirmation            // when the stored settings were last compared
}

type scoped struct{ scope, variant string }

// entry returns what is in use under the key, or nil. The caller holds the pool's lock.
func (g *group[T, S]) entry(key Key) *entry[T, S] {
	if key.Scope == "" && key.Variant == "" {
		return g.own
	}
	return g.scoped[scoped{key.Scope, key.Variant}]
}

func (g *group[T, S]) put(e *entry[T, S]) {
	if e.key.Scope == "" && e.key.Variant == "" {
		g.own = e
		return
	}
	if g.scoped == nil {
		g.scoped = map[scoped]*entry[T, S]{}
	}
	g.scoped[scoped{e.key.Scope, e.key.Variant}] = e
}

func (g *group[T, S]) remove(e *entry[T, S]) {
	if g.entry(e.key) != e {
		return
	}
	if g.own == e {
		g.own = nil
		return
	}
	delete(g.scoped, scoped{e.key.Scope, e.key.Variant})
}

func (g *group[T, S]) empty() bool { return g.own == nil && len(g.scoped) == 0 }

// each calls do with every entry of the group.
func (g *group[T, S]) each(do func(*entry[T, S])) {
	if g.own != nil {
		do(g.own)
	}
	for _, e := range g.scoped {
		do(e)
	}
}

// look returns what is in use under the key and its group, or nil.
func (p *Pool[T, S]) look(key Key) (*entry[T, S], *group[T, S]) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	g := p.byName[key.Name]
	if g == nil {
		return nil, nil
	}
	return g.entry(key), g
}

// InUse says whether a read of the key needs no look into storage for its settings.
func (p *Pool[T, S]) InUse(key Key) bool {
	e, _ := p.look(key)
	return e != nil
}

func (p *Pool[T, S]) slot(name string) uint64 {
	return maphash.String(p.seed, name) % uint64(len(p.drops))
}

// dropsOf is read before the settings are, and given to keep with them.
func (p *Pool[T, S]) dropsOf(name string) uint64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.drops[p.slot(name)]
}

// keep adds an entry whose subject was read at the given count of drops. It returns what is kept under the key then,
// or nil when the subject may be outdated.
func (p *Pool[T, S]) keep(e *entry[T, S], drops uint64) *entry[T, S] {
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.byName[e.key.Name]
	if g != nil {
		if other := g.entry(e.key); other != nil {
			return other
		}
	}
	if p.drops[p.slot(e.key.Name)] != drops {
		return nil
	}
	if g == nil {
		g = &group[T, S]{}
		g.check.restart(p.Clock())
		p.byName[e.key.Name] = g
	}
	g.put(e)
	if !e.key.durable() {
		for _, oldest := range p.recent.add(e, p.MaxVariants) {
			p.removeLocked(oldest)
		}
	}
	return e
}

// Drop ends what is in use under the name and its scopes: sessions, requests for them, and waits. Readers start again
// with what storage holds. It returns at once.
func (p *Pool[T, S]) Drop(name string) {
	p.drop(name, func(*entry[T, S]) bool { return true })
}

// DropScope ends what is in use under one scope of the name.
func (p *Pool[T, S]) DropScope(name, scope string) {
	p.drop(name, func(e *entry[T, S]) bool { return e.key.Scope == scope })
}

// drop ends the entries of the name that match.
func (p *Pool[T, S]) drop(name string, match func(*entry[T, S]) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drops[p.slot(name)]++
	g := p.byName[name]
	if g == nil {
		return
	}
	g.each(func(e *entry[T, S]) {
		if match(e) {
			p.recent.remove(e)
			p.removeLocked(e)
		}
	})
}

// removeLocked ends one entry. The caller holds the pool's lock.
func (p *Pool[T, S]) removeLocked(e *entry[T, S]) {
	e.cancel()
	if g := p.byName[e.key.Name]; g != nil {
		g.remove(e)
		if g.empty() {
			delete(p.byName, e.key.Name)
		}
	}
}

// Forgive ends the pause after failures under the key: a test has shown that a session can be had.
func (p *Pool[T, S]) Forgive(key Key) {
	if e, _ := p.look(key); e != nil {
		e.forgive()
	}
}

// RefreshAhead has the next session of the key requested if it is in use and a read would, and waits for nothing.
func (p *Pool[T, S]) RefreshAhead(storage S, key Key) {
	if e, _ := p.look(key); e != nil {
		e.refreshAhead(storage)
	}
}

// Replace puts a session in as the live one of its key, for a subject that has been renewed without a change of its
// revision: a new certificate, say. No read fails or waits for it; a request that is under way is given up, and its
// waiters get s. update, which may be nil, returns the subject that stands in from now on for each key of the name; the
// sessions of its scopes go on. The caller holds the name's lock and stores s itself.
func (p *Pool[T, S]) Replace(key Key, s Session, update func(Key, T) T) {
	var entries []*entry[T, S]
	p.mu.Lock()
	// A subject that is being read just now may be the one before.
	p.drops[p.slot(key.Name)]++
	if g := p.byName[key.Name]; g != nil {
		g.each(func(e *entry[T, S]) { entries = append(entries, e) })
	}
	p.mu.Unlock()
	for _, e := range entries {
		e.replace(key, s, update)
	}
}

// Status is what the pool knows about a key in use.
type Status struct {
	Session   Session       // the last one; check Live
	Remaining time.Duration // its life
	Failures  int           // in a row
	Err       error         // of the last request; nil after a success
	NextTry   time.Duration // from now; 0: the next reader causes a request where one is due
}

// Status returns what is known about the key, and whether it is in use.
func (p *Pool[T, S]) Status(key Key) (Status, bool) {
	e, _ := p.look(key)
	if e == nil {
		return Status{}, false
	}
	return e.status(p.Clock()), true
}
