package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	defaultGrace = 10 * time.Second
	// settleWait is how long a run waits for the end of a pipe after its
	// program has ended: a background process may hold it open for ever.
	settleWait = 500 * time.Millisecond
	// reapWait bounds the wait for the rest of a group after SIGKILL: a member
	// stuck in the kernel must not hold the run.
	reapWait = 2 * time.Second
)

// Local runs programs as processes of this machine. Each leads a process group
// of its own and reads an empty standard input, unless it is given one. What a program leaves running
// when it ends by itself is left alone; when ctx ends a run, the whole group
// gets SIGTERM and, after the grace period, SIGKILL.
type Local struct {
	// Grace lies between SIGTERM and SIGKILL; 0 means 10 seconds.
	Grace time.Duration
}

// Run implements [Executor].
func (l Local) Run(ctx context.Context, c Command) (Exit, error) {
	if ctx.Err() != nil {
		return Exit{}, fmt.Errorf("start %s: %w", c.label(), context.Cause(ctx))
	}
	if c.Container != nil {
		return Exit{}, fmt.Errorf("start %s: it wants a container, and this machine is none", c.label())
	}
	out, err := openOutput(c.Output)
	if err != nil {
		return Exit{}, fmt.Errorf("start %s: open its output: %w", c.label(), err)
	}
	in, err := openInput(c.Input)
	if err != nil {
		out.started(false)
		return Exit{}, fmt.Errorf("start %s: open its standard input: %w", c.label(), err)
	}
	p, err := start(c, in.child, out.child)
	out.started(err == nil)
	in.started(err == nil)
	if err != nil {
		return Exit{}, err
	}

	// The leader stays unreaped until its group is dealt with, so that its
	// number, which names the group, cannot pass to another process. We wait
	// for it here, not in a goroutine: a second wake-up costs a tenth of a run.
	exited, ended := make(chan struct{}), make(chan struct{})
	uncancelled := context.AfterFunc(ctx, func() { l.end(p.Pid, exited); close(ended) })
	err = waitUnreaped(p.Pid)
	close(exited)
	var cancelled error
	if !uncancelled() {
		<-ended
		cancelled = context.Cause(ctx)
	}
	in.settle()
	outErr := out.settle()
	state, waitErr := p.Wait()
	if err = errors.Join(err, waitErr); err != nil {
		return Exit{}, fmt.Errorf("wait for %s: %w", c.label(), err)
	}
	switch {
	case cancelled != nil:
		err = fmt.Errorf("end %s: %w", c.label(), cancelled)
	case outErr != nil:
		err = fmt.Errorf("keep the output of %s: %w", c.label(), outErr)
	}
	return exitOf(state), err
}

func exitOf(state *os.ProcessState) Exit {
	status, ok := state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return Exit{Code: 128 + int(status.Signal()), Signal: status.Signal()}
	}
	return Exit{Code: state.ExitCode()}
}

// end ends the group; it returns when the leader is gone and so are the others,
// or nothing more can be done.
func (l Local) end(group int, exited <-chan struct{}) {
	grace := l.Grace
	if grace <= 0 {
		grace = defaultGrace
	}
	_ = syscall.Kill(-group, syscall.SIGTERM) // the leader is unreaped: the group exists
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	select {
	case <-exited:
		if waitGone(group, deadline.C) {
			return
		}
	case <-deadline.C:
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
	<-exited
	waitGone(group, time.After(reapWait))
}

// waitGone reports whether the group lost its last living member before the
// deadline. The kernel tells nobody but the parent, so it asks, ever less often.
func waitGone(group int, deadline <-chan time.Time) bool {
	pause := time.Millisecond
	for len(living([]int{group})) > 0 {
		select {
		case <-deadline:
			return false
		case <-time.After(pause):
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
	return true
}
