package engine

import "sync"

// gate counts the goroutines of effects. Once it is closed nobody enters: what
// would have begun is owed to the next start.
type gate struct {
	mu     sync.Mutex
	closed bool
	group  sync.WaitGroup
}

// run runs f in a goroutine, unless the gate is closed.
func (g *gate) run(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.group.Go(f)
	return true
}

// close lets nobody in any more and waits for those inside.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.group.Wait()
}
