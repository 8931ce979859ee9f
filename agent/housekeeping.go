package agent

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"time"

	"gitdag/agent/history"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/engine/tasklog"
)

// housekeepingEvery is how often what has outlived its use is removed.
const housekeepingEvery = time.Hour

// keepHouse removes old history, logs, workspaces, secrets, revisions and
// objects until ctx is done.
func (a *Agent) keepHouse(ctx context.Context) {
	tick := time.NewTicker(housekeepingEvery)
	defer tick.Stop()
	for {
		a.tidy(ctx, time.Now())
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// tidy makes one round. What fails is tried again by the next.
func (a *Agent) tidy(ctx context.Context, now time.Time) {
	r := &a.config.Load().Retention
	if n, err := a.store.history.Expire(ctx, history.Keep{Age: time.Duration(r.Attempts.Age), Count: r.Attempts.Count}, now); err != nil {
		a.log.Warn("old attempts could not be removed", "err", err)
	} else if n > 0 {
		a.log.Info("old attempts removed", "count", n)
	}
	if err := a.logs.Sweep(now, tasklog.Retention{Age: time.Duration(r.Logs.Age), Bytes: int64(r.Logs.Bytes)}); err != nil {
		a.log.Warn("old task logs could not be removed", "err", err)
	}
	if err := a.sweepWorkspaces(ctx, now); err != nil {
		a.log.Warn("old workspaces could not be removed", "err", err)
	}
	if err := a.sweepSecrets(); err != nil {
		a.log.Warn("the secrets of deleted projects could not be removed", "err", err)
	}
	if n, err := a.projects.sweep(ctx, a.target()); err != nil {
		a.log.Warn("the files of old revisions could not be removed", "err", err)
	} else if n > 0 {
		a.log.Info("the files of old revisions removed", "count", n)
	}
	if err := a.sweepObjects(ctx); err != nil {
		a.log.Warn("objects that nothing names could not be removed", "err", err)
	}
}

// sweepWorkspaces removes the workspaces of attempts that are over; those of
// failed ones stay for a while.
func (a *Agent) sweepWorkspaces(ctx context.Context, now time.Time) error {
	live, last := map[uint64]bool{}, uint64(0)
	a.engine.View(func(s *flow.State) {
		last = s.Last().Attempt
		for _, attempt := range s.Attempts() {
			live[attempt.ID] = true
		}
	})
	keep := time.Duration(a.config.Load().Retention.Workspaces)
	return a.spaces.store.Sweep(func(attempt uint64) bool {
		if live[attempt] || attempt > last {
			return true
		}
		past, err := a.store.history.Attempt(ctx, attempt)
		return err == nil && !past.Succeeded && now.Sub(past.FinishedAt) < keep
	})
}

// objectName is how events, states and objects name an object.
var objectName = regexp.MustCompile(`[0-9a-f]{64}`)

// sweepObjects removes the objects that neither the state, nor the journal
// since the last snapshot, nor an attempt of the history that can be started
// again, nor an object that one of them names, names. The checkout of what was
// pushed has the name of its archive, which stays as long. The history comes last:
// what leaves the state meanwhile is in it. A sequence of digits that only
// looks like a name keeps an object too long, and does no harm.
func (a *Agent) sweepObjects(ctx context.Context) error {
	named := &nameCollector{found: map[string]bool{}}
	if err := journal.Dump(journal.OSFS(a.config.Load().Data), named); err != nil {
		return err
	}
	var state bytes.Buffer
	var err error
	packed := map[string]bool{} // archives: nothing in them names an object
	a.engine.View(func(s *flow.State) {
		for _, p := range s.Projects() {
			for _, r := range p.Revisions() {
				if r.Archive != nil {
					packed[r.Archive.Object] = true
				}
			}
		}
		err = s.Encode(&state)
	})
	if err != nil {
		return err
	}
	if _, err := io.Copy(named, &state); err != nil {
		return err
	}
	for _, list := range []func(context.Context) ([]string, error){a.store.history.Refs, a.store.history.Checkouts} {
		names, err := list(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			named.scan([]byte(name))
		}
	}
	for len(named.fresh) > 0 {
		name := named.fresh[len(named.fresh)-1]
		named.fresh = named.fresh[:len(named.fresh)-1]
		if packed[name] {
			continue
		}
		if data, err := a.store.objects.Read(name); err == nil {
			named.scan(data)
		}
	}
	_, err = a.store.objects.Sweep(func(name string) bool { return named.found[name] })
	return err
}

// nameCollector finds the names of objects in what is written to it.
type nameCollector struct {
	found map[string]bool
	fresh []string // found and not looked into yet
	tail  []byte   // may begin a name that the next write goes on with
}

// Write scans p.
func (c *nameCollector) Write(p []byte) (int, error) {
	data := append(c.tail, p...)
	c.scan(data)
	c.tail = append([]byte(nil), data[max(0, len(data)-63):]...)
	return len(p), nil
}

func (c *nameCollector) scan(data []byte) {
	for _, m := range objectName.FindAll(data, -1) {
		if name := string(m); !c.found[name] {
			c.found[name] = true
			c.fresh = append(c.fresh, name)
		}
	}
}
