package budget

// Remembered is how many queues the group holds.
func (g *Group) Remembered() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.queues)
}

// MaxKeys is how many queues are remembered in which nobody waits.
const MaxKeys = maxKeys

// Number is the turn's number among those that the group has given.
func (t *Turn) Number() uint64 { return t.number }
