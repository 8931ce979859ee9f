package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gitdag/engine/flow"
)

// stuckHistory is a history that archives nothing until it is let.
type stuckHistory struct {
	*rig
	let chan struct{}
}

func (h *stuckHistory) Put(ctx context.Context, r *flow.Record) error {
	select {
	case <-h.let:
		return h.rig.Put(ctx, r)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// However many attempts wait to be archived, on a full disk for instance, what
// a live attempt waits for is done.
func TestArchivesHoldNobodyUp(t *testing.T) {
	const attempts = 100
	h := &stuckHistory{let: make(chan struct{})}
	files := map[string]string{"w.dig": "+g:\n  _parallel: ${true}\n  +a: {echo>: a}\n"}
	h.rig = startRig(t, files, func(o *Options) { o.History = h })
	h.deploy()
	for i := range attempts {
		_, err := h.e.StartAttempt(t.Context(), StartRequest{
			Project: "p", Workflow: "w", Session: time.Unix(int64(i), 0).UTC(),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, fmt.Sprint(attempts, " attempts to be over"), func() bool {
		over := 0
		h.e.View(func(s *flow.State) {
			for _, a := range s.Attempts() {
				if a.Done {
					over++
				}
			}
		})
		return over == attempts
	})
	close(h.let)
	for range attempts {
		<-h.done
	}
}
