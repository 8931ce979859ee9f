package gitsync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// sync lists the remote and, if anything moved, brings it in. Live is what the
// Target said in the beginning, as far as it could be asked.
func (r *repository) sync(ctx context.Context) (Live, error) {
	live, err := r.opts.Target.Live(ctx, r.repo.Name)
	if err != nil {
		return live, fmt.Errorf("ask what is live: %w", err)
	}
	r.showLive(live)
	r.phase("list references")
	tip, err := r.remote.List(ctx)
	if err != nil {
		return live, err
	}
	r.store.use.RLock()
	defer r.store.use.RUnlock()
	missing := r.missing(live)
	if do, why := afterList(live, tip, r.scope, missing); do == fetchCommit {
		r.log.Info("sync", "reason", why, "commit", tip.Commit)
		return live, r.bringIn(ctx, live, tip, missing)
	}
	return live, nil
}

// missing lists the trees of live projects whose checkout is gone: checkouts
// can be lost, the Target's memory cannot. A tree that the remote could not
// restore once is not asked for again.
func (r *repository) missing(live Live) []string {
	var trees []string
	for _, p := range live.Projects {
		if !r.lost[p.Tree] {
			trees = append(trees, p.Tree)
		}
	}
	return r.store.missing(trees)
}

// bringIn fetches, exports, checks and deploys.
func (r *repository) bringIn(ctx context.Context, live Live, tip Tip, missing []string) (err error) {
	work, err := r.store.newWork()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	r.phase("fetch")
	got, err := r.remote.Fetch(ctx, Query{
		Work: work, Checkouts: r.store.checkouts, Commit: live.Commit.Hash, Live: live.Projects,
		Restore: missing, Phase: r.phase,
	})
	if err != nil {
		return err
	}
	if got.Commit.Hash != tip.Commit {
		r.log.Info("the reference moved while it was fetched", "listed", tip.Commit, "commit", got.Commit.Hash)
	}
	r.phase("publish checkouts")
	if err := r.store.publish(work); err != nil {
		return err
	}
	if lost := r.store.missing(missing); len(lost) > 0 {
		r.log.Warn("checkouts of live projects could not be restored: their revisions are no longer in the fetched history", "trees", lost)
		for _, tree := range lost {
			r.lost[tree] = true
		}
	}
	return r.activate(ctx, live.Commit.Hash, got)
}

// activate checks and deploys. One repository does so at a time, so that no two
// projects take one name; what is live is asked again under the lock.
func (r *repository) activate(ctx context.Context, before string, got Fetched) error {
	r.phase("check")
	r.deploy.Lock()
	defer r.deploy.Unlock()
	live, err := r.opts.Target.Live(ctx, r.repo.Name)
	if err != nil {
		return fmt.Errorf("ask what is live: %w", err)
	}
	if live.Commit.Hash != before {
		return fmt.Errorf("commit %s became live while %s was fetched", live.Commit.Hash, got.Commit.Hash)
	}
	good, taken := nameConflicts(live, got.Projects, got.Refused)
	got.Refused = append(got.Refused, taken...)
	verdicts, err := r.check(ctx, changedProjects(live.Projects, good))
	if err != nil {
		return err
	}
	d := plan(live, got, verdicts)
	d.Repo, d.Scope = r.repo.Name, r.scope
	if onlyRestored(live, d) {
		return nil
	}
	return r.deployPlan(ctx, live, d)
}

// onlyRestored says that a commit was fetched for its checkouts alone.
func onlyRestored(live Live, d Deployment) bool {
	return d.Commit.Hash == live.Commit.Hash && d.Scope == live.Scope
}

func (r *repository) deployPlan(ctx context.Context, live Live, d Deployment) error {
	now := time.Now()
	if d.Relation == Rewrite {
		r.log.Warn("the reference was rewritten: following it", "old", live.Commit.Hash, "commit", d.Commit.Hash)
		e := Event{Kind: Rewritten, Repo: r.repo.Name, Time: now, Commit: d.Commit, Old: live.Commit.Hash}
		if err := r.opts.Target.Report(ctx, e); err != nil {
			return fmt.Errorf("report the rewrite: %w", err)
		}
	}
	r.phase("deploy")
	if err := r.opts.Target.Deploy(ctx, d); err != nil {
		return fmt.Errorf("deploy commit %s: %w", d.Commit.Hash, err)
	}
	r.logDeployment(d)
	after, err := r.opts.Target.Live(ctx, r.repo.Name)
	if err != nil {
		return fmt.Errorf("ask what is live: %w", err)
	}
	r.showLive(after)
	return nil
}

func (r *repository) logDeployment(d Deployment) {
	for _, p := range d.Projects {
		r.log.Info("project deployed", "project", p.Name, "revision", p.Revision)
		for _, w := range p.Warnings {
			r.log.Warn("project has a warning", "project", p.Name, "diagnostic", w.String())
		}
	}
	for _, p := range d.Removed {
		r.log.Info("project removed", "project", p.Name, "revision", p.Revision)
	}
	for _, j := range d.Rejected {
		for _, g := range j.Diagnostics {
			r.log.Error("project rejected", "project", orDefault(j.Name, j.Path), "revision", d.Commit.Hash,
				"author", d.Commit.AuthorName, "diagnostic", g.String())
		}
	}
	r.log.Info("commit is live", "revision", d.Commit.Hash, "relation", string(d.Relation),
		"deployed", len(d.Projects), "kept", len(d.Kept), "removed", len(d.Removed), "rejected", len(d.Rejected))
}

func (r *repository) showLive(live Live) {
	r.update(func(s *Status) {
		s.Commit, s.Since, s.Projects, s.Rejected = live.Commit, live.Since, live.Projects, live.Rejected
	})
}

// check checks projects side by side. The first error ends it.
func (r *repository) check(ctx context.Context, projects []FoundProject) ([]verdict, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	verdicts := make([]verdict, len(projects))
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(projects)) {
		workers.Go(func() { // ends when next is closed
			for i := range next {
				p := projects[i]
				dir := r.store.dir(p.Tree)
				checked, err := r.opts.Checker.Check(ctx, p.Name, dir)
				if err != nil {
					cancel(fmt.Errorf("check project %s: %w", p.Name, err))
				}
				verdicts[i] = verdict{found: p, dir: dir, checked: checked}
			}
		})
	}
	for i := range projects {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	return verdicts, context.Cause(ctx)
}
