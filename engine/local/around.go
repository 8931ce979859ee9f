package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// generates tells whether an operator only decides which tasks there are: such
// a one runs in a dry run too, so that those tasks are shown (O29).
func generates(typ string) bool {
	switch typ {
	case "call", "for_each", "for_range", "if", "loop":
		return true
	}
	return false
}

// thread is how log lines of a task name their thread: Digdag's form.
func thread(d *flow.Dispatch) string {
	v := d.View
	return fmt.Sprintf("%04d@[0:%s:%d:%d]%s", d.Lease.Task, v.Attempt.ProjectName, v.Session.ID, v.Attempt.ID, d.FullName)
}

// skip decides whether a task is left out or done already. It is
// engine.Options.Skip.
func (r *runner) skip(d *flow.Dispatch) (*operator.Result, bool) {
	if r.selection.leavesOut(d.FullName) {
		r.passOver(d, "not in the part of the workflow that was asked for")
		r.leaveOut(d.FullName)
		return nil, true
	}
	// A repetition runs everything, whatever was saved (L62).
	if d.Repeated || !r.selection.mayReuse(d.FullName) {
		return nil, false
	}
	saved, err := r.states.load(d.FullName)
	if err != nil {
		r.console.printf(slog.LevelWarn, thread(d), "%v", err)
	}
	if saved == nil && r.options.NoSave && r.options.Start != "" {
		r.passOver(d, "it precedes the start, and no result of it is saved")
		return nil, true
	}
	if saved == nil {
		return nil, false
	}
	r.passOver(d, "done already in this session")
	r.remember(d, saved)
	return saved, true
}

// passOver tells why a task does not run.
func (r *runner) passOver(d *flow.Dispatch, why string) {
	r.began(d, "skipped: "+why)
	r.console.task(slog.LevelWarn, thread(d), "Skipped: %s", why)
}

// around tells of a task when it is about to run, and runs it unless the run is
// dry. It is engine.Options.Around.
func (r *runner) around(ctx context.Context, c *engine.Call, run engine.Runner) (*operator.Result, error) {
	thread := thread(c.Dispatch)
	if r.options.ShowParams {
		r.console.printf(slog.LevelWarn, thread, "parameters:\n%s", c.Mask(YAML(c.Task.Config, "  ")))
	}
	if c.Task.State == nil { // not at each poll
		what := c.Mask(operator.Describe(c.Task))
		r.began(c.Dispatch, what)
		r.console.task(slog.LevelInfo, thread, "%s", what)
	}
	if r.options.DryRun && !generates(c.Task.Type) {
		if exists, err := r.exists(ctx, c.Task); exists || err != nil {
			return nil, err
		}
	}
	result, err := run(ctx)
	var poll *operator.Poll
	switch {
	case errors.As(err, &poll) || ctx.Err() != nil:
	case err != nil:
		r.failed(c.Dispatch.Lease, thread, c.Task.FullName, err.Error())
	default:
		r.remember(c.Dispatch, result)
		entry, _ := r.options.Operators.Lookup(c.Task.Type)
		for _, key := range entry.Unused(c.Task) {
			r.console.printf(slog.LevelError, thread, "parameter %q is not used at task %s", key, c.Task.FullName)
		}
	}
	return result, err
}

// exists tells whether a task has an operator to run, or needs none.
func (r *runner) exists(ctx context.Context, t *operator.Task) (bool, error) {
	if _, known := r.options.Operators.Lookup(t.Type); known || t.Type == "" {
		return true, nil
	}
	program, err := r.options.Operators.Program(ctx, t)
	return program != nil, err
}

// failed logs a failure of a task once, as soon as it is known.
func (r *runner) failed(l flow.Lease, thread, name, message string) {
	r.mu.Lock()
	logged := r.logged[l]
	r.logged[l] = true
	r.mu.Unlock()
	if logged {
		return
	}
	if r.options.Watcher != nil {
		r.options.Watcher.Failed(l.Task, message)
	}
	r.console.task(slog.LevelError, thread, "Task %s failed.\n%s", name, message)
}

// remember keeps a result until its task has succeeded with all that it
// generated, for the state file.
func (r *runner) remember(d *flow.Dispatch, result *operator.Result) {
	if result == nil || !r.states.write {
		return
	}
	if result.Subtasks.Len() == 0 && result.Export.Len() == 0 && result.Store.Len() == 0 && len(result.Reset) == 0 {
		return
	}
	r.mu.Lock()
	r.results[d.Lease.Task] = result
	r.mu.Unlock()
}

// leaveOut notes that a task does not run. Its state is not saved, nor are
// those of the tasks around it, whatever becomes of them (L63).
func (r *runner) leaveOut(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial[name] = true
	for i, c := range name {
		if i > 0 && (c == '+' || c == '^') {
			r.partial[name[:i]] = true
		}
	}
}

// begun watches the root of an attempt that has begun.
func (r *runner) begun(a *flow.Attempt) {
	if a != nil && a.RootTask() != nil {
		r.watch(a.RootTask(), flow.Planned)
	}
}

// narrate saves the states of tasks that have succeeded, groups too, and
// follows what is still to be waited for. It is engine.Options.Narrate.
func (r *runner) narrate(s *flow.State, events []flow.Event) {
	for _, ev := range events {
		switch ev := ev.(type) {
		case *flow.AttemptStarted: // with a root that runs already
			r.begun(s.Attempt(ev.Attempt.ID))
		case *flow.AttemptBegun:
			r.begun(s.Attempt(ev.Attempt))
		case *flow.TaskMoved:
			r.moved(s, ev)
		case *flow.AlertRaised:
			r.waitFor(func() { r.alerts++ })
		case *flow.AlertClosed:
			if ev.Why != "" {
				r.console.Warn("a notification was given up: %s", ev.Why)
			}
			r.waitFor(func() { r.alerts-- })
		case *flow.AlertDelayed:
			r.console.Warn("a notification could not be delivered yet: %s", ev.Why)
		}
	}
}

func (r *runner) moved(s *flow.State, ev *flow.TaskMoved) {
	if ev.Note == "" && ev.To != flow.Success && ev.Failure == nil && r.options.Watcher == nil {
		return
	}
	a := s.Attempt(ev.Attempt)
	if a == nil {
		return
	}
	t := a.Task(ev.Task)
	r.watch(t, ev.To)
	if ev.Note != "" {
		r.console.Warn("%s: %s", t.FullName(), ev.Note)
	}
	switch {
	case ev.Failure != nil:
		row := t.Row()
		r.failed(flow.Lease{Attempt: ev.Attempt, Task: ev.Task, Execution: row.Execution}, mainThread, row.FullName, message(row.Error))
	case ev.To == flow.Success:
		r.succeeded(t)
	}
}

func (r *runner) succeeded(t *flow.Task) {
	name := t.FullName()
	r.mu.Lock()
	result := r.results[t.ID()]
	delete(r.results, t.ID())
	partial := r.partial[name]
	r.mu.Unlock()
	if partial {
		return
	}
	if err := r.states.save(name, result); err != nil {
		r.console.Warn("%v", err)
	}
}

// message returns the text of an error object, or all of it.
func message(object *params.Map) string {
	if v, _ := object.Lookup("message"); v != nil {
		if text, ok := params.Text(v); ok {
			return text
		}
	}
	return string(params.AppendJSON(nil, object))
}
