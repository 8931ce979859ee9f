package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/params"
	"gitdag/engine/schedule"
)

// Deployment is all that a source has live from now on. Git, a pushed archive
// and a directory are sources alike.
type Deployment struct {
	Repo string
	// Scope is what the source says it has read; it comes back with the
	// repository's state.
	Scope  string
	Commit flow.Commit
	// Kept names the projects that stay as they are; what is neither kept nor
	// listed is removed.
	Kept     []string
	Projects []Project
	Rejected []flow.Rejection
	// ScheduleFrom is when new and changed schedules begin: with the first tick
	// whose run time is at or after it. Zero means now; unchanged schedules keep
	// their next tick whatever it is (L46).
	ScheduleFrom time.Time
	// Strict fails with [*flow.NameTaken] for a project whose name another source
	// has, which is otherwise rejected.
	Strict bool
}

// Project is a new or changed project that has passed its checks.
type Project struct {
	Name     string
	Path     string
	Tree     string // hash of its content
	Checkout string
	Revision string
	Commit   flow.Commit
	Content  *dig.Project
	// CatchUp is what its schedules do about missed ticks unless they say so
	// themselves.
	CatchUp flow.CatchUp
	// Archive is what was pushed; nil where nothing was.
	Archive *flow.Archive
	// Keep is how many revisions stay known, this one included; less than 1
	// means 1.
	Keep int
}

// Deploy makes a deployment live: one input, one event, whatever its size. A
// project whose name another source has live is rejected, the others deploy. A
// pushed revision that the project has already is a [*flow.RevisionExists].
func (e *Engine) Deploy(ctx context.Context, d *Deployment) error {
	m, err := e.manifest(d)
	if err != nil {
		return fmt.Errorf("deploy %s: %w", d.Repo, err)
	}
	for {
		if err := e.nameManifest(m); err != nil {
			return fmt.Errorf("deploy %s: %w", d.Repo, err)
		}
		_, err := e.Submit(ctx, &flow.Deploy{Manifest: m})
		var taken *flow.NameTaken
		if d.Strict || !errors.As(err, &taken) {
			return err
		}
		m = withoutTaken(m, taken)
	}
}

// withoutTaken moves a project whose name is taken to the rejected ones.
func withoutTaken(m *flow.Manifest, taken *flow.NameTaken) *flow.Manifest {
	n := &flow.Manifest{Repo: m.Repo, Scope: m.Scope, Commit: m.Commit, Kept: m.Kept, From: m.From, Rejected: m.Rejected}
	for _, p := range m.Projects {
		if p.Name != taken.Project {
			n.Projects = append(n.Projects, p)
			continue
		}
		n.Rejected = append(n.Rejected, flow.Rejection{
			Project: p.Name, Path: p.Path, Commit: p.Commit, Reasons: []string{taken.Error()},
		})
	}
	return n
}

// manifest writes the definitions of a deployment's workflows and returns what
// names them. Few syncs make all of them durable.
func (e *Engine) manifest(d *Deployment) (*flow.Manifest, error) {
	m := &flow.Manifest{
		Repo: d.Repo, Scope: d.Scope, Commit: d.Commit, Kept: d.Kept, From: d.ScheduleFrom.UTC(), Rejected: d.Rejected,
	}
	refs, err := e.putDefinitions(d)
	if err != nil {
		return nil, err
	}
	from := d.ScheduleFrom
	if from.IsZero() {
		m.From, from = time.Time{}, e.now()
	}
	for i := range d.Projects {
		p := &d.Projects[i]
		mp := flow.ManifestProject{
			Name: p.Name, Path: p.Path, Tree: p.Tree, Checkout: p.Checkout, Revision: p.Revision, Commit: p.Commit,
			Archive: p.Archive, Keep: max(p.Keep, 1),
		}
		for _, w := range p.Content.Workflows {
			mp.Workflows = append(mp.Workflows, flow.ManifestWorkflow{
				Name: w.Name, Timezone: w.Timezone, Ref: refs[0], Tasks: len(w.Tree.Nodes),
				Schedule: manifestSchedule(w, p.CatchUp, from),
			})
			refs = refs[1:]
		}
		m.Projects = append(m.Projects, mp)
	}
	return m, nil
}

// putDefinitions keeps trees and definitions, and returns the names of the
// latter in the deployment's order.
func (e *Engine) putDefinitions(d *Deployment) ([]string, error) {
	var workflows []*dig.Workflow
	for i := range d.Projects {
		workflows = append(workflows, d.Projects[i].Content.Workflows...)
	}
	trees := make([][]byte, len(workflows))
	for i, w := range workflows {
		data, err := flow.EncodeTree(w.Tree)
		if err != nil {
			return nil, err
		}
		trees[i] = data
	}
	names, err := e.objects.store.PutAll(trees)
	if err != nil {
		return nil, err
	}
	definitions := make([][]byte, len(workflows))
	for i, w := range workflows {
		if definitions[i], err = encodeDefinition(w, names[i]); err != nil {
			return nil, err
		}
	}
	return e.objects.store.PutAll(definitions)
}

func (e *Engine) nameManifest(m *flow.Manifest) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	m.Ref, err = e.objects.store.Put(data)
	return err
}

// PutObject keeps an archive before the deployment that names it, and returns
// its name once it is durable.
func (e *Engine) PutObject(data []byte) (string, error) { return e.objects.store.Put(data) }

// DeleteProject takes a pushed project away: it is a deployment of its source
// without it. What runs goes on to its end. The error for a project that is not
// live is [ErrNotFound], for one that a repository deploys [*flow.NotPushed].
func (e *Engine) DeleteProject(ctx context.Context, id uint64) error {
	err := fmt.Errorf("project %d: %w", id, ErrNotFound)
	repo := ""
	e.View(func(s *flow.State) {
		p := s.Project(id)
		switch {
		case p == nil:
		case !p.Pushed():
			err = &flow.NotPushed{Project: p.Name, Repo: p.Repo}
		default:
			repo, err = p.Repo, nil
		}
	})
	if err != nil {
		return err
	}
	m := &flow.Manifest{Repo: repo}
	if err := e.nameManifest(m); err != nil {
		return fmt.Errorf("delete project %d: %w", id, err)
	}
	_, err = e.Submit(ctx, &flow.Deploy{Manifest: m, Project: id})
	if errors.Is(err, flow.ErrNoProject) {
		err = fmt.Errorf("project %d: %w", id, ErrNotFound)
	}
	return err
}

// manifestSchedule returns what the core must know of a workflow's schedule,
// which begins at a time.
func manifestSchedule(w *dig.Workflow, catchUp flow.CatchUp, from time.Time) *flow.ManifestSchedule {
	if w.Schedule == nil {
		return nil
	}
	sum := sha256.Sum256(append(params.Encode(w.ScheduleConfig), w.Timezone...))
	s := &flow.ManifestSchedule{
		Hash:    hex.EncodeToString(sum[:16]),
		CatchUp: catchUp, SkipOvertime: w.Schedule.SkipOnOvertime(),
		First: tick(w.Schedule.First(from)),
	}
	s.SkipDelay, _ = w.Schedule.SkipDelayedBy()
	switch w.Schedule.CatchUp() {
	case schedule.CatchUpAll:
		s.CatchUp = flow.CatchUpAll
	case schedule.CatchUpLast:
		s.CatchUp = flow.CatchUpLast
	case schedule.CatchUpNone:
		s.CatchUp = flow.CatchUpNone
	}
	return s
}
