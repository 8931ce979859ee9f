package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gitdag/engine/command"
)

// runProgram runs a command with a program that takes the arguments of Docker's
// own, exactly those that Digdag gives it (operators.md 4.4).
func (x *Executor) runProgram(ctx context.Context, c command.Command) (command.Exit, error) {
	p := &program{x: x, c: c, Container: c.Container}
	image := p.Image
	if p.PullAlways {
		if err := p.call(ctx, c.Output, "pull", image); err != nil {
			return command.Exit{}, err
		}
	}
	if p.Build != nil {
		var err error
		if image, err = p.build(ctx); err != nil {
			return command.Exit{}, err
		}
	}
	if err := prepareFiles(c.Container); err != nil {
		return command.Exit{}, err
	}
	return p.start(ctx, c.Output, p.runArgs(image)...)
}

type program struct {
	x *Executor
	c command.Command
	*command.Container
}

func (p *program) runArgs(image string) []string {
	args := append([]string{"run"}, p.RunOptions...)
	args = append(args, "--rm", "-v", p.Project+":"+p.Project+":rw"+cond(p.SELinux, ",Z", ""), "-w", p.c.Dir)
	env, _ := command.CutMarker(p.c.Env)
	for _, entry := range env {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(p.Private, name) {
			entry = name // the program has it from its own environment
		}
		args = append(args, "-e", entry)
	}
	return append(append(args, image), p.c.Args...)
}

// start runs the program in the project. It carries the marker of the task, so
// that it is found like any process.
func (p *program) start(ctx context.Context, out io.Writer, args ...string) (command.Exit, error) {
	return p.x.o.Host.Run(ctx, command.Command{
		Args: append([]string{p.Program}, args...), Dir: p.Project, Env: p.environ(), Output: out, Label: p.Program + " " + args[0],
	})
}

// environ is the environment of the program, with what its arguments must not tell.
func (p *program) environ() []string {
	environ := slices.Clone(p.Environ)
	for _, entry := range p.c.Env {
		if name, _, _ := strings.Cut(entry, "="); slices.Contains(p.Private, name) {
			environ = append(environ, entry)
		}
	}
	return environ
}

// call is start for what must succeed.
func (p *program) call(ctx context.Context, out io.Writer, args ...string) error {
	exit, err := p.start(ctx, out, args...)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("%s %s %s ended with code %d", p.Program, args[0], p.Image, exit.Code)
	}
	return err
}

// build builds an image unless the program lists it.
func (p *program) build(ctx context.Context) (string, error) {
	text := "FROM " + p.Image + "\n" + steps(p.Build)
	name, err := contentName(text, p.BuildOptions)
	if err != nil {
		return "", err
	}
	done, err := p.x.turns.take(ctx, p.Program+" build "+name)
	if err != nil {
		return "", err
	}
	defer done()
	var images bytes.Buffer
	if err := p.call(ctx, &images, "images"); err != nil {
		return "", err
	}
	if listed(images.String(), name) {
		return name, nil
	}
	dir := filepath.Join(p.Project, ".digdag", "tmp", "docker")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("write a Dockerfile: %w", err)
	}
	file := filepath.Join(dir, "Dockerfile."+strings.Replace(name, ":", ".", 1))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", fmt.Errorf("write a Dockerfile: %w", err)
	}
	args := append([]string{"build"}, p.BuildOptions...)
	return name, p.call(ctx, p.c.Output, append(args, "-f", file, "--force-rm", "-t", name, p.Project)...)
}

// listed tells whether the output of `images` has a line of the image; podman
// calls what it has built localhost/….
func listed(images, name string) bool {
	repository, tag, _ := strings.Cut(name, ":")
	for line := range strings.Lines(images) {
		f := strings.Fields(line)
		if len(f) > 1 && strings.TrimPrefix(f[0], "localhost/") == repository && f[1] == tag {
			return true
		}
		if len(f) > 0 && strings.TrimPrefix(f[0], "localhost/") == name { // as newer versions list them
			return true
		}
	}
	return false
}
