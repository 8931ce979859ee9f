package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Manifest is all that a source has live from now on: its good projects, and
// those that it could not deploy. One object holds it whatever its size.
type Manifest struct {
	// Ref names the object that holds the encoded manifest.
	Ref    string `json:"-"`
	Repo   string
	Scope  string `json:",omitempty"`
	Commit Commit
	// Kept names the projects that stay as they are: unchanged ones, and
	// rejected ones that have a last good revision. What is neither kept nor
	// listed is removed.
	Kept []string `json:",omitempty"`
	// From is when the schedules that it brings or changes begin, for one that
	// said so: ticks from then on that are past are missed ones.
	From     time.Time         `json:",omitzero"`
	Projects []ManifestProject `json:",omitempty"`
	Rejected []Rejection       `json:",omitempty"`
}

// ManifestProject is a new or changed project.
type ManifestProject struct {
	Name      string
	Path      string
	Tree      string
	Checkout  string
	Revision  string
	Commit    Commit
	Workflows []ManifestWorkflow // by name
	// Archive is what was pushed.
	Archive *Archive `json:",omitempty"`
	// Keep is how many revisions of the project stay known, this one included;
	// 0, as in what older versions wrote, means 1.
	Keep int `json:",omitempty"`
}

// ManifestWorkflow is a workflow of a new or changed project.
type ManifestWorkflow struct {
	Name     string
	Timezone string
	Ref      string
	Tasks    int
	Schedule *ManifestSchedule `json:",omitempty"`
}

// ManifestSchedule is a workflow's `schedule:` block.
type ManifestSchedule struct {
	// Hash stands for the definition; a schedule whose hash is unchanged keeps
	// its next time.
	Hash    string
	CatchUp CatchUp
	// SkipOvertime drops a tick while an earlier run goes on, SkipDelay one
	// that is later than so long; 0 for never (language.md 7.5).
	SkipOvertime bool
	SkipDelay    time.Duration
	// First is the first tick from now on; zero if there is none.
	First TickFacts
}

// NameTaken is the error of a manifest with a project whose name belongs to
// another source. The live project keeps the name.
type NameTaken struct{ Project, Repo string }

func (e *NameTaken) Error() string {
	if isPushed(e.Repo) {
		return fmt.Sprintf("project %q was pushed already", e.Project)
	}
	return fmt.Sprintf("project %q is deployed from repository %q already", e.Project, e.Repo)
}

// deploy checks a manifest against what is live and makes it so.
func (st *step) deploy(in *Deploy) error {
	m := in.Manifest
	if p := st.s.projects[in.Project]; in.Project != 0 && (p == nil || p.Repo != m.Repo) {
		return ErrNoProject
	}
	for i := range m.Projects {
		if err := st.s.deployable(m.Repo, &m.Projects[i]); err != nil {
			return err
		}
	}
	var rejected []Rejection
	for i := range m.Rejected {
		if !st.s.knowsRejection(m.Repo, &m.Rejected[i]) {
			rejected = append(rejected, m.Rejected[i])
		}
	}
	c, begin := st.s.last, st.s.beginning(m)
	st.emit(&Deployed{
		At: st.now, Manifest: m, Projects: c.Project + 1, Workflows: c.Workflow + 1,
		Schedules: c.Schedule + 1, Revisions: c.Revision + 1,
	})
	for i := range rejected {
		r := &rejected[i]
		st.raise(Alert{
			Kind: AlertRejected, Incident: "rejected/" + m.Repo + "/" + r.Project,
			Repo: m.Repo, Project: r.Project, Commit: r.Commit, Revision: r.Commit.ID, Details: r.Reasons,
		})
	}
	st.watchSchedules(m, begin)
	return nil
}

// deployable returns an error for a project whose name another source has, or
// that was pushed with a revision that it has already.
func (s *State) deployable(repo string, m *ManifestProject) error {
	p := s.byProject[m.Name]
	switch {
	case p == nil:
	case p.Repo != repo:
		return &NameTaken{Project: m.Name, Repo: p.Repo}
	case p.Pushed() && p.RevisionNamed(m.Revision) != nil:
		return &RevisionExists{Project: p.ID, Revision: m.Revision}
	}
	return nil
}

// schedulePlace is where a manifest has a schedule: indices of the project and
// of the workflow.
type schedulePlace struct{ project, workflow int }

// beginning returns the schedules that begin with a manifest at a time which it
// names: those that it brings or changes.
func (s *State) beginning(m *Manifest) map[schedulePlace]bool {
	begin := map[schedulePlace]bool{}
	if m.From.IsZero() {
		return begin
	}
	for i := range m.Projects {
		p := s.byProject[m.Projects[i].Name]
		for j := range m.Projects[i].Workflows {
			w := &m.Projects[i].Workflows[j]
			if w.Schedule == nil {
				continue
			}
			if p != nil && p.schedules[w.Name] != nil && p.schedules[w.Name].Hash == w.Schedule.Hash {
				continue
			}
			begin[schedulePlace{i, j}] = true
		}
	}
	return begin
}

// knowsRejection tells whether a project was rejected for the same commit
// before: it is reported once.
func (s *State) knowsRejection(repo string, r *Rejection) bool {
	have := s.repos[repo]
	if have == nil {
		return false
	}
	for i := range have.Rejected {
		if have.Rejected[i].Project == r.Project && have.Rejected[i].Commit.ID == r.Commit.ID {
			return true
		}
	}
	return false
}

// watchSchedules arms the timers of what a manifest brought.
func (st *step) watchSchedules(m *Manifest, begin map[schedulePlace]bool) {
	for i := range m.Projects {
		p := st.s.byProject[m.Projects[i].Name]
		for j := range p.Workflows {
			sched := p.schedules[p.Workflows[j].Name]
			if sched == nil {
				continue
			}
			sched.missed = sched.missed || begin[schedulePlace{i, j}] && isDue(sched.Next, st.now)
			st.s.armSchedule(sched)
		}
	}
}

func (s *State) applyDeployed(e *Deployed) {
	m, at := e.Manifest, e.At.time()
	if !isPushed(m.Repo) {
		s.applyRepo(m, at)
	}
	stays := make(map[string]bool, len(m.Kept)+len(m.Projects))
	for _, name := range m.Kept {
		stays[name] = true
	}
	for i := range m.Projects {
		stays[m.Projects[i].Name] = true
	}
	for _, p := range s.of(m.Repo) {
		if !stays[p.Name] {
			s.remove(p, at)
		}
	}
	ids := Counters{Project: e.Projects, Workflow: e.Workflows, Schedule: e.Schedules, Revision: e.Revisions}
	if ids.Revision == 0 {
		ids.Revision = s.last.Revision + 1
	}
	for i := range m.Projects {
		s.applyProject(&m.Projects[i], m.Repo, at, &ids)
	}
	s.last.Project = max(s.last.Project, ids.Project-1)
	s.last.Workflow = max(s.last.Workflow, ids.Workflow-1)
	s.last.Schedule = max(s.last.Schedule, ids.Schedule-1)
	s.last.Revision = max(s.last.Revision, ids.Revision-1)
}

// of returns the projects of a source, in the order of their ids.
func (s *State) of(repo string) []*Project {
	if name, ok := strings.CutPrefix(repo, pushPrefix); ok {
		if p := s.byProject[name]; p != nil && p.Repo == repo {
			return []*Project{p}
		}
		return nil
	}
	return slices.DeleteFunc(s.Projects(), func(p *Project) bool { return p.Repo != repo })
}

// applyRepo notes what a repository has deployed.
func (s *State) applyRepo(m *Manifest, at time.Time) {
	repo := s.repos[m.Repo]
	if repo == nil {
		repo = &Repo{Name: m.Repo}
		s.repos[m.Repo] = repo
	}
	repo.Scope, repo.Commit, repo.At = m.Scope, m.Commit, at
	repo.Rejected = mergeRejections(repo.Rejected, m.Rejected, at)
}

// mergeRejections keeps the time since which a project is rejected.
func mergeRejections(have, now []Rejection, at time.Time) []Rejection {
	var list []Rejection
	for _, r := range now {
		r.Since = at
		for i := range have {
			if have[i].Project == r.Project {
				r.Since = have[i].Since
			}
		}
		list = append(list, r)
	}
	return list
}

// applyProject adds or replaces a project; ids are those to be given out next.
func (s *State) applyProject(m *ManifestProject, repo string, at time.Time, ids *Counters) {
	p := s.byProject[m.Name]
	if p == nil {
		p = &Project{ID: ids.Project, Name: m.Name, CreatedAt: at, schedules: map[string]*Schedule{}}
		ids.Project++
		s.projects[p.ID] = p
		s.byProject[p.Name] = p
	}
	p.Repo, p.Path, p.UpdatedAt = repo, m.Path, at
	r := &Revision{
		ID: ids.Revision, Name: m.Revision, Tree: m.Tree, Checkout: m.Checkout, Commit: m.Commit,
		CreatedAt: at, Archive: m.Archive, Workflows: make([]*Workflow, 0, len(m.Workflows)),
	}
	ids.Revision++
	scheduled := map[string]bool{}
	for i := range m.Workflows {
		mw := &m.Workflows[i]
		w := &Workflow{
			ID: ids.Workflow, Project: p, Name: mw.Name, Revision: m.Revision,
			Timezone: mw.Timezone, Ref: mw.Ref, Tasks: mw.Tasks, revision: r,
		}
		ids.Workflow++
		r.Workflows = append(r.Workflows, w)
		if mw.Schedule != nil {
			scheduled[w.Name] = true
			s.applySchedule(p, w, mw.Schedule, at, ids)
		}
	}
	s.adopt(p, r, m.Keep)
	for name, sched := range p.schedules {
		if !scheduled[name] {
			delete(s.schedule, sched.ID)
			delete(p.schedules, name)
		}
	}
}

func (s *State) applySchedule(p *Project, w *Workflow, m *ManifestSchedule, at time.Time, ids *Counters) {
	sched := p.schedules[w.Name]
	if sched == nil {
		sched = &Schedule{ID: ids.Schedule, Project: p, Workflow: w.Name, CreatedAt: at}
		ids.Schedule++
		s.schedule[sched.ID] = sched
		p.schedules[w.Name] = sched
	}
	sched.CatchUp, sched.SkipOvertime, sched.SkipDelay = m.CatchUp, m.SkipOvertime, m.SkipDelay
	if sched.Hash == m.Hash {
		return
	}
	sched.Hash, sched.Timezone = m.Hash, w.Timezone
	sched.Next, sched.Backlog, sched.Tries = m.First, nil, 0
	sched.UpdatedAt = at
	sched.asked, sched.missed = nil, false
}
