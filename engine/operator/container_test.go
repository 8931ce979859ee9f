package operator_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// containers stands for what runs containers: it keeps what it is asked for, and
// lets the program do its work here.
type containers struct {
	t    *testing.T
	asks []command.Command
	// lacks are programs that the image has not.
	lacks string
	// program is what runs instead of the container's; nil for one that succeeds.
	program func(c command.Command) (command.Exit, error)
}

func (x *containers) Run(_ context.Context, c command.Command) (command.Exit, error) {
	x.asks = append(x.asks, c)
	if c.Container == nil {
		x.t.Errorf("%q ran on this machine", c.Args)
		return command.Exit{}, nil
	}
	if strings.Contains(x.lacks, c.Args[0]) {
		return command.Exit{}, exec.ErrNotFound
	}
	if err := c.Container.Prepare(); err != nil {
		return command.Exit{}, err
	}
	if x.program == nil {
		return command.Exit{}, nil
	}
	return x.program(c)
}

// inContainer is a task with an executor that keeps what it is asked for.
func (p *project) inContainer(x *containers, docker any, own ...any) *operator.Task {
	p.t.Helper()
	task := p.inherit(params.Of("docker", docker), own...)
	task.Commands = x
	task.Environ = append(task.Environ, command.Marker("id", 7, 1))
	return task
}

// What a task says of its container, and that nothing else decides where it runs
// (O8, O9).
func TestContainer(t *testing.T) {
	p := newProject(t)
	p.workdir = "sub"
	p.write("sub/keep", "", 0o644)
	for _, tt := range []struct {
		name   string
		docker any
		want   command.Container
	}{
		{"image alone", params.Of("image", "box"), command.Container{Image: "box"}},
		{
			"all keys",
			params.Of("image", "box:1", "docker", "./podman", "run_options", params.List{"-m", "1G", params.Number("3")},
				"pull_always", true, "build", params.List{"a", "b"}, "build_options", params.List{"--no-cache"}, "selinux", "true"),
			command.Container{
				Image: "box:1", Program: "./podman", RunOptions: []string{"-m", "1G", "3"}, PullAlways: true,
				Build: []string{"a", "b"}, BuildOptions: []string{"--no-cache"}, SELinux: true,
			},
		},
		{"an empty build is one", params.Of("image", "box", "build", params.List{}), command.Container{Image: "box", Build: []string{}}},
		{"null is not given", params.Of("image", "box", "build", nil, "docker", nil), command.Container{Image: "box"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := &containers{t: t}
			task := p.inContainer(x, tt.docker, "sh>", "true", "word", "given", "kubernetes", params.Of("Pod", "x"), "ecs", params.Of("task_definition_arn", "x"), "_env", params.Of("OWN", "x"))
			mustRun(t, task)
			if len(x.asks) != 1 {
				t.Fatalf("got %d programs, want 1", len(x.asks))
			}
			got := x.asks[0]
			tt.want.Project, tt.want.Environ = p.root, task.Environ
			ignored := cmpopts.IgnoreFields(command.Container{}, "Files", "Prepare", "Later")
			if diff := cmp.Diff(tt.want, *got.Container, ignored); diff != "" {
				t.Errorf("container (-want +got):\n%s", diff)
			}
			if got.Dir != filepath.Join(p.root, "sub") || got.Args[0] != "/bin/sh" {
				t.Errorf("got %q in %s, want /bin/sh in the working directory", got.Args, got.Dir)
			}
			env := strings.Join(got.Env, "\n")
			for _, want := range []string{"GITDAG_RUN=id/7/1", "word=given", "OWN=x"} {
				if !strings.Contains(env, want) {
					t.Errorf("environment: got %q, want %s in it", got.Env, want)
				}
			}
			if strings.Contains(env, "PATH=") || strings.Contains(env, "HOME=") {
				t.Errorf("environment: got %q, want nothing of this machine", got.Env)
			}
		})
	}
}

// A value that makes no sense is an error that names its key, and nothing runs on
// this machine instead (O7).
func TestNothingRunsBesideItsContainer(t *testing.T) {
	p := newProject(t)
	for _, tt := range []struct {
		docker any
		want   string
	}{
		{params.NewMap(0), "docker: Parameter 'image' is required but not set (config)"},
		{true, "Expected object type for key 'docker' but got true (boolean) (config)"},
		{params.Of("image", params.List{}), "docker: Expected string type for key 'image' but got [] (array) (config)"},
		{params.Of("image", "x", "docker", params.List{}), "docker: Expected string type for key 'docker' but got [] (array) (config)"},
		{params.Of("image", "x", "run_options", "-m 1G"), `docker: Expected array of strings for key 'run_options' but got "-m 1G" (string) (config)`},
		{params.Of("image", "x", "build", "apt"), `docker: Expected array of strings for key 'build' but got "apt" (string) (config)`},
		{params.Of("image", "x", "build_options", true), "docker: Expected array of strings for key 'build_options' but got true (boolean) (config)"},
		{params.Of("image", "x", "pull_always", "maybe"), `docker: Expected 'true' or 'false' for key 'pull_always' but got "maybe" (string) (config)`},
		{params.Of("image", "x", "selinux", 1.5), "docker: Expected 'true' or 'false' for key 'selinux' but got 1.5 (number) (config)"},
	} {
		for _, typ := range []string{"sh>", "py>", "rb>"} {
			x := &containers{t: t}
			wantFailure(t, p.inContainer(x, tt.docker, typ, "echo"), tt.want)
			if len(x.asks) > 0 {
				t.Errorf("%s with %v: %q ran", typ, tt.docker, x.asks[0].Args)
			}
		}
	}
	mustRun(t, p.inherit(params.Of("docker", nil), "sh>", "true")) // null takes an exported one back
}

// What scripts in other languages are told and answer lies in the project, open to
// the account of the container, and is there as long as the answer is not safe.
func TestScriptsInContainers(t *testing.T) {
	answer := func(c command.Command) (command.Exit, error) {
		args := c.Args
		for _, file := range args[len(args)-2:] {
			if filepath.IsAbs(file) || strings.HasPrefix(file, "..") {
				t.Errorf("got %s, want a path below the working directory", file)
			}
		}
		if _, err := os.Stat(filepath.Join(c.Dir, args[len(args)-2])); err != nil {
			t.Errorf("the input: %v", err)
		}
		if info, err := os.Stat(c.Container.Files); err != nil || info.Mode().Perm() != 0o777 {
			t.Errorf("%s: got mode %v, %v; want one that lets every account answer", c.Container.Files, info.Mode(), err)
		}
		text := `{"store_params": {"done": 1}}`
		return command.Exit{}, os.WriteFile(filepath.Join(c.Dir, args[len(args)-1]), []byte(text), 0o644)
	}
	for _, typ := range []string{"py>", "rb>"} {
		p := newProject(t)
		x := &containers{t: t, program: answer}
		task := p.inContainer(x, params.Of("image", "box"), typ, "f")
		var later []func()
		task.Later = func(f func()) { later = append(later, f) }
		if got := encoded(mustRun(t, task).Store); got != `{"done":1}` {
			t.Errorf("%s: got %s, want what the container answered", typ, got)
		}
		if got := p.scratchFiles(); got == "" {
			t.Errorf("%s: the files were removed before the result was safe", typ)
		}
		for _, f := range later {
			f()
		}
		if got := p.scratchFiles(); got != "" {
			t.Errorf("%s: got files %s, want none", typ, got)
		}
	}
}

// A program that did not come to its end leaves nothing for the next agent.
func TestFilesOfAContainerThatWasEnded(t *testing.T) {
	p := newProject(t)
	x := &containers{t: t, program: func(command.Command) (command.Exit, error) { return command.Exit{}, errors.New("ended") }}
	task := p.inContainer(x, params.Of("image", "box"), "sh>", "true", "shell", []any{"sh", "-e"})
	task.Later = func(func()) { t.Error("something is to be done later") }
	wantFailure(t, task, "ended (runtime)")
	if got := p.scratchFiles(); got != "" {
		t.Errorf("got files %s, want none", got)
	}
}

func TestPythonOfAnImage(t *testing.T) {
	p := newProject(t)
	x := &containers{t: t, lacks: "python python3"}
	wantFailure(t, p.inContainer(x, params.Of("image", "box"), "py>", "f"),
		"neither python nor python3 is there: executable file not found in $PATH (runtime)")
	if len(x.asks) != 2 || x.asks[1].Args[0] != "python3" {
		t.Errorf("got %d programs, want python and python3", len(x.asks))
	}
}

// Embulk's configuration is written for the container too.
func TestEmbulkInAContainer(t *testing.T) {
	p := newProject(t)
	x := &containers{t: t, program: func(c command.Command) (command.Exit, error) {
		text, err := os.ReadFile(filepath.Join(c.Dir, c.Args[2]))
		if err != nil || string(text) != "{\"in\":1}\n" {
			t.Errorf("configuration: got %q, %v", text, err)
		}
		return command.Exit{Code: 3}, nil
	}}
	wantFailure(t, p.inContainer(x, params.Of("image", "box"), "_type", "embulk", "config", params.Of("in", params.Number("1"))),
		"Command failed with code 3 (runtime)")
}
