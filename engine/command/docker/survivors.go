package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"

	"gitdag/engine/command"
)

// ErrNoEngine tells that there is no engine to ask.
var ErrNoEngine = errors.New("no Docker engine")

// survivor is a container that an agent which is gone has started.
type survivor struct {
	id, run string
	files   string
	// lines is how many lines the agent had printed before it started.
	lines int
	state container.ContainerState
}

// TakeOver looks for the containers with the [Label] of dataID, which an agent that
// is gone has left. What goesOn says yes to stays, running or at its end, for Run to
// go on with it; the others are ended. It returns how many were ended. Where no
// engine answers, the error is [ErrNoEngine], and all of them are ended as soon as
// one does.
func (x *Executor) TakeOver(ctx context.Context, dataID string, goesOn func(task uint64, execution int) bool) (ended int, err error) {
	e, err := x.connect(ctx)
	if err != nil {
		x.mu.Lock()
		x.owed = dataID
		x.mu.Unlock()
		return 0, fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	kept := map[string]survivor{}
	ended, err = x.sweep(ctx, e, dataID, func(s survivor) bool {
		_, task, execution, ok := command.ParseRun(s.run)
		if !ok || !x.canGoOn(ctx, e, s) || !goesOn(task, execution) {
			return false
		}
		kept[s.run] = s
		return true
	})
	x.mu.Lock()
	x.survivors = kept
	x.mu.Unlock()
	return ended, err
}

// sweep ends the containers of dataID that keep does not want.
func (x *Executor) sweep(ctx context.Context, e *engine, dataID string, keep func(survivor) bool) (ended int, err error) {
	ctx, cancel := context.WithTimeout(ctx, x.o.Grace+2*callTimeout)
	defer cancel()
	found, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", Label))})
	if err != nil {
		return 0, fmt.Errorf("list containers of an earlier run: %w", err)
	}
	var wait sync.WaitGroup
	all := make(chan error, len(found))
	for _, c := range found {
		lines, _ := strconv.Atoi(c.Labels[linesLabel]) // none: 0
		s := survivor{id: c.ID, run: c.Labels[Label], files: c.Labels[filesLabel], lines: lines, state: c.State}
		if !strings.HasPrefix(s.run, dataID+"/") || keep(s) {
			continue
		}
		ended++
		wait.Go(func() { all <- x.end(ctx, e, s) }) // ends when the container is gone, or with ctx
	}
	wait.Wait()
	close(all)
	for err = range all {
		if err != nil {
			return ended, fmt.Errorf("end a container of an earlier run: %w", err)
		}
	}
	return ended, nil
}

// end stops and removes a container.
func (x *Executor) end(ctx context.Context, e *engine, s survivor) error {
	var err error
	switch s.state {
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		err = e.stop(ctx, s.id, x.o.Grace)
	}
	x.remove(ctx, e, s.id)
	return err
}

// canGoOn tells whether a container runs, has come to its own end or can be started,
// and its files are there.
func (x *Executor) canGoOn(ctx context.Context, e *engine, s survivor) bool {
	if _, err := os.Stat(s.files); s.files == "" || err != nil {
		return false
	}
	// The answer waits for a start that is under way.
	info, err := e.api.ContainerInspect(ctx, s.id)
	if err != nil {
		return false
	}
	switch info.State.Status {
	case container.StateRunning, container.StatePaused, container.StateRestarting, container.StateCreated:
		return true
	case container.StateExited:
		return !(e.local() && cutOff(info.State, bootTime()))
	}
	return false
}

// cutOff tells whether a container ended with its machine. The engine notices that
// when it starts again, and makes up the rest.
func cutOff(s *container.State, boot time.Time) bool {
	started, err := time.Parse(time.RFC3339Nano, s.StartedAt)
	finished, endErr := time.Parse(time.RFC3339Nano, s.FinishedAt)
	return err == nil && endErr == nil && started.Before(boot) && !finished.Before(boot)
}

// bootTime is when this machine was started; zero where that is not told.
func bootTime() time.Time {
	text, _ := os.ReadFile("/proc/stat") // not there: not Linux
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return time.Unix(seconds, 0)
		}
	}
	return time.Time{}
}

// settleOwed ends the containers that TakeOver could not ask for.
func (x *Executor) settleOwed(ctx context.Context, e *engine) error {
	x.mu.Lock()
	owed := x.owed
	x.mu.Unlock()
	if owed == "" {
		return nil
	}
	if _, err := x.sweep(ctx, e, owed, func(survivor) bool { return false }); err != nil {
		return err
	}
	x.mu.Lock()
	x.owed = ""
	x.mu.Unlock()
	return nil
}

// EndUnused ends the container of a run that TakeOver kept, and that has not gone on
// with it.
func (x *Executor) EndUnused(ctx context.Context, run string) {
	s, ok := x.pick(run)
	if !ok {
		return
	}
	e, err := x.connect(ctx)
	if err == nil {
		err = x.end(ctx, e, s)
	}
	if err != nil {
		x.o.Log.Warn("a container of an earlier run was not ended as it should", "container", s.id, "err", err)
	}
}

// pick returns a container that nobody has taken.
func (x *Executor) pick(run string) (survivor, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s, ok := x.survivors[run]
	delete(x.survivors, run)
	return s, ok
}

// take returns the container that a command goes on with, if there is one. One with
// other files belongs to something that the execution does no more.
func (x *Executor) take(ctx context.Context, e *engine, c command.Command) (survivor, bool) {
	_, run := command.CutMarker(c.Env)
	s, ok := x.pick(run)
	if ok && s.files != c.Container.Files {
		if err := x.end(ctx, e, s); err != nil {
			x.o.Log.Warn("a container of an earlier run was not ended as it should", "container", s.id, "err", err)
		}
		return survivor{}, false
	}
	return s, ok
}
