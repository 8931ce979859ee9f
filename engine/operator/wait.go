package operator

import (
	"context"
	"fmt"
	"time"

	"gitdag/engine/params"
)

// The state of a wait: when it began, in milliseconds, as Digdag shows it. What
// older versions began holds the time at which it ends.
const (
	waitStart    = "wait_start_time_millis"
	waitDeadline = "deadline"
)

// runWait lets a time go by (operators.md 5.8). The first run fixes its begin
// in the state, which never changes after that; the next one is at the end. It
// would be no other with `poll_interval`, which only makes Digdag ask in between
// and be late.
func runWait(ctx context.Context, t *Task) (*Result, error) {
	length, err := params.Required(t.Config, "_command", params.Duration)
	if err != nil {
		return nil, err
	}
	blocking, err := params.Optional(t.Config, "blocking", params.Bool, false)
	if err != nil {
		return nil, err
	}
	if err := checkInterval(t.Config, blocking); err != nil {
		return nil, err
	}
	if blocking {
		return &Result{}, sleep(ctx, length)
	}

	state := t.State
	if !state.Has(waitStart) && !state.Has(waitDeadline) {
		state = params.Of(waitStart, t.Now.UnixMilli())
	}
	deadline, err := waitEnd(state, length)
	if err != nil {
		return nil, err
	}
	left := deadline.Sub(t.Now.Truncate(time.Millisecond)) // waits have whole milliseconds
	if left <= 0 {
		return &Result{}, nil
	}
	// A clock that was set back must not make the wait longer than asked for.
	return nil, &Poll{After: min(left, length), State: state}
}

// waitEnd returns when a wait is over.
func waitEnd(state *params.Map, length time.Duration) (time.Time, error) {
	if state.Has(waitDeadline) {
		return params.Required(state, waitDeadline, params.Instant)
	}
	start, err := params.Required(state, waitStart, params.Long)
	return time.UnixMilli(start).Add(length), err
}

func checkInterval(config *params.Map, blocking bool) error {
	if value, _ := config.Lookup("poll_interval"); value == nil {
		return nil
	}
	if blocking {
		return configError("poll_interval can't be specified with blocking: true")
	}
	_, err := params.Required(config, "poll_interval", params.Duration)
	return err
}

func sleep(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait %s: %w", length, context.Cause(ctx))
	}
}
