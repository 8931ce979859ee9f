package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"gitdag/agent/api"
	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/workspace"
)

// Directory has an agent run a project that lies in a directory, in place of
// what repositories hold: as project "default", read again every few seconds,
// each change of its workflows a revision, numbered from 1 (language.md 9.6).
// What has no default must be set.
type Directory struct {
	Dir string // absolute
	// Params are visible to all tasks, below all others.
	Params *params.Map
	// Environ is what the processes of tasks inherit.
	Environ []string
	Secrets operator.Secrets
	// Logs is where the logs of tasks lie; empty for in the data directory.
	Logs string
	// Every is how often the directory is read; 0 means 5 seconds.
	Every time.Duration
}

// directoryProject names both the project and where it comes from.
const directoryProject = "default"

// equip has an engine run tasks in the directory, as a shell in it would.
func (d *Directory) equip(o *engine.Options, spaces *workspace.InPlace) {
	o.Workspaces, o.Environ, o.Params = spaces, d.Environ, d.Params
	o.Secrets = func(*flow.AttemptFacts) operator.Secrets { return d.Secrets }
}

// directory reads a directory again and again and deploys what has changed. It
// implements source.
type directory struct {
	Directory
	data      string
	operators *operator.Registry
	engine    *engine.Engine
	log       *slog.Logger

	due  chan struct{}
	end  context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	status api.Syncing
}

func newDirectory(a *Agent, operators *operator.Registry) *directory {
	d := &directory{
		Directory: *a.options.Directory, data: a.config.Load().Data, operators: operators, engine: a.engine,
		log: a.log.With("component", "directory"), due: make(chan struct{}, 1), done: make(chan struct{}),
	}
	d.Every = cmp.Or(d.Every, 5*time.Second)
	if d.Params == nil {
		d.Params = params.NewMap(0)
	}
	d.status = api.Syncing{Name: directoryProject, URL: d.Dir, Phase: "waiting"}
	return d
}

// start has nothing to prepare.
func (d *directory) start(*Config) error { return nil }

// begin reads the directory for the first time, which must succeed, and goes on
// until stop.
func (d *directory) begin(ctx context.Context) error {
	if err := d.foreign(); err != nil {
		return err
	}
	if err := d.read(ctx); err != nil {
		return err
	}
	ctx, d.end = context.WithCancel(context.WithoutCancel(ctx))
	go d.run(ctx)
	return nil
}

// foreign refuses a data directory that repositories have deployed to: their
// projects have no place in the directory.
func (d *directory) foreign() (err error) {
	d.engine.View(func(s *flow.State) {
		for _, p := range s.Projects() {
			if p.Repo != directoryProject {
				err = fmt.Errorf("the data directory %s is in use for project %s of repository %s: another one is needed", d.data, p.Name, p.Repo)
			}
		}
	})
	return err
}

// stop ends the reading.
func (d *directory) stop() {
	if d.end == nil {
		return
	}
	d.end()
	<-d.done
}

// run reads until ctx is done.
func (d *directory) run(ctx context.Context) {
	defer close(d.done)
	tick := time.NewTicker(d.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-d.due:
		case <-ctx.Done():
			return
		}
		if err := d.read(ctx); err != nil && ctx.Err() == nil {
			d.complain(err)
		}
	}
}

// read deploys what the directory holds if that has changed.
func (d *directory) read(ctx context.Context) error {
	err := d.deploy(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.status
	s.LastPoll = time.Now()
	s.NextPoll = s.LastPoll.Add(d.Every)
	if err != nil {
		return err
	}
	if s.LastError != "" {
		d.log.Info("the project can be read again", "project", directoryProject)
	}
	s.LastSuccess, s.LastError, s.FailingSince, s.Failures = s.LastPoll, "", time.Time{}, 0
	return nil
}

// complain tells why the old revision stays, once for each reason.
func (d *directory) complain(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := &d.status
	if s.Failures++; s.Failures == 1 {
		s.FailingSince = s.LastPoll
	}
	if s.LastError == err.Error() {
		return
	}
	s.LastError = err.Error()
	var found dig.Diagnostics
	if !errors.As(err, &found) {
		d.log.Error("the project cannot be read; its last revision stays", "project", directoryProject, "err", err)
	}
	for i := range found {
		d.log.Error("the project has errors; its last revision stays", "project", directoryProject, "diagnostic", onOneLine(found[i]))
	}
}

// onOneLine is a diagnostic for a log.
func onOneLine(d dig.Diagnostic) string {
	hint := d.Hint
	if d.Hint = ""; hint == "" {
		return d.String()
	}
	return d.String() + "; " + hint
}

// deploy reads the directory and, if its workflows are others than those that
// are live, makes them the next revision. The error is of type dig.Diagnostics
// if the project has errors.
func (d *directory) deploy(ctx context.Context) error {
	content, found := dig.Load(d.Dir, checking(d.operators))
	if errs := found.Errors(); len(errs) > 0 {
		return errs
	}
	tree, revision := d.fingerprint(content), 1
	live := false
	d.engine.View(func(s *flow.State) {
		if p := s.ProjectNamed(directoryProject); p != nil {
			n, _ := strconv.Atoi(p.Revision) // one of ours
			live, revision = p.Tree == tree, n+1
		}
	})
	if live {
		return nil
	}
	for i := range found {
		d.log.Warn("the project has a doubtful place", "project", directoryProject, "diagnostic", onOneLine(found[i]))
	}
	name := strconv.Itoa(revision)
	commit := flow.Commit{ID: name, Subject: "read from " + d.Dir, Time: time.Now()}
	return d.engine.Deploy(ctx, &engine.Deployment{
		Repo: directoryProject, Scope: d.Dir, Commit: commit,
		Projects: []engine.Project{{
			Name: directoryProject, Tree: tree, Checkout: d.Dir, Revision: name, Commit: commit, Content: content,
		}},
	})
}

// fingerprint is the same for the same workflows, in the same place, with the
// same parameters.
func (d *directory) fingerprint(p *dig.Project) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q\n%s\n", d.Dir, params.Encode(d.Params))
	for _, w := range p.Workflows {
		fmt.Fprintf(sum, "%q %q\n%s\n", w.Name, w.Timezone, params.Encode(w.Config))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Trigger has the directory read at once.
func (d *directory) Trigger(name string) bool {
	if name != "" && name != directoryProject {
		return false
	}
	select {
	case d.due <- struct{}{}:
	default:
	}
	return true
}

// Sync has the directory read at once, for the API.
func (d *directory) Sync(name string) bool { return d.Trigger(name) }

// Syncing says how the reading is doing.
func (d *directory) Syncing() []api.Syncing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return []api.Syncing{d.status}
}

// dir is where a checkout lies: each is the directory.
func (d *directory) dir(tree string) string { return tree }

// replace does nothing: a configuration has no directory.
func (d *directory) replace(context.Context, *Config) error { return nil }
