package budget

import "container/list"

// lane holds the callers that wait for one reason. Each mount has a line of its own in it, and the lines are served in
// turn. Its zero value is empty, and is what it becomes again when all have left.
type lane struct {
	lines map[*Mount]*line
	order list.List // of *line, the next to be served in front
}

// line holds the callers of a mount, the first to join in front. It is never empty.
type line struct {
	mount   *Mount
	waiters list.List // of *waiter
	inOrder *list.Element
}

// place is where a caller waits.
type place struct {
	line   *line
	inLine *list.Element
}

// ahead is how many callers of the mount wait.
func (l *lane) ahead(mount *Mount) int {
	if of := l.lines[mount]; of != nil {
		return of.waiters.Len()
	}
	return 0
}

func (l *lane) add(w *waiter) {
	of := l.lines[w.mount]
	if of == nil {
		if l.lines == nil {
			l.lines = map[*Mount]*line{}
		}
		of = &line{mount: w.mount}
		of.inOrder = l.order.PushBack(of)
		l.lines[w.mount] = of
	}
	w.place = place{of, of.waiters.PushBack(w)}
}

func (l *lane) remove(w *waiter) {
	of := w.place.line
	of.waiters.Remove(w.place.inLine)
	w.place = place{}
	if of.waiters.Len() > 0 {
		return
	}
	l.order.Remove(of.inOrder)
	if delete(l.lines, of.mount); len(l.lines) == 0 {
		l.lines = nil // maps keep the room of what was in them
	}
}

// head is the next caller to be served, or nil.
func (l *lane) head() *waiter {
	first := l.order.Front()
	if first == nil {
		return nil
	}
	return first.Value.(*line).waiters.Front().Value.(*waiter)
}

// serve removes the caller, and the other mounts are served before its mount is again.
func (l *lane) serve(w *waiter) {
	l.order.MoveToBack(w.place.line.inOrder)
	l.remove(w)
}
