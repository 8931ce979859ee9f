package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/command/docker"
	"gitdag/engine/flow"
)

// endSurvivors ends the processes that a killed agent's tasks have left: their
// results can no longer be taken, and the tasks run again.
func endSurvivors(ctx context.Context, id string, grace time.Duration, log *slog.Logger) error {
	for {
		found, err := command.Survivors(id)
		if err != nil {
			return fmt.Errorf("look for processes of an earlier run: %w", err)
		}
		if len(found) == 0 {
			return nil
		}
		log.Warn("processes of tasks outlived the last agent and are ended", "count", len(found))
		ctx, cancel := context.WithTimeout(ctx, grace+time.Minute)
		err = command.End(ctx, found, grace)
		cancel()
		if err != nil {
			return fmt.Errorf("end processes of an earlier run: %w", err)
		}
	}
}

// takeOver finds the containers that a killed agent's tasks have left, and returns
// the leases that go on with theirs. Those of other tasks are ended.
func takeOver(ctx context.Context, x *docker.Executor, id string, state *flow.State, log *slog.Logger) (map[flow.Lease]bool, error) {
	type execution struct {
		task   uint64
		number int
	}
	leases := map[execution]flow.Lease{}
	for l := range state.Leases {
		leases[execution{l.Task, l.Execution}] = l
	}
	survived := map[flow.Lease]bool{}
	ended, err := x.TakeOver(ctx, id, func(task uint64, number int) bool {
		l, ok := leases[execution{task, number}]
		if ok {
			survived[l] = true
		}
		return ok
	})
	switch {
	case errors.Is(err, docker.ErrNoEngine):
		// Many machines have none. If this one should, its tasks say so.
		log.Debug("containers of an earlier run were not looked for", "err", err)
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look for containers of an earlier run: %w", err)
	}
	if ended+len(survived) > 0 {
		log.Warn("containers of tasks outlived the last agent", "going_on", len(survived), "ended", ended)
	}
	return survived, nil
}

// printed opens what agents that are gone have kept of an execution's output: the
// present one has not begun to.
func (l logs) printed(attempt, task uint64, execution int) (io.ReadCloser, error) {
	infos, err := l.store.List(attempt)
	if err != nil {
		return nil, err
	}
	p := &parts{}
	for _, info := range infos {
		if info.Task == task && info.Execution == execution {
			p.open = append(p.open, func() (io.ReadCloser, error) { return l.store.Open(attempt, info.Name, 0) })
		}
	}
	return p, nil
}

// parts reads several texts, one after another.
type parts struct {
	open []func() (io.ReadCloser, error)
	now  io.ReadCloser
}

// Read implements [io.Reader].
func (p *parts) Read(b []byte) (int, error) {
	for {
		if p.now == nil {
			if len(p.open) == 0 {
				return 0, io.EOF
			}
			var err error
			if p.now, err = p.open[0](); err != nil {
				return 0, err
			}
			p.open = p.open[1:]
		}
		n, err := p.now.Read(b)
		if err == nil || n > 0 || !errors.Is(err, io.EOF) {
			return n, err
		}
		if err := p.Close(); err != nil {
			return 0, err
		}
	}
}

// Close closes the text that is being read.
func (p *parts) Close() error {
	if p.now == nil {
		return nil
	}
	now := p.now
	p.now = nil
	return now.Close()
}
