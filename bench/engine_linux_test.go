package bench

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/command"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/operator"
	"gitdag/engine/tasklog"
	"gitdag/engine/workspace"
)

// durable is the engine of an agent in this process: all that stands below the
// HTTP interface and the syncs, on a data directory of its own.
type durable struct {
	t       testing.TB
	engine  *engine.Engine
	history *history.History
	over    chan *flow.Record
}

// newDurable starts an engine that has the workflows of a folder live.
func newDurable(t testing.TB, project *dig.Project, ops *operator.Registry) *durable {
	t.Helper()
	data := t.TempDir()
	fsys := journal.OSFS(data)
	j, _, err := journal.Open(fsys, journal.Options{})
	check(t, err)
	objects, err := journal.OpenObjects(fsys)
	check(t, err)
	d := &durable{t: t, over: make(chan *flow.Record, 1)}
	d.history, _, err = history.Open(t.Context(), data, history.Options{})
	check(t, err)
	texts := tasklog.NewStore(tasklog.Options{Dir: filepath.Join(data, "logs"), Agent: "bench", MaxBytes: 1 << 30})
	evaluator := expr.New(expr.Options{})
	d.engine = engine.New(engine.Options{
		Config: flow.Config{Slots: 64, TasksPerAttempt: enough}, Journal: j, Objects: objects, History: d,
		Operators: ops, Workspaces: spaces{workspace.NewStore(filepath.Join(data, "workspaces"))}, Logs: logs{texts},
		Commands: command.Local{}, Evaluator: evaluator, DataID: "bench",
		Narrate: func(*flow.State, []flow.Event) {}, Log: slog.New(slog.DiscardHandler),
	})
	check(t, d.engine.Start(t.Context()))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		d.engine.Stop(ctx)
		evaluator.Close()
		check(t, errors.Join(texts.Close(), d.history.Close(ctx), j.Close()))
	})
	check(t, d.engine.Deploy(t.Context(), &engine.Deployment{Repo: "bench", Projects: []engine.Project{{
		Name: "p", Tree: "tree", Checkout: "tree", Revision: "1", Content: project,
	}}}))
	return d
}

// run runs the workflow w to its end, archive included, and returns how long it
// took from its creation to the end of its last task.
func (d *durable) run() time.Duration {
	d.t.Helper()
	_, err := d.engine.StartAttempt(d.t.Context(), engine.StartRequest{Project: "p", Workflow: "w", Session: time.Unix(1_700_000_000, 0)})
	check(d.t, err)
	r := <-d.over
	if !r.Succeeded {
		d.t.Fatal("the attempt failed")
	}
	return r.FinishedAt.Sub(r.CreatedAt)
}

// Put archives an attempt.
func (d *durable) Put(ctx context.Context, r *flow.Record) error {
	err := d.history.Put(ctx, r)
	if err == nil {
		d.over <- r
	}
	return err
}

// Past asks the history.
func (d *durable) Past(ctx context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error) {
	return d.history.Past(ctx, project, workflow, session)
}

// Record asks the history.
func (d *durable) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	return d.history.Record(ctx, id)
}

// logs gives executions their logs.
type logs struct{ *tasklog.Store }

// Begin returns the log of an execution.
func (l logs) Begin(attempt, task uint64, execution int, fullName string, at time.Time) engine.TaskLog {
	return l.Store.Begin(tasklog.Run{Attempt: attempt, Task: task, Execution: execution, FullName: fullName, Time: at})
}

// spaces are the workspaces, which tasks without processes do not ask for.
type spaces struct{ *workspace.Store }

// Scratch is never asked for.
func (spaces) Scratch(uint64, string) (string, error) { return "", errors.ErrUnsupported }

// Settled has nothing to remove.
func (spaces) Settled(uint64, bool) {}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
