package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// oneSession is a session of a workflow, whose attempts run and end at the
// test's will. Like an engine it starts one attempt of a name.
type oneSession struct {
	attempts []sessionAttempt
	succeed  bool
	asked    []operator.Requirement
}

type sessionAttempt struct {
	name          string
	done, success bool
}

func (s *oneSession) Ensure(_ context.Context, r operator.Requirement) (operator.Ensured, error) {
	s.asked = append(s.asked, r)
	i := slices.IndexFunc(s.attempts, func(a sessionAttempt) bool { return a.name == r.RetryName })
	switch {
	case i < 0 && r.Look:
		return operator.Ensured{}, nil
	case i < 0:
		s.attempts = append(s.attempts, sessionAttempt{name: r.RetryName})
		return operator.Ensured{Attempt: uint64(len(s.attempts)), Session: 7, Started: true}, nil
	case r.RetryName == "":
		i = len(s.attempts) - 1
	}
	a := s.attempts[i]
	return operator.Ensured{Attempt: uint64(i + 1), Session: 7, Done: a.done, Success: a.success}, nil
}

// end has all attempts end.
func (s *oneSession) end() {
	for i := range s.attempts {
		if !s.attempts[i].done {
			s.attempts[i] = sessionAttempt{s.attempts[i].name, true, s.succeed}
		}
	}
}

// before puts the session in the state of a name.
func (s *oneSession) before(state string) {
	if state != "none" {
		s.attempts = []sessionAttempt{{done: strings.HasPrefix(state, "done"), success: state == "done well"}}
	}
}

// play runs a requiring task to its end. What the executions come to that are in
// crashes is lost. After each execution the attempts of the session end.
func play(p *project, s *oneSession, crashes int, own ...any) error {
	p.t.Helper()
	task := p.inherit(params.Of("session_time", "2024-01-02T00:00:00+00:00"), own...)
	task.Sessions = s
	for n := range 20 {
		task.Unique = fmt.Sprint("name-", n)
		_, err := operator.Builtin()["require"].Operator.Run(context.Background(), task)
		s.end()
		var poll *operator.Poll
		switch {
		case crashes&(1<<n) != 0:
		case errors.As(err, &poll):
			task.State = poll.State
		default:
			return err
		}
	}
	p.t.Fatal("still waiting")
	return nil
}

// TestRequireMatrix goes through operators.md 5.2, with a crash at any step.
func TestRequireMatrix(t *testing.T) {
	p := newProject(t)
	for _, before := range []string{"none", "running", "done well", "done badly"} {
		for _, rerun := range []string{"", "none", "failed", "all"} {
			for _, succeed := range []bool{true, false} {
				for _, ignore := range []bool{true, false} {
					requireCase(p, before, rerun, succeed, ignore)
				}
			}
		}
	}
}

func requireCase(p *project, before, rerun string, succeed, ignore bool) {
	p.t.Helper()
	starts, last := 0, before == "done well" // what is left of the session by the rules
	switch {
	case before == "none":
		starts, last = 1, succeed
	case before == "running":
		last = succeed
	}
	if before != "none" && (rerun == "all" || rerun == "failed" && !last) {
		starts, last = 1, succeed
	}
	own := []any{"require>", "other", "ignore_failure", ignore}
	if rerun != "" {
		own = append(own, "rerun_on", rerun)
	}
	// Whatever crashes where, nothing is started twice and nothing is lost.
	for crashes := range 1 << 6 {
		s := &oneSession{succeed: succeed}
		s.before(before)
		there := len(s.attempts)
		err := play(p, s, crashes, own...)
		if got := len(s.attempts) - there; got != starts || (err == nil) != (last || ignore) {
			p.t.Fatalf("session %s, rerun_on %q, success %v, ignore_failure %v, crashes %06b: got %d starts and %v, want %d and success %v",
				before, rerun, succeed, ignore, crashes, got, err, starts, last || ignore)
		}
		if want := fmt.Sprintf("Dependent workflow failed. Session id: 7, attempt id: %d", len(s.attempts)); err != nil && err.Error() != want {
			p.t.Fatalf("got %v, want %s", err, want)
		}
	}
}

func TestRequirePolls(t *testing.T) {
	task := newProject(t).inherit(params.Of("session_time", "2024-01-02T00:00:00+00:00"), "require>", "other")
	task.Sessions = &oneSession{}
	var waits []time.Duration
	for n := range 7 {
		task.Polls = n
		_, err := run(t, task)
		var poll *operator.Poll
		if !errors.As(err, &poll) {
			t.Fatalf("got %v, want a poll", err)
		}
		if got := encoded(poll.State); got != `{"require_kicked":true}` || poll.Attempt != 1 {
			t.Errorf("got state %s waiting for attempt %d, want the same state, and attempt 1", got, poll.Attempt)
		}
		waits, task.State = append(waits, poll.After/time.Second), poll.State
	}
	if want := []time.Duration{1, 2, 4, 8, 10, 10, 10}; !slices.Equal(waits, want) {
		t.Errorf("got waits of %v seconds, want %v", waits, want)
	}
}

func TestRequireOptions(t *testing.T) {
	session, other := time.Date(2024, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2020, 2, 2, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		own  []any
		want operator.Requirement
	}{
		{nil, operator.Requirement{Session: session}},
		{[]any{"session_time", "2020-02-02T00:00:00+00:00"}, operator.Requirement{Session: other}},
		{[]any{"project_name", "q"}, operator.Requirement{Session: session, Project: "q"}},
		{[]any{"project_id", 12}, operator.Requirement{Session: session, ProjectID: 12}},
		{[]any{"retry_attempt_name", "second"}, operator.Requirement{Session: session, RetryName: "second"}},
	}
	// What a task above sets as its own is not meant for this one.
	visible := params.Of("session_time", "2024-01-02T00:00:00+00:00", "project_name", "no", "project_id", 1, "retry_attempt_name", "no")
	for _, tt := range tests {
		s := &oneSession{}
		task := newProject(t).inherit(visible, append([]any{"require>", "w"}, tt.own...)...)
		task.Sessions = s
		_, _ = run(t, task)
		got, want := s.asked[0], tt.want
		if got.Workflow != "w" || !got.Session.Equal(want.Session) || got.Project != want.Project || got.ProjectID != want.ProjectID || got.RetryName != want.RetryName {
			t.Errorf("%v: got %+v, want %+v", tt.own, got, want)
		}
	}
	s := &oneSession{}
	task := newProject(t).inherit(visible, "require>", "w", "params", params.Of("a", 1))
	task.Sessions = s
	if _, _ = run(t, task); encoded(s.asked[0].Params) != `{"a":1}` {
		t.Errorf("got params %s, want those of the task", encoded(s.asked[0].Params))
	}
}

func TestRequireRefuses(t *testing.T) {
	refused := func(want string, own ...any) {
		t.Helper()
		task := newProject(t).inherit(params.Of("session_time", "2024-01-02T00:00:00+00:00"), own...)
		task.Sessions = &oneSession{}
		wantFailure(t, task, want)
	}
	refused("Parameter '_command' is required but not set (config)", "require>", nil)
	refused("Both project_id and project_name can't be set (config)", "require>", "w", "project_id", 1, "project_name", "p")
	refused("Unknown rerun_on: never. It must be none, failed or all (config)", "require>", "w", "rerun_on", "never")
	refused("Expected object type for key 'params' but got 1 (number) (config)", "require>", "w", "params", 1)
}
