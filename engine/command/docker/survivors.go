package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
)

// EndSurvivors ends the containers that carry the [Label] of dataID, as many as
// the engine has: those of a crashed agent, whose results can no longer be
// taken. It returns how many there were when they are gone. Nothing is done,
// and [ErrNoEngine] returned, where no engine answers.
func (x *Executor) EndSurvivors(ctx context.Context, dataID string) (int, error) {
	e, err := x.connect(ctx)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoEngine, err)
	}
	ctx, cancel := context.WithTimeout(ctx, x.o.Grace+2*callTimeout)
	defer cancel()
	found, err := e.api.ContainerList(ctx, container.ListOptions{All: true, Filters: filters.NewArgs(filters.Arg("label", Label))})
	if err != nil {
		return 0, fmt.Errorf("list containers of an earlier run: %w", err)
	}
	var (
		wait sync.WaitGroup
		all  = make(chan error, len(found))
		n    int
	)
	for _, c := range found {
		if !strings.HasPrefix(c.Labels[Label], dataID+"/") {
			continue
		}
		n++
		wait.Go(func() { // ends when the container is gone, or with ctx
			var err error
			if c.State == container.StateRunning || c.State == container.StatePaused || c.State == container.StateRestarting {
				err = e.stop(ctx, c.ID, x.o.Grace)
			}
			x.remove(ctx, e, c.ID)
			all <- err
		})
	}
	wait.Wait()
	close(all)
	for err = range all {
		if err != nil {
			return n, fmt.Errorf("end a container of an earlier run: %w", err)
		}
	}
	return n, nil
}

// ErrNoEngine tells that there is no engine to ask.
var ErrNoEngine = errors.New("no Docker engine")
