package expr

import "sync"

const (
	// singles is how many runtimes of a kind are built for one task each before lasting ones are, whose building takes
	// several times as long: most runs of a workflow need no more.
	singles = 2
	maxKept = 4 // lasting runtimes of a kind
)

// A pool hands runtimes to tasks, and keeps the lasting ones for the next task.
type pool struct {
	builder *builder
	keep    int // lasting runtimes of each kind

	mu      sync.Mutex
	built   [2]int // by kind
	lasting [2]int // that exist, kept or in use
	kept    [2][]*runtime
}

func newPool(keep int) *pool { return &pool{builder: newBuilder(), keep: min(keep, maxKept)} }

func (p *pool) take(kind int) *runtime {
	r, lasting := p.next(kind)
	if r == nil {
		r = p.builder.build(kind, lasting)
	}
	return r
}

// next returns a kept runtime, or whether the one to build lasts.
func (p *pool) next(kind int) (r *runtime, lasting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.kept[kind]) - 1; last >= 0 {
		r, p.kept[kind] = p.kept[kind][last], p.kept[kind][:last]
		return r, true
	}
	p.built[kind]++
	if p.built[kind] <= singles || p.lasting[kind] >= p.keep {
		return nil, false
	}
	p.lasting[kind]++
	return nil, true
}

// giveBack ends a task's use of a runtime, which is reset or not clean.
func (p *pool) giveBack(r *runtime, clean bool) {
	if !r.lasting {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if clean {
		p.kept[r.kind] = append(p.kept[r.kind], r)
	} else {
		p.lasting[r.kind]--
	}
}

// empty forgets the kept runtimes.
func (p *pool) empty() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for kind := range p.kept {
		p.lasting[kind] -= len(p.kept[kind])
		p.kept[kind] = nil
	}
}
