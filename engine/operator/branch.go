package operator

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"strings"

	"gitdag/engine/params"
)

// Loader reads workflow files of a project.
type Loader interface {
	// CallFile returns the content of a workflow file as the subtasks of a
	// task that embeds it. root is the project's absolute path, file is
	// relative to it and slash-separated. The error says which file, and where
	// in it, something is wrong.
	CallFile(root, file string) (*params.Map, error)
}

// runCall embeds another workflow file (operators.md 5.1).
func runCall(ctx context.Context, t *Task) (*Result, error) {
	name, err := params.Required(t.Config, "_command", params.String)
	if err != nil {
		return nil, err
	}
	root, err := t.Workspace.Project(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := t.Workspace.Dir(ctx)
	if err != nil {
		return nil, err
	}
	file, err := projectFile(root, dir, name)
	if err != nil {
		return nil, err
	}
	subtasks, err := t.Files.CallFile(root, file)
	var known *Error
	if err != nil && !errors.As(err, &known) {
		return nil, configError("%v", err)
	}
	return &Result{Subtasks: subtasks}, err
}

// projectFile returns the path below root of a workflow file named relative to
// dir, which lies in root.
func projectFile(root, dir, name string) (string, error) {
	file := name
	if !strings.HasSuffix(file, ".dig") {
		file += ".dig"
	}
	base, err := filepath.Rel(root, dir)
	if err != nil || filepath.IsAbs(file) {
		return "", configError("File name must be relative to the working directory: %s", name)
	}
	file = path.Join(filepath.ToSlash(base), file)
	if !filepath.IsLocal(filepath.FromSlash(file)) {
		return "", configError("File name must not lead out of the project: %s", name)
	}
	return file, nil
}

// runIf chooses a branch (operators.md 5.6).
func runIf(_ context.Context, t *Task) (*Result, error) {
	yes, err := params.Required(t.Config, "_command", params.Bool)
	if err != nil {
		return nil, err
	}
	do, err := params.Optional(t.Config, "_do", params.Object, nil)
	if err != nil {
		return nil, err
	}
	otherwise, err := params.Optional(t.Config, "_else_do", params.Object, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case do.Len() == 0 && otherwise.Len() == 0:
		return nil, configError("Both _do and _else_do are empty")
	case yes:
		return &Result{Subtasks: do}, nil
	}
	return &Result{Subtasks: otherwise}, nil
}
