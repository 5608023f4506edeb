package session

import (
	"container/list"
	"sync"
)

// recency orders the entries with a variant by when they were last read. It is safe for concurrent use.
type recency[T Subject, S any] struct {
	mu    sync.Mutex
	order list.List // of *entry[T, S], the most recently used first
}

// add puts the entry first and takes out as many of the last ones as there are too many.
func (r *recency[T, S]) add(e *entry[T, S], most int) (oldest []*entry[T, S]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.place = r.order.PushFront(e)
	for r.order.Len() > most {
		oldest = append(oldest, r.order.Remove(r.order.Back()).(*entry[T, S]))
	}
	return oldest
}

// touch puts the entry first again, if it is still in use.
func (r *recency[T, S]) touch(e *entry[T, S]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.place != nil {
		r.order.MoveToFront(e.place)
	}
}

func (r *recency[T, S]) remove(e *entry[T, S]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.place != nil {
		r.order.Remove(e.place)
	}
}
