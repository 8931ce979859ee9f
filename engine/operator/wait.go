package operator

import (
	"context"
	"fmt"
	"time"

	"gitdag/engine/params"
)

// leastPoll keeps a waiting task from being asked again and again.
const leastPoll = time.Second

// The state of a wait: when it began, in milliseconds, as Digdag shows it. What
// older versions began holds the time at which it ends.
const (
	waitStart    = "wait_start_time_millis"
	waitDeadline = "deadline"
)

// runWait lets a time go by (operators.md 5.8). The first run fixes its begin
// in the state, which never changes after that.
func runWait(ctx context.Context, t *Task) (*Result, error) {
	length, err := params.Required(t.Config, "_command", params.Duration)
	if err != nil {
		return nil, err
	}
	blocking, err := params.Optional(t.Config, "blocking", params.Bool, false)
	if err != nil {
		return nil, err
	}
	interval, err := pollInterval(t.Config, blocking)
	if err != nil {
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
	left := deadline.Sub(t.Now)
	if left <= 0 {
		return &Result{}, nil
	}
	if interval == 0 {
		// A clock that was set back must not make the wait longer than asked for.
		interval = min(left, length)
	}
	return nil, &Poll{After: interval, State: state}
}

// waitEnd returns when a wait is over.
func waitEnd(state *params.Map, length time.Duration) (time.Time, error) {
	if state.Has(waitDeadline) {
		return params.Required(state, waitDeadline, params.Instant)
	}
	start, err := params.Required(state, waitStart, params.Long)
	return time.UnixMilli(start).Add(length), err
}

// pollInterval returns 0 where the task does not give one.
func pollInterval(config *params.Map, blocking bool) (time.Duration, error) {
	if value, _ := config.Lookup("poll_interval"); value == nil {
		return 0, nil
	}
	if blocking {
		return 0, configError("poll_interval can't be specified with blocking: true")
	}
	interval, err := params.Required(config, "poll_interval", params.Duration)
	return max(interval, leastPoll), err
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
