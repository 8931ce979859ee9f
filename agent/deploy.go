package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/gitsync"
)

// checking is how projects are checked: for the operators that there are here.
func checking(operators *operator.Registry) dig.Options {
	builtIn := func(name string) bool { _, ok := operators.Lookup(name); return ok }
	return dig.Options{Operators: builtIn, Installed: operators.Installed}
}

// checker loads and checks a project for the syncs.
type checker struct{ operators *operator.Registry }

// Check reads the project in dir. A workflow with an error rejects the whole
// project, which keeps its last good revision (L4).
func (c checker) Check(_ context.Context, _, dir string) (gitsync.Checked, error) {
	p, found := dig.Load(dir, checking(c.operators))
	checked := gitsync.Checked{Compiled: p}
	for _, d := range found {
		severity := gitsync.Warning
		if d.Severity == dig.Error {
			severity = gitsync.Error
		}
		text := d.Message
		if d.Hint != "" {
			text += "; " + d.Hint
		}
		checked.Diagnostics = append(checked.Diagnostics, gitsync.Diagnostic{
			File: d.File, Line: d.Line, Column: d.Column, Severity: severity, Message: text,
		})
	}
	if p == nil && len(found) == 0 {
		return checked, errors.New("the project could not be read")
	}
	return checked, nil
}

// target is the engine as the syncs see it.
type target struct {
	engine  *engine.Engine
	history *history.History
	config  func() *Config
}

// Live says what is live of a repository.
func (t target) Live(_ context.Context, repo string) (gitsync.Live, error) {
	live := gitsync.Live{Taken: map[string]string{}}
	t.engine.View(func(s *flow.State) {
		for _, r := range s.Repos() {
			if r.Name != repo {
				continue
			}
			live.Commit, live.Scope, live.Since, live.Failing = toGit(r.Commit), r.Scope, r.At, r.Failing
			for _, j := range r.Rejected {
				live.Rejected = append(live.Rejected, toRejection(&j))
			}
		}
		for _, p := range s.Projects() {
			if p.Repo != repo {
				live.Taken[p.Name] = fmt.Sprintf("a project of repository %q", p.Repo)
				if p.Pushed() {
					live.Taken[p.Name] = "a project that was pushed"
				}
				continue
			}
			live.Projects = append(live.Projects, gitsync.LiveProject{Path: p.Path, Name: p.Name, Tree: p.Checkout, Revision: p.Revision})
		}
	})
	return live, nil
}

// Deploy makes one commit live.
func (t target) Deploy(ctx context.Context, d gitsync.Deployment) error {
	c, commit := t.config(), fromGit(d.Commit)
	e := &engine.Deployment{Repo: d.Repo, Scope: d.Scope, Commit: commit}
	for _, p := range d.Kept {
		e.Kept = append(e.Kept, p.Name)
	}
	for i := range d.Projects {
		p := &d.Projects[i]
		content, ok := p.Compiled.(*dig.Project)
		if !ok {
			return fmt.Errorf("project %s was not checked", p.Name)
		}
		e.Projects = append(e.Projects, engine.Project{
			Name: p.Name, Path: p.Path, Tree: p.Tree, Checkout: p.Tree, Revision: p.Revision,
			Commit: commit, Content: content, CatchUp: flow.CatchUp(c.CatchUp), Keep: c.Retention.Revisions,
		})
	}
	for i := range d.Rejected {
		r := &d.Rejected[i]
		rejection := flow.Rejection{Project: r.Name, Path: r.Path, Commit: commit}
		if rejection.Project == "" {
			rejection.Project = r.Path
		}
		for _, diag := range r.Diagnostics {
			if diag.Severity == gitsync.Error {
				rejection.Reasons = append(rejection.Reasons, diag.String())
			}
		}
		e.Rejected = append(e.Rejected, rejection)
	}
	return t.engine.Deploy(ctx, e)
}

// forget removes what is live of repositories that are not configured any more.
// Their attempts go on to their end.
func (t target) forget(ctx context.Context, configured []Repo, log *slog.Logger) error {
	var gone []string
	t.engine.View(func(s *flow.State) {
		for _, p := range s.Projects() {
			if p.Pushed() {
				continue
			}
			named := func(r Repo) bool { return r.Name == p.Repo }
			if !slices.ContainsFunc(configured, named) && !slices.Contains(gone, p.Repo) {
				gone = append(gone, p.Repo)
			}
		}
	})
	for _, repo := range gone {
		log.Warn("the repository is no longer configured: its projects and schedules are removed", "repo", repo)
		if err := t.engine.Deploy(ctx, &engine.Deployment{Repo: repo}); err != nil {
			return err
		}
	}
	return nil
}

// Report has an event told.
func (t target) Report(ctx context.Context, ev gitsync.Event) error {
	kind := ""
	switch ev.Kind {
	case gitsync.SyncFailed:
		kind = flow.AlertSyncFailed
	case gitsync.SyncRecovered:
		kind = flow.AlertSyncRecovered
	default:
		return nil // told by the syncer's own log line
	}
	_, err := t.engine.Submit(ctx, &flow.Report{Alert: flow.Alert{
		Kind: kind, Incident: "sync/" + ev.Repo, Repo: ev.Repo, Message: ev.Err, Since: ev.Since,
	}})
	return err
}

// InUse lists the checkouts of the revisions that live projects keep, of attempts
// that are live, and of those that may be retried. The history comes last: what leaves the state
// meanwhile is in it.
func (t target) InUse(ctx context.Context) ([]string, error) {
	used := map[string]bool{}
	t.engine.View(func(s *flow.State) {
		for _, p := range s.Projects() {
			for _, r := range p.Revisions() {
				used[r.Checkout] = true
			}
		}
		for _, a := range s.Attempts() {
			used[a.Checkout] = true
		}
	})
	past, err := t.history.Checkouts(ctx)
	if err != nil {
		return nil, err
	}
	for _, tree := range past {
		used[tree] = true
	}
	list := make([]string, 0, len(used))
	for tree := range used {
		list = append(list, tree)
	}
	return list, nil
}

func fromGit(c gitsync.Commit) flow.Commit {
	return flow.Commit{ID: c.Hash, Author: c.AuthorName, Email: c.AuthorEmail, Subject: c.Subject, Time: c.Time}
}

func toGit(c flow.Commit) gitsync.Commit {
	return gitsync.Commit{Hash: c.ID, AuthorName: c.Author, AuthorEmail: c.Email, Subject: c.Subject, Time: c.Time}
}

func toRejection(r *flow.Rejection) gitsync.Rejection {
	j := gitsync.Rejection{Path: r.Path, Name: r.Project}
	for _, text := range r.Reasons {
		j.Diagnostics = append(j.Diagnostics, gitsync.Diagnostic{Severity: gitsync.Error, Message: text})
	}
	return j
}
