package engine

import (
	"context"
	"errors"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/params"
)

// keepValue is [objects.value] for what the core must be told, a result for
// instance: it waits for space, because what happened cannot be refused. It
// ends without an answer only when the engine does.
func (e *Engine) keepValue(m *params.Map) (flow.Value, error) {
	return whenSpace(e, func() (flow.Value, error) { return e.objects.value(m) })
}

// keepTree is [objects.tree] for what the core must be told.
func (e *Engine) keepTree(t *flow.Tree) (*flow.Tree, error) {
	return whenSpace(e, func() (*flow.Tree, error) { return e.objects.tree(t) })
}

func whenSpace[T any](e *Engine, put func() (T, error)) (T, error) {
	for said := false; ; {
		v, err := put()
		if !errors.Is(err, journal.ErrNoSpace) {
			return v, err
		}
		if !said {
			e.log.Error("no space left for a result: it is kept until there is", "err", err)
			said = true
		}
		select {
		case <-time.After(spaceRetry):
		case <-e.ctx.Done():
			return v, context.Cause(e.ctx)
		case <-e.ended:
			return v, e.endError()
		}
	}
}
