package operator

import (
	"context"
	"strings"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

// wantsContainer tells whether the task's programs run in a container.
func wantsContainer(t *Task) bool {
	v, ok := t.Config.Lookup("docker")
	return ok && v != nil
}

// container reads in what the task's programs run; nil for this machine
// (operators.md 4.4).
func container(ctx context.Context, t *Task) (*command.Container, error) {
	if !wantsContainer(t) {
		return nil, nil
	}
	docker, err := params.Required(t.Config, "docker", params.Object)
	if err != nil {
		return nil, err
	}
	c := &command.Container{Environ: t.Environ, Later: t.Later, Lines: t.Lines, Printed: t.Printed}
	for _, read := range []func() error{
		option(docker, "image", params.String, &c.Image),
		option(docker, "docker", params.String, &c.Program),
		option(docker, "run_options", stringList, &c.RunOptions),
		option(docker, "pull_always", params.Bool, &c.PullAlways),
		option(docker, "build", stringList, &c.Build),
		option(docker, "build_options", stringList, &c.BuildOptions),
		option(docker, "selinux", params.Bool, &c.SELinux),
	} {
		if err := read(); err != nil {
			return nil, configError("docker: %v", err)
		}
	}
	if c.Image == "" {
		return nil, configError("docker: Parameter 'image' is required but not set")
	}
	c.Project, err = t.Workspace.Project(ctx)
	return c, err
}

// option reads one option if it is there.
func option[T any](m *params.Map, key string, as params.Conversion[T], into *T) func() error {
	return func() (err error) {
		*into, err = params.Optional(m, key, as, *into)
		return err
	}
}

// inherited is what a program of the task gets whatever it is: on this machine
// what the agent passes on, in a container only the mark of the execution.
func inherited(t *Task) []string {
	if !wantsContainer(t) {
		return t.Environ
	}
	for _, entry := range t.Environ {
		if strings.HasPrefix(entry, runVariable+"=") {
			return []string{entry}
		}
	}
	return nil
}
