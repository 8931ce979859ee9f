package engine

import (
	"context"
	"slices"
	"sync"
	"testing"

	"gitdag/engine/flow"
	"gitdag/engine/operator"
)

// What is told is durable and in the state: groups, which no worker sees, too.
func TestNarratorHearsOfEveryMove(t *testing.T) {
	var mu sync.Mutex
	var ended, repeated []string
	narrate := func(s *flow.State, events []flow.Event) {
		for _, ev := range events {
			if m, ok := ev.(*flow.TaskMoved); ok && m.To.Final() {
				ended = append(ended, s.Attempt(m.Attempt).Task(m.Task).FullName()+" "+m.To.String())
			}
		}
	}
	around := func(ctx context.Context, c *Call, run Runner) (*operator.Result, error) {
		if c.Dispatch.Repeated {
			mu.Lock()
			repeated = append(repeated, c.Task.FullName)
			mu.Unlock()
		}
		return run(ctx)
	}
	r := newRig(t, map[string]string{"w.dig": `
+g:
  _retry: 1
  +a: {echo>: a}
  +l: {loop>: 1, _do: {fail>: no}}
`}, func(o *Options) { o.Narrate, o.Around = narrate, around })
	r.run("w", nil)
	round := []string{
		"+w+g+a success", "+w+g+l^sub+loop-0 error", "+w+g+l^sub group_error", "+w+g+l group_error",
	}
	want := append(slices.Concat(round, round), "+w+g group_error", "+w^failure-alert success", "+w group_error")
	if !slices.Equal(ended, want) {
		t.Errorf("got %q, want %q", ended, want)
	}
	if want := []string{"+w+g+a", "+w+g+l", "+w+g+l^sub+loop-0"}; !slices.Equal(repeated, want) {
		t.Errorf("repeated: got %q, want %q", repeated, want)
	}
}
