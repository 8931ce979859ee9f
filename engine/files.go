package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"gitdag/engine/dig"
	"gitdag/engine/params"
	"gitdag/engine/workspace"
)

// callFiles reads the files of `call>` tasks.
type callFiles struct{}

// CallFile reads a file below a project's root.
func (callFiles) CallFile(root, file string) (*params.Map, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, fmt.Errorf("open project: %w", err)
	}
	defer dir.Close()
	return dig.CallFile(dir, file)
}

// taskWorkspace is the workspace as one task sees it.
type taskWorkspace struct {
	e        *Engine
	attempt  uint64
	checkout string
	config   *params.Map
}

// Project returns the root of the project in the attempt's workspace. On a full
// disk the task waits rather than fails: what would run next would fail, too.
func (w *taskWorkspace) Project(ctx context.Context) (string, error) {
	make := func() (string, error) { return w.e.options.Workspaces.Make(w.attempt, w.checkout) }
	if w.e.options.Journal == nil {
		return make()
	}
	return whenSpace(ctx, w.e, make)
}

// Dir returns the working directory: the root joined with `_workdir`.
func (w *taskWorkspace) Dir(ctx context.Context) (string, error) {
	root, err := w.Project(ctx)
	if err != nil {
		return "", err
	}
	v, _ := w.config.Lookup("_workdir")
	workdir, _ := params.Text(v)
	return workspace.Resolve(root, workdir)
}

// Scratch returns the attempt's directory for scripts.
func (w *taskWorkspace) Scratch(ctx context.Context) (string, error) {
	root, err := w.Project(ctx)
	if err != nil {
		return "", err
	}
	return w.e.options.Workspaces.Scratch(w.attempt, filepath.Join(root, ".digdag", "tmp"))
}
