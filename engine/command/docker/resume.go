package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"

	"gitdag/engine/command"
)

// maxBegun is how much of a line that was cut off is remembered.
const maxBegun = 64 << 10

// resume goes on with a container that an agent which is gone has started: it takes
// the rest of its output from the engine, and its exit status. It is not ok where the
// container is gone.
func (x *Executor) resume(ctx context.Context, e *engine, c command.Command, s survivor) (exit command.Exit, ok bool, err error) {
	info, err := e.api.ContainerInspect(ctx, s.id)
	switch {
	case cerrdefs.IsNotFound(err):
		return command.Exit{}, false, nil
	case err != nil:
		err = fmt.Errorf("look at the container of an earlier run: %w", err)
		return command.Exit{}, true, errors.Join(err, x.end(ctx, e, s))
	}
	x.o.Log.Info("a container of an earlier run goes on", "run", s.run, "container", s.id)
	r := &attended{x: x, e: e, id: s.id, tty: info.Config.Tty, limited: info.HostConfig.Memory > 0, out: x.rest(c, s)}
	if info.State.Status == container.StateCreated {
		err = r.start(ctx)
	}
	if err == nil {
		exit, err = r.resume(ctx, info.HostConfig.LogConfig.Type, c.Output)
	}
	x.release(ctx, e, c, s.id, err)
	return exit, true, err
}

// resume is run for a container that has been started already. What cannot be had is
// told.
func (r *attended) resume(ctx context.Context, logDriver string, told io.Writer) (command.Exit, error) {
	calls, done := context.WithCancel(context.WithoutCancel(ctx))
	defer done()
	ended, lost := r.e.api.ContainerWait(calls, r.id, container.WaitConditionNotRunning)
	logs, err := r.e.api.ContainerLogs(calls, r.id, container.LogsOptions{ShowStdout: true, ShowStderr: true, Follow: true})
	if err == nil && logDriver == "none" {
		logs.Close()
		err = errors.New("its log driver keeps nothing")
	}
	if err != nil {
		if told != nil {
			_, _ = fmt.Fprintf(told, "gitdag: what was printed while no agent was there cannot be had: %v\n", err)
		}
		logs = io.NopCloser(strings.NewReader(""))
	}
	defer logs.Close()
	return r.attend(ctx, attention{
		output: logs, ended: ended, lost: lost, abandon: func() { logs.Close() }, calls: calls, done: done,
	})
}

// rest returns the output of a command, for what it does not hold yet. Lines are
// counted, for secrets that are masked change their lengths.
func (x *Executor) rest(c command.Command, s survivor) io.Writer {
	if c.Output == nil || c.Container.Printed == nil {
		return direct(c.Output)
	}
	lines, begun, err := measure(c.Container.Printed)
	if err != nil {
		x.o.Log.Warn("what a container had printed is not known; it is written again", "run", s.run, "err", err)
		return direct(c.Output)
	}
	lines -= s.lines
	if c.Container.Lines != nil {
		lines -= c.Container.Lines() // what this agent has written is no output of the container
	}
	if lines < 0 {
		return direct(c.Output)
	}
	return &rest{out: direct(c.Output), skip: lines, begun: begun}
}

// measure counts the lines of a text, and returns what follows the last one.
func measure(open func() (io.ReadCloser, error)) (lines int, begun []byte, err error) {
	text, err := open()
	if err != nil {
		return 0, nil, err
	}
	defer text.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := text.Read(buf)
		part := buf[:n]
		lines += bytes.Count(part, []byte{'\n'})
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			begun, part = begun[:0], part[i+1:]
		}
		if begun = append(begun, part...); len(begun) > maxBegun {
			begun = begun[:maxBegun]
		}
		switch {
		case errors.Is(err, io.EOF):
			return lines, begun, nil
		case err != nil:
			return 0, nil, err
		}
	}
}

// rest leaves out the beginning of a text: lines, and the begin of the next one.
// That one is written as a whole, on a line of its own, if it begins otherwise.
type rest struct {
	out   io.Writer
	skip  int
	begun []byte
	same  int // how much of begun has come
}

// Write implements [io.Writer].
func (r *rest) Write(p []byte) (int, error) {
	n := len(p)
	for r.skip > 0 && len(p) > 0 {
		_, after, whole := bytes.Cut(p, []byte{'\n'})
		p = after
		if whole {
			r.skip--
		}
	}
	for len(p) > 0 && r.same < len(r.begun) {
		if p[0] != r.begun[r.same] {
			line := append([]byte{'\n'}, r.begun[:r.same]...)
			r.begun = nil
			if _, err := r.out.Write(line); err != nil {
				return 0, err
			}
			break
		}
		p = p[1:]
		r.same++
	}
	if len(p) == 0 {
		return n, nil
	}
	if _, err := r.out.Write(p); err != nil {
		return 0, err
	}
	return n, nil
}
