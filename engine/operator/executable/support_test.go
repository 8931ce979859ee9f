package executable_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/operator/executable"
	"gitdag/engine/params"
)

// project is the workspace and the log of tasks in a test.
type project struct {
	t       testing.TB
	root    string
	workdir string
	path    []string // of the machine
	log     *os.File
}

func newProject(t testing.TB) *project {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return &project{t: t, root: t.TempDir(), log: log}
}

func (p *project) Project(context.Context) (string, error) { return p.root, nil }
func (p *project) Dir(context.Context) (string, error)     { return filepath.Join(p.root, p.workdir), nil }

func (p *project) Scratch(context.Context) (string, error) {
	dir := filepath.Join(p.root, ".digdag", "tmp", "attempt")
	return dir, os.MkdirAll(dir, 0o755)
}

func (p *project) Write(b []byte) (int, error) { return p.log.Write(b) }
func (p *project) File() (*os.File, error)     { return p.log, nil }

// script makes the operator of a name: a shell script.
func (p *project) script(name, text string) {
	p.t.Helper()
	p.write(filepath.Join(p.root, "operators", name), "#!/bin/sh\n"+text+"\n", 0o755)
}

func (p *project) write(path, text string, mode os.FileMode) {
	p.t.Helper()
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

// scratch are the files that are left.
func (p *project) scratch() []string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.root, ".digdag/tmp/attempt/*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

type secrets map[string]string

func (s secrets) Secret(_ context.Context, key string) (string, error) {
	if value, ok := s[key]; ok {
		return value, nil
	}
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

// task returns a task with the given own parameters, which sees the others too.
func (p *project) task(visible *params.Map, own ...any) *operator.Task {
	p.t.Helper()
	local := params.Of(own...)
	typ, config, local, err := operator.Select(params.Merge(visible, local), local)
	if err != nil {
		p.t.Fatal(err)
	}
	return &operator.Task{
		FullName: "+w+t", ID: 7, Execution: 2, Key: "uuid/3/7", Type: typ, Config: config, Local: local,
		Zone: time.UTC, Now: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), Log: p, Workspace: p,
		Commands: command.Local{Grace: time.Second}, Environ: []string{"PATH=" + os.Getenv("PATH"), "INHERITED=yes"},
		Secrets: secrets{}, MaxTasks: 1000,
	}
}

// run runs the operator of a task.
func (p *project) run(ctx context.Context, task *operator.Task) (*operator.Result, error) {
	p.t.Helper()
	types := operator.NewRegistry(operator.Builtin()).WithPrograms(executable.NewFinder(p.path))
	op, err := types.Program(ctx, task)
	if err != nil {
		return nil, err
	}
	if op == nil {
		return nil, operator.Missing(task)
	}
	return op.Run(ctx, task)
}

// fails checks that a task fails with a text.
func (p *project) fails(task *operator.Task, want string) *operator.Error {
	p.t.Helper()
	result, err := p.run(p.t.Context(), task)
	var failure *operator.Error
	switch {
	case !errors.As(err, &failure):
		p.t.Errorf("%s: got %v and the error %v, want the failure %q", task.Type, result, err, want)
		return &operator.Error{}
	case failure.Error() != want:
		p.t.Errorf("%s: got failure\n  %s\nwant\n  %s", task.Type, failure, want)
	}
	return failure
}

func jsonOf(m *params.Map) string { return string(params.AppendJSON(nil, m)) }
