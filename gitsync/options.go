package gitsync

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Options configures a Syncer.
type Options struct {
	Repos   []Repo
	Data    string // absolute; checkouts/ and tmp/gitsync/ are made below it
	Self    string // program that children re-execute as `Self fetch-child`
	Checker Checker
	Target  Target
	Log     *slog.Logger
	Rand    func() float64 // jitter, in [0, 1); called from several goroutines

	AlertAfter time.Duration // default 10m
	Memory     int64         // bytes that a fetching child may use; default 512 MB
	Depth      int           // commits that are fetched; default 50
	Fetches    int           // fetches at a time; default 2
	Revisions  int           // unused checkouts that are kept for each project; default 10
	Limits     Limits
	Timeouts   Timeouts

	// Remote makes the remote of a repository; default: the real one.
	Remote func(Repo) Remote
}

// Limits bounds what a project may contain.
type Limits struct {
	FileBytes    int64 // default 16 MB
	ProjectBytes int64 // default 64 MB
	Entries      int   // files, links and folders; default 10,000
	Depth        int   // default 64
}

// Timeouts bounds every wait for a remote.
type Timeouts struct {
	List  time.Duration // one listing, all of it; default 30s
	Idle  time.Duration // one read or write of a connection; default 60s
	Fetch time.Duration // one fetch and export, all of it; default 10m
}

func (o Options) complete() (Options, error) {
	o.AlertAfter = orDefault(o.AlertAfter, 10*time.Minute)
	o.Memory = orDefault(o.Memory, 512_000_000)
	o.Depth = orDefault(o.Depth, 50)
	o.Fetches = orDefault(o.Fetches, 2)
	o.Revisions = orDefault(o.Revisions, 10)
	o.Limits.FileBytes = orDefault(o.Limits.FileBytes, 16_000_000)
	o.Limits.ProjectBytes = orDefault(o.Limits.ProjectBytes, 64_000_000)
	o.Limits.Entries = orDefault(o.Limits.Entries, 10_000)
	o.Limits.Depth = orDefault(o.Limits.Depth, 64)
	o.Timeouts.List = orDefault(o.Timeouts.List, 30*time.Second)
	o.Timeouts.Idle = orDefault(o.Timeouts.Idle, time.Minute)
	o.Timeouts.Fetch = orDefault(o.Timeouts.Fetch, 10*time.Minute)
	repos := make([]Repo, len(o.Repos))
	names := map[string]bool{}
	for i, r := range o.Repos {
		done, err := r.Complete()
		if err != nil {
			return o, err
		}
		if names[done.Name] {
			return o, fmt.Errorf("two repositories have the name %q", done.Name)
		}
		names[done.Name] = true
		repos[i] = done
	}
	o.Repos = repos
	return o, o.validate()
}

func (o Options) validate() error {
	switch {
	case o.Data == "":
		return errors.New("gitsync needs a data directory")
	case o.Self == "" && o.Remote == nil:
		return errors.New("gitsync needs the program that its children re-execute")
	case o.Checker == nil || o.Target == nil || o.Log == nil || o.Rand == nil:
		return errors.New("gitsync needs a checker, a target, a logger and a source of randomness")
	case o.Memory < 64_000_000:
		return fmt.Errorf("sync.memory %d is below 64MB", o.Memory)
	case o.Depth < 1 || o.Fetches < 1 || o.Revisions < 0:
		return errors.New("sync.depth and the number of fetches must be positive")
	}
	return nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}
