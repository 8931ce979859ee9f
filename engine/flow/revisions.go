package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// graveyard is how many deleted projects stay known.
const graveyard = 1000

// pushPrefix begins the names of the sources of pushed projects.
const pushPrefix = "push:"

// PushedSource is the source of a project that was pushed: it holds that
// project and nothing else. No repository has a name that begins so.
func PushedSource(project string) string { return pushPrefix + project }

// isPushed tells whether a source holds a pushed project.
func isPushed(source string) bool { return strings.HasPrefix(source, pushPrefix) }

// Revision is a project as it was deployed once.
type Revision struct {
	// ID counts the revisions of all projects.
	ID        uint64
	Name      string
	Tree      string
	Checkout  string
	Commit    Commit
	CreatedAt time.Time
	// Archive is what was pushed; nil where nothing was.
	Archive   *Archive
	Workflows []*Workflow // by name
}

// Archive is a pushed archive and what came with it.
type Archive struct {
	// Object is the name under which the bytes are kept, as they came.
	Object string
	MD5    string // base64
	Size   int64
	// UserInfo is a JSON object; it may be empty.
	UserInfo string `json:",omitempty"`
}

// RevisionExists is the error of a push whose revision the project has already.
type RevisionExists struct {
	Project  uint64
	Revision string
}

func (e *RevisionExists) Error() string {
	return fmt.Sprintf("Resource already exists: revision=%s in project id=%d", e.Revision, e.Project)
}

// NotPushed is the error of deleting a project that a repository deploys.
type NotPushed struct{ Project, Repo string }

func (e *NotPushed) Error() string {
	return fmt.Sprintf("project %q is deployed from repository %q: remove it there", e.Project, e.Repo)
}

// Pushed tells whether the project was pushed rather than deployed from a
// repository.
func (p *Project) Pushed() bool { return isPushed(p.Repo) }

// Revisions returns the revisions that are kept, newest first: the first one is
// live, unless the project is deleted.
func (p *Project) Revisions() []*Revision { return p.revisions }

// RevisionNamed returns the kept revision of a name; nil if there is none.
func (p *Project) RevisionNamed(name string) *Revision {
	for _, r := range p.revisions {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Workflow returns the revision's workflow of a name; nil if there is none.
func (r *Revision) Workflow(name string) *Workflow { return workflowNamed(r.Workflows, name) }

// Definition returns the workflow definition of an id and its revision, which
// may be an older one or that of a deleted project; nil if it is not kept.
func (s *State) Definition(id uint64) (*Workflow, *Revision) {
	w := s.definitions[id]
	if w == nil {
		return nil, nil
	}
	return w, w.revision
}

// Deleted returns a deleted project; nil if it was never there, is live, or
// has been forgotten.
func (s *State) Deleted(id uint64) *Project { return s.deleted[id] }

// adopt makes a revision the live one of its project. What is over the number
// that is kept is forgotten, and so is an older revision of the same name.
func (s *State) adopt(p *Project, r *Revision, keep int) {
	kept := []*Revision{r}
	for _, old := range p.revisions {
		if old.Name != r.Name && len(kept) < max(keep, 1) {
			kept = append(kept, old)
			continue
		}
		s.forget(old)
	}
	if len(p.revisions) > 0 {
		r.share(p.revisions[0])
	}
	p.revisions = kept
	p.Tree, p.Checkout, p.Revision, p.Commit = r.Tree, r.Checkout, r.Name, r.Commit
	p.Workflows = r.Workflows
	for _, w := range r.Workflows {
		s.definitions[w.ID] = w
	}
}

// share lets a revision use the strings of the one before it where they are
// equal: most of a project stays as it is.
func (r *Revision) share(old *Revision) {
	for _, w := range r.Workflows {
		o := old.Workflow(w.Name)
		if o == nil {
			continue
		}
		w.Name = o.Name
		if w.Ref == o.Ref {
			w.Ref = o.Ref
		}
		if w.Timezone == o.Timezone {
			w.Timezone = o.Timezone
		}
	}
}

// forget drops the definitions of a revision.
func (s *State) forget(r *Revision) {
	for _, w := range r.Workflows {
		delete(s.definitions, w.ID)
	}
}

// remove takes a project away. Its revisions stay readable for as long as it is
// among the newest that were deleted.
func (s *State) remove(p *Project, at time.Time) {
	for _, sched := range p.schedules {
		delete(s.schedule, sched.ID)
	}
	p.schedules = nil
	delete(s.byProject, p.Name)
	delete(s.projects, p.ID)
	p.DeletedAt = at
	s.bury(p)
}

// bury keeps a deleted project, and forgets the one that was deleted first if
// they are too many.
func (s *State) bury(p *Project) {
	s.deleted[p.ID] = p
	s.graves = append(s.graves, p)
	if len(s.graves) <= graveyard {
		return
	}
	first := s.graves[0]
	s.graves = slices.Delete(s.graves, 0, 1)
	delete(s.deleted, first.ID)
	for _, r := range first.revisions {
		s.forget(r)
	}
}

// isLive tells whether a definition is what its project has live.
func (w *Workflow) isLive() bool {
	p := w.Project
	return p.DeletedAt.IsZero() && len(p.revisions) > 0 && p.revisions[0] == w.revision
}
