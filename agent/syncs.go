package agent

import (
	"context"
	"slices"
	"sync"

	"gitdag/agent/api"
	"gitdag/gitsync"
	"gitdag/gitsync/forge"
)

// source is where deployments come from: the repositories of the configuration,
// or a directory.
type source interface {
	api.Repos
	forge.Marker
	// start prepares what the engine needs when it starts.
	start(c *Config) error
	// begin begins to deploy, until stop.
	begin(ctx context.Context) error
	stop()
	// replace takes over a changed configuration while the source works.
	replace(ctx context.Context, c *Config) error
	// dir is where the checkout of a tree lies.
	dir(tree string) string
}

// syncs holds the syncer in force: a changed list of repositories replaces it
// while the agent runs.
type syncs struct {
	make func(c *Config) (*gitsync.Syncer, error)
	// forget removes what is live of all other repositories.
	forget func(ctx context.Context, configured []Repo) error

	mu      sync.Mutex
	current *gitsync.Syncer
	repos   []Repo
}

// start makes the first syncer; its directories are there when it returns, and
// polling begins with [syncs.begin].
func (s *syncs) start(c *Config) (err error) {
	s.current, err = s.make(c)
	s.repos = c.Repos
	return err
}

func (s *syncs) begin(ctx context.Context) error {
	if err := s.forget(ctx, s.repos); err != nil {
		return err
	}
	s.get().Start(ctx)
	return nil
}

func (s *syncs) get() *gitsync.Syncer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// replace takes over a changed list of repositories. The old syncer is quiet
// before the new one begins.
func (s *syncs) replace(ctx context.Context, c *Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.EqualFunc(s.repos, c.Repos, sameRepo) {
		return nil
	}
	next, err := s.make(c)
	if err != nil {
		return err
	}
	s.current.Stop()
	err = s.forget(ctx, c.Repos)
	s.current, s.repos = next, c.Repos
	next.Start(ctx)
	return err
}

func sameRepo(a, b Repo) bool {
	same := slices.Equal(a.Webhook.SecretFiles, b.Webhook.SecretFiles)
	a.Webhook, b.Webhook = Webhook{}, Webhook{}
	return same && a.Name == b.Name && a.URL == b.URL && a.Ref == b.Ref && a.Path == b.Path &&
		a.Poll == b.Poll && a.Auth == b.Auth
}

// stop ends the polls.
func (s *syncs) stop() {
	if current := s.get(); current != nil {
		current.Stop()
	}
}

// Trigger marks a repository as due.
func (s *syncs) Trigger(name string) bool { return s.get().Trigger(name) }

// Sync marks a repository as due, for the API.
func (s *syncs) Sync(name string) bool { return s.Trigger(name) }

// Syncing says how the syncs are doing.
func (s *syncs) Syncing() []api.Syncing {
	var list []api.Syncing
	for _, r := range s.get().Status() {
		list = append(list, api.Syncing{
			Name: r.Name, URL: r.URL, Ref: r.Ref, Path: r.Path, Phase: r.Phase,
			LastPoll: r.LastPoll, LastSuccess: r.LastSuccess, NextPoll: r.NextPoll,
			LastError: r.LastError, FailingSince: r.FailingSince, Failures: r.Failures,
		})
	}
	return list
}

// dir is where the checkout of a tree lies.
func (s *syncs) dir(tree string) string { return s.get().Dir(tree) }
