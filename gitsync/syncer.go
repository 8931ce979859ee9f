package gitsync

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Syncer keeps all configured repositories in step with their remotes, each in
// a goroutine of its own.
type Syncer struct {
	opts  Options
	store *store
	repos []*repository

	mu      sync.Mutex
	started bool
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// sweepInterval is how often checkouts that nobody uses are looked for.
const sweepInterval = 10 * time.Minute

// New checks the options, makes the directories below Data and removes what a
// killed process left there. Nothing runs before Start.
func New(o Options) (*Syncer, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	o.Log = o.Log.With("component", "gitsync")
	s := &Syncer{opts: o}
	if s.store, err = openStore(o.Data); err != nil {
		return nil, err
	}
	slots := make(chan struct{}, o.Fetches)
	deploy := &sync.Mutex{}
	for _, r := range o.Repos {
		var remote Remote
		if o.Remote != nil {
			remote = o.Remote(r)
		} else {
			remote = newGitRemote(r, o, slots)
		}
		s.repos = append(s.repos, newRepository(r, remote, &s.opts, s.store, deploy))
	}
	return s, nil
}

// Start polls every repository at once and then at its interval. A second call
// does nothing.
func (s *Syncer) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started {
		return
	}
	s.started = true
	ctx, s.cancel = context.WithCancel(ctx)
	for _, r := range s.repos {
		s.done.Go(func() { r.run(ctx) })
	}
	s.done.Go(func() { s.sweep(ctx) })
}

// Stop ends all polls, their children too, and returns when all is quiet. It
// may be called again, and without a Start.
func (s *Syncer) Stop() {
	s.mu.Lock()
	if s.cancel != nil {
		s.cancel()
	}
	s.started = true // too late to start
	s.mu.Unlock()
	s.done.Wait()
	for _, r := range s.repos {
		if c, ok := r.remote.(*gitRemote); ok {
			c.close()
		}
	}
}

// Trigger marks a repository as due, or all of them if name is empty. It says
// whether there is one.
func (s *Syncer) Trigger(name string) bool {
	known := false
	for _, r := range s.repos {
		if name == "" || r.repo.Name == name {
			r.trigger()
			known = true
		}
	}
	return known
}

// Status says what every repository is doing, in the order of the configuration.
func (s *Syncer) Status() []Status {
	all := make([]Status, len(s.repos))
	for i, r := range s.repos {
		all[i] = r.snapshot()
	}
	return all
}

// Dir is where the checkout of a tree lies, whether it exists or not.
func (s *Syncer) Dir(tree string) string { return s.store.dir(tree) }

// sweep deletes checkouts from time to time, until ctx is done.
func (s *Syncer) sweep(ctx context.Context) {
	t := time.NewTicker(sweepInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := s.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			s.opts.Log.Warn("unused checkouts could not be deleted", "err", err)
		}
	}
}

func (s *Syncer) sweepOnce(ctx context.Context) error {
	n, err := s.store.sweep(func() ([]string, error) { return s.opts.Target.InUse(ctx) }, s.opts.Revisions)
	if err != nil {
		return fmt.Errorf("sweep checkouts: %w", err)
	}
	if n > 0 {
		s.opts.Log.Info("unused checkouts deleted", "count", n)
	}
	return nil
}
