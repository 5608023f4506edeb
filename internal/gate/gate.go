// Package gate bounds how much of one costly kind of work a process does at once.
package gate

import (
	"context"
	"sync"
)

// Gate lets a fixed number in at once; the others wait in the order in which they came. It is safe for concurrent use.
type Gate struct{ places chan struct{} }

// New returns a gate with the number of places, at least one.
func New(places int) *Gate { return &Gate{make(chan struct{}, places)} }

// Enter waits for a place until ctx ends, whose error it then returns. leave gives the place back; calling it again
// does nothing.
func (g *Gate) Enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil {
		return nil, ctx.Err() // also where a place is free: nobody waits for the work any more
	}
	select {
	case g.places <- struct{}{}:
		return sync.OnceFunc(func() { <-g.places }), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
