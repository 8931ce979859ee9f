package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// polls runs a waiting task until it is done, as an engine whose clock goes
// wrong by drift before each poll would, and returns the time that went by.
func polls(t *testing.T, task *operator.Task, drift time.Duration) []time.Duration {
	t.Helper()
	var waits []time.Duration
	for len(waits) < 10 {
		_, err := run(t, task)
		var poll *operator.Poll
		if err == nil {
			return waits
		}
		if !errors.As(err, &poll) {
			t.Fatalf("got %v, want a poll", err)
		}
		if task.State != nil && task.State != poll.State {
			t.Errorf("got the state %s instead of %s, want the same one", encoded(poll.State), encoded(task.State))
		}
		waits = append(waits, poll.After)
		task.State = poll.State
		task.Now = task.Now.Add(poll.After + drift)
	}
	t.Fatalf("still waiting after %v", waits)
	return nil
}

// A wait is one deadline (operators.md 5.8).
func TestWaitPolls(t *testing.T) {
	tests := []struct {
		name  string
		own   []any
		drift time.Duration
		want  []time.Duration
	}{
		{"once, at the deadline", []any{"wait>", "1m 30s"}, 0, []time.Duration{90 * time.Second}},
		{"late", []any{"wait>", "1m"}, time.Second, []time.Duration{time.Minute}},
		{"nothing to wait for", []any{"wait>", "0s"}, 0, nil},
		{
			"an interval changes nothing of the deadline",
			[]any{"wait>", "10S", "poll_interval", "4s"},
			0,
			[]time.Duration{10 * time.Second},
		},
	}
	for _, tt := range tests {
		got := polls(t, newProject(t).task(tt.own...), tt.drift)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got waits %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A clock that is set back by a day must not add a day to a minute's wait.
func TestWaitIsRearmedForItsOwnLengthAtMost(t *testing.T) {
	task := newProject(t).task("wait>", "1m")
	_, err := run(t, task)
	var poll *operator.Poll
	if !errors.As(err, &poll) {
		t.Fatalf("got %v, want a poll", err)
	}
	task.State, task.Now = poll.State, began.Add(-24*time.Hour)
	if _, err := run(t, task); !errors.As(err, &poll) || poll.After != time.Minute {
		t.Errorf("got %v, want a poll after a minute", err)
	}
}

// The begin of a wait is what its task shows; a restart or an update of gitdag
// in between changes nothing of its end.
func TestWaitStateTellsItsBegin(t *testing.T) {
	task := newProject(t).task("wait>", "1m")
	_, err := run(t, task)
	var poll *operator.Poll
	if !errors.As(err, &poll) {
		t.Fatalf("got %v, want a poll", err)
	}
	if got, want := encoded(poll.State), fmt.Sprintf(`{"wait_start_time_millis":%d}`, began.UnixMilli()); got != want {
		t.Errorf("got the state %s, want %s", got, want)
	}
	older := params.Of("deadline", began.Add(time.Minute).Format(time.RFC3339Nano))
	for _, state := range []*params.Map{poll.State, older} {
		task.State, task.Now = state, began.Add(50*time.Second)
		if _, err := run(t, task); !errors.As(err, &poll) || poll.After != 10*time.Second {
			t.Errorf("%s: got %v, want a poll after the 10 seconds that are left", encoded(state), err)
		}
		task.Now = began.Add(time.Minute)
		if _, err := run(t, task); err != nil {
			t.Errorf("%s: got %v at the end, want none", encoded(state), err)
		}
	}
}

func TestWaitBlocks(t *testing.T) {
	p := newProject(t)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		mustRun(t, p.task("wait>", "1d 1h", "blocking", "true"))
		if got, want := time.Since(start), 25*time.Hour; got != want {
			t.Errorf("got a wait of %v, want %v", got, want)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, errors.New("attempt killed"))
		defer cancel()
		_, err := operator.Builtin()["wait"].Operator.Run(ctx, p.task("wait>", "1h", "blocking", true))
		var failure *operator.Error
		if err == nil || errors.As(err, &failure) || err.Error() != "wait 1h0m0s: attempt killed" {
			t.Errorf("got %T %v, want the cause, and no failure of the task", err, err)
		}
	})
}

func TestWaitRefuses(t *testing.T) {
	p := newProject(t)
	const expected = "Expected duration such as '1h 30m' for key "
	wantFailure(t, p.task("wait>", nil), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.task("wait>", "1s 1m"), expected+`'_command' but got "1s 1m" (string) (config)`)
	wantFailure(t, p.task("wait>", 10), expected+`'_command' but got 10 (number) (config)`)
	wantFailure(t, p.task("wait>", "1s", "poll_interval", "soon"),
		expected+`'poll_interval' but got "soon" (string) (config)`)
	wantFailure(t, p.task("wait>", "1s", "blocking", "maybe"),
		`Expected 'true' or 'false' for key 'blocking' but got "maybe" (string) (config)`)
	wantFailure(t, p.task("wait>", "1s", "blocking", true, "poll_interval", "1s"),
		"poll_interval can't be specified with blocking: true (config)")
}
