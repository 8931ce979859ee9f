package engine

import (
	"context"
	"errors"
	"syscall"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/params"
)

// keepValue is [objects.value] for what the core must be told, a result for
// instance: it waits for space, because what happened cannot be refused. It
// ends without an answer only when the engine does.
func (e *Engine) keepValue(m *params.Map) (flow.Value, error) {
	return whenSpace(e.ctx, e, func() (flow.Value, error) { return e.objects.value(m) })
}

// keepTree is [objects.tree] for what the core must be told.
func (e *Engine) keepTree(t *flow.Tree) (*flow.Tree, error) {
	return whenSpace(e.ctx, e, func() (*flow.Tree, error) { return e.objects.tree(t) })
}

// whenSpace calls put until it finds space, or until ctx or the engine ends.
func whenSpace[T any](ctx context.Context, e *Engine, put func() (T, error)) (T, error) {
	for said := false; ; {
		v, err := put()
		if !errors.Is(err, journal.ErrNoSpace) && !errors.Is(err, ErrNoSpace) && !errors.Is(err, syscall.ENOSPC) {
			return v, err
		}
		if !said {
			e.log.Error("no space left; it goes on when there is", "err", err)
			said = true
		}
		select {
		case <-time.After(spaceRetry):
		case <-ctx.Done():
			return v, context.Cause(ctx)
		case <-e.ended:
			return v, e.endError()
		}
	}
}
