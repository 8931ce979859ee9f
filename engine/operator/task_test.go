package operator_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// project is the workspace and the log of tasks in a test.
type project struct {
	t       testing.TB
	root    string
	workdir string
	log     *os.File
}

func newProject(t testing.TB) *project {
	t.Helper()
	root := t.TempDir()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return &project{t: t, root: root, log: log}
}

func (p *project) Project(context.Context) (string, error) { return p.root, nil }
func (p *project) Dir(context.Context) (string, error)     { return filepath.Join(p.root, p.workdir), nil }

func (p *project) Scratch(context.Context) (string, error) {
	dir := filepath.Join(p.root, ".digdag", "tmp", "attempt")
	return dir, os.MkdirAll(dir, 0o755)
}

func (p *project) Write(b []byte) (int, error) { return p.log.Write(b) }
func (p *project) File() (*os.File, error)     { return p.log, nil }

func (p *project) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	path := filepath.Join(p.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) logged() string {
	p.t.Helper()
	text, err := os.ReadFile(p.log.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// secrets are the secrets of a test.
type secrets map[string]string

func (s secrets) Secret(_ context.Context, key string) (string, error) {
	if value, ok := s[key]; ok {
		return value, nil
	}
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

var began = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// task returns a task with the given own parameters.
func (p *project) task(own ...any) *operator.Task { return p.inherit(nil, own...) }

// inherit returns a task that sees, below its own parameters, the given ones.
func (p *project) inherit(visible *params.Map, own ...any) *operator.Task {
	p.t.Helper()
	local := params.Of(own...)
	typ, config, local, err := operator.Select(params.Merge(visible, local), local)
	if err != nil {
		p.t.Fatalf("select the operator: %v", err)
	}
	return &operator.Task{
		FullName: "+w+t", ID: 7, Execution: 1, Type: typ, Config: config, Local: local,
		Zone: time.UTC, Now: began, Log: p, Workspace: p,
		Commands: command.Local{}, Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=/inherited"},
		Secrets: secrets{}, MaxTasks: 1000,
	}
}

func run(t *testing.T, task *operator.Task) (*operator.Result, error) {
	t.Helper()
	entry, ok := operator.Builtin()[task.Type]
	if !ok {
		t.Fatalf("no operator %q", task.Type)
	}
	return entry.Operator.Run(t.Context(), task)
}

func mustRun(t *testing.T, task *operator.Task) *operator.Result {
	t.Helper()
	result, err := run(t, task)
	if err != nil {
		t.Fatalf("%s failed: %v", task.Type, err)
	}
	return result
}

// wantFailure checks that a task fails with a text, its kind included.
func wantFailure(t *testing.T, task *operator.Task, want string) {
	t.Helper()
	result, err := run(t, task)
	var failure *operator.Error
	switch {
	case err == nil:
		t.Errorf("%s: got %v, want the failure %q", task.Type, result, want)
	case !errors.As(err, &failure):
		t.Errorf("%s: got %T %v, want *operator.Error", task.Type, err, err)
	case failure.Error() != want:
		t.Errorf("%s: got failure\n  %s\nwant\n  %s", task.Type, failure, want)
	}
}

// encoded shows a value with the difference between templates and data.
func encoded(v any) string { return string(bytes.TrimSpace(params.Encode(v))) }

func tmpl(text string) params.Template { return params.Template(text) }
