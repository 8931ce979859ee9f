package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"gitdag/engine/command"
)

// runContainer runs a command in a container of the engine.
func (x *Executor) runContainer(ctx context.Context, c command.Command) (command.Exit, error) {
	s, err := newSpec(c)
	if err != nil {
		return command.Exit{}, err
	}
	e, err := x.connect(ctx)
	if err != nil {
		return command.Exit{}, err
	}
	if left, ok := x.take(ctx, e, c); ok {
		if exit, ok, err := x.resume(ctx, e, c, left); ok {
			return exit, err
		}
	}
	if err := e.mountProject(s, c.Container.SELinux); err != nil {
		return command.Exit{}, err
	}
	if s.config.Image, err = x.prepare(ctx, e, c, s); err != nil {
		return command.Exit{}, err
	}
	// What is in the log already is kept from here on, and can be counted.
	out := direct(c.Output)
	// Before there is a container: one that is there can be started.
	if err := prepareFiles(c.Container); err != nil {
		return command.Exit{}, err
	}
	id, err := x.create(ctx, e, c, s)
	if err != nil {
		return command.Exit{}, err
	}
	r := &attended{x: x, e: e, id: id, tty: s.config.Tty, limited: s.host.Memory > 0, out: out}
	var exit command.Exit
	if err = e.checkSight(ctx, id, s.project); err == nil {
		exit, err = r.run(ctx)
	}
	x.release(ctx, e, c, id, err)
	return exit, err
}

// direct returns the file behind an output, if there is one: what is written there is
// kept although this process dies.
func direct(out io.Writer) io.Writer {
	if of, ok := out.(interface{ File() (*os.File, error) }); ok {
		if f, err := of.File(); err == nil {
			return f
		}
	}
	return out
}

// lasts tells whether the container of a command stays until its result is safe.
func lasts(c command.Command) bool { return c.Container.Later != nil && c.Container.Files != "" }

// release removes the container of a run that is over, but not before its result is
// safe: until then the next agent may want it.
func (x *Executor) release(ctx context.Context, e *engine, c command.Command, id string, err error) {
	if err == nil && lasts(c) {
		c.Container.Later(func() { x.remove(ctx, e, id) })
		return
	}
	x.remove(ctx, e, id)
}

// newSpec says what the engine is to make of a command. As with Docker's own
// arguments, what the task says comes after the options and wins.
func newSpec(c command.Command) (*spec, error) {
	s := &spec{project: c.Container.Project, environ: c.Container.Environ}
	// What a container prints is kept once, by us, but for the next agent.
	s.host.LogConfig.Type = cond(lasts(c), "local", "none")
	s.host.AutoRemove = !lasts(c) // so that it goes even if we do not see its end
	if err := readFlags("run_options", c.Container.RunOptions, runFlags, s); err != nil {
		return nil, err
	}
	env, run := command.CutMarker(c.Env)
	s.config.Env = append(s.config.Env, env...)
	s.config.Cmd = c.Args
	s.config.WorkingDir = c.Dir
	s.config.AttachStdout, s.config.AttachStderr = true, true
	if s.config.Labels == nil {
		s.config.Labels = map[string]string{}
	}
	if run != "" {
		s.config.Labels[Label] = run
	}
	if lasts(c) {
		s.config.Labels[filesLabel] = c.Container.Files
	}
	return s, nil
}

// prepareFiles writes what the program reads.
func prepareFiles(c *command.Container) error {
	if c.Prepare == nil {
		return nil
	}
	return c.Prepare()
}

// create makes the container, and fetches its image if there is none. Once the
// engine is asked, the answer is waited for: nobody else would remove what it
// has made.
func (x *Executor) create(ctx context.Context, e *engine, c command.Command, s *spec) (string, error) {
	ask := func() (string, error) {
		if lasts(c) && c.Container.Lines != nil {
			s.config.Labels[linesLabel] = strconv.Itoa(c.Container.Lines())
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		made, err := e.api.ContainerCreate(ctx, &s.config, &s.host, s.networking(), s.ociPlatform(), s.name)
		return made.ID, err
	}
	id, err := ask()
	if cerrdefs.IsNotFound(err) && strings.Contains(err.Error(), "image") && s.pull != "never" && c.Container.Build == nil {
		if err := x.pull(ctx, e, s.config.Image, s.platform, c.Output); err != nil {
			return "", err
		}
		id, err = ask()
	}
	switch {
	case err == nil:
		return id, nil
	case strings.Contains(err.Error(), "bind source path does not exist: "+s.source):
		return "", e.blind(s.project)
	}
	return "", fmt.Errorf("create a container of %s: %w", s.config.Image, err)
}

// remove removes a container whatever its state.
func (x *Executor) remove(ctx context.Context, e *engine, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := e.api.ContainerRemove(ctx, id, container.RemoveOptions{Force: true, RemoveVolumes: true})
	if cerrdefs.IsConflict(err) { // the engine is about to
		gone, lost := e.api.ContainerWait(ctx, id, container.WaitConditionRemoved)
		select {
		case <-gone:
			return
		case err = <-lost:
		}
	}
	if err != nil && !cerrdefs.IsNotFound(err) {
		x.o.Log.Warn("a container was not removed", "container", id, "err", err)
	}
}

// attended is a container that we start, listen to and wait for.
type attended struct {
	x   *Executor
	e   *engine
	id  string
	tty bool
	// limited tells that the container's memory is.
	limited bool
	out     io.Writer
}

func (r *attended) run(ctx context.Context) (command.Exit, error) {
	// The end of ctx asks the container to end; what we hear until then is heard.
	calls, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	stream, err := r.e.api.ContainerAttach(calls, r.id, container.AttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return command.Exit{}, fmt.Errorf("attach to the container: %w", err)
	}
	defer stream.Close()
	ended, lost := r.e.api.ContainerWait(calls, r.id, container.WaitConditionNextExit)
	if err := r.start(ctx); err != nil {
		return command.Exit{}, err
	}
	return r.attend(ctx, attention{
		output: stream.Reader, ended: ended, lost: lost, calls: calls, done: done,
		abandon: func() { _ = stream.Conn.SetReadDeadline(time.Now()) },
	})
}

// attention is how we hear of a container that runs.
type attention struct {
	output io.Reader
	ended  <-chan container.WaitResponse
	lost   <-chan error
	// abandon ends the reading of output.
	abandon func()
	// calls is the context of all this, which done ends.
	calls context.Context
	done  context.CancelFunc
}

// attend listens until the container has ended. The end of ctx ends it.
func (r *attended) attend(ctx context.Context, a attention) (command.Exit, error) {
	heard := make(chan error, 1)
	go func() { heard <- r.listen(a.output) }() // ends with the container, or when it is abandoned

	stopped := make(chan error, 1)
	uncancelled := context.AfterFunc(ctx, func() {
		err := r.e.stop(a.calls, r.id, r.x.o.Grace)
		if err != nil {
			a.done() // nothing more will come
		}
		stopped <- err
	})
	var exit command.Exit
	var err error
	select {
	case answer := <-a.ended:
		exit.Code = int(answer.StatusCode)
		if answer.Error != nil && answer.Error.Message != "" {
			err = errors.New(answer.Error.Message)
		}
	case err = <-a.lost:
		err = fmt.Errorf("the engine was lost while the container ran: %w", err)
	}
	if !uncancelled() {
		if stopErr := <-stopped; stopErr != nil && err == nil {
			r.x.o.Log.Warn("a container was not stopped as it should", "container", r.id, "err", stopErr)
		}
		err = fmt.Errorf("end the container: %w", context.Cause(ctx))
	}
	return r.settle(exit, err, heard, a.abandon)
}

// settle waits for the rest of the output.
func (r *attended) settle(exit command.Exit, err error, heard <-chan error, abandon func()) (command.Exit, error) {
	if err != nil {
		// The engine closes the stream of a container that has ended, if it lives.
		defer time.AfterFunc(callTimeout, abandon).Stop()
	}
	outErr := <-heard
	switch {
	case err != nil:
		return exit, err
	case outErr != nil:
		return exit, fmt.Errorf("keep the output of the container: %w", outErr)
	case exit.Code == 137 && r.limited && r.out != nil:
		// The engine knows for sure, but often only some time later.
		_, _ = io.WriteString(r.out, "gitdag: the container was killed; perhaps it used more memory than its limit allows\n")
	}
	return exit, nil
}

// start starts the container. That the image lacks the program is an error of
// kind [exec.ErrNotFound], as it is on this machine.
func (r *attended) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	err := r.e.api.ContainerStart(ctx, r.id, container.StartOptions{})
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "executable file not found"):
		return fmt.Errorf("start the container: %w (%w)", exec.ErrNotFound, err)
	}
	return fmt.Errorf("start the container: %w", err)
}

// listen writes what the container prints. Engines keep the order of each stream,
// but not that of the two to each other. A container goes on although nobody
// keeps what it prints.
func (r *attended) listen(stream io.Reader) error {
	out := r.out
	if out == nil {
		out = io.Discard
	}
	var err error
	if r.tty {
		_, err = io.Copy(out, stream)
	} else {
		_, err = stdcopy.StdCopy(out, out, stream)
	}
	if err != nil {
		_, _ = io.Copy(io.Discard, stream)
	}
	return err
}

// stop asks a container to end, and ends it after the grace period.
func (e *engine) stop(ctx context.Context, id string, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, grace+callTimeout)
	defer cancel()
	seconds := int((grace + time.Second - 1) / time.Second)
	err := e.api.ContainerStop(ctx, id, container.StopOptions{Timeout: &seconds})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	return errors.Join(err, e.api.ContainerKill(ctx, id, "KILL"))
}
