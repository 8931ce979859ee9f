package agent

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/tasklog"
	"gitdag/engine/workspace"
)

// workspaces gives attempts their directories, copied from the checkout of
// their commit.
type workspaces struct {
	store *workspace.Store
	dir   func(tree string) string // of a checkout
	// restore makes a checkout again that is gone.
	restore func(tree string) error
	log     *slog.Logger

	scratch sync.Map // attempts whose directory for scripts exists
}

// Make returns the attempt's workspace.
func (w *workspaces) Make(attempt uint64, checkout string) (string, error) {
	dir, err := w.store.Make(attempt, w.dir(checkout))
	if errors.Is(err, fs.ErrNotExist) {
		if missing := w.again(attempt, checkout); missing != nil {
			return "", errors.Join(err, missing)
		}
		dir, err = w.store.Make(attempt, w.dir(checkout))
	}
	return dir, err
}

// again makes a checkout that is gone.
func (w *workspaces) again(attempt uint64, checkout string) error {
	if err := w.restore(checkout); err != nil {
		return err
	}
	w.log.Info("the files of a revision were gone and are unpacked again", "attempt", attempt, "checkout", checkout)
	return nil
}

// present returns the checkout that an attempt runs.
func (w *workspaces) present(attempt uint64, checkout string) (string, error) {
	dir := w.dir(checkout)
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = w.again(attempt, checkout)
	}
	return dir, err
}

// Scratch returns the attempt's directory for scripts: no other attempt shares
// the workspace, so any place in it will do.
func (w *workspaces) Scratch(attempt uint64, dir string) (string, error) {
	if _, ok := w.scratch.Load(attempt); ok {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	w.scratch.Store(attempt, true)
	return dir, nil
}

// Settled removes the workspace of an attempt that succeeded. That of a failed
// one stays for a look until it expires.
func (w *workspaces) Settled(attempt uint64, success bool) {
	w.scratch.Delete(attempt)
	if !success {
		return
	}
	if err := w.store.Remove(attempt); err != nil {
		w.log.Warn("a workspace could not be removed; the next start tries again", "attempt", attempt, "err", err)
	}
}

// logs gives executions their logs.
type logs struct{ store *tasklog.Store }

// Begin returns the log of an execution.
func (l logs) Begin(attempt, task uint64, execution int, fullName string, at time.Time) engine.TaskLog {
	return l.store.Begin(tasklog.Run{Attempt: attempt, Task: task, Execution: execution, FullName: fullName, Time: at})
}

// Pack puts the logs of an attempt that is over into one file.
func (l logs) Pack(attempt uint64) error { return l.store.Pack(attempt) }

// archives is the history as the engine sees it.
type archives struct{ *history.History }

// Record returns an archived attempt; nil if there is none.
func (a archives) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	r, err := a.History.Record(ctx, id)
	if errors.Is(err, history.ErrNotFound) {
		return nil, nil
	}
	return r, err
}

// Former tells what the newest attempt of the history knows of a definition; nil
// if none has run it.
func (a archives) Former(ctx context.Context, definition uint64) (*flow.AttemptFacts, error) {
	s, err := a.History.Definition(ctx, definition)
	if errors.Is(err, history.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &s.Attempt, nil
}
