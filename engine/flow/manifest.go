package flow

import (
	"fmt"
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
	Kept     []string          `json:",omitempty"`
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
	return fmt.Sprintf("project %q is deployed from repository %q already", e.Project, e.Repo)
}

// deploy checks a manifest against what is live and makes it so.
func (st *step) deploy(m *Manifest) error {
	for i := range m.Projects {
		name := m.Projects[i].Name
		if p := st.s.byProject[name]; p != nil && p.Repo != m.Repo {
			return &NameTaken{Project: name, Repo: p.Repo}
		}
	}
	var rejected []Rejection
	for i := range m.Rejected {
		if !st.s.knowsRejection(m.Repo, &m.Rejected[i]) {
			rejected = append(rejected, m.Rejected[i])
		}
	}
	c := st.s.last
	st.emit(&Deployed{
		At: st.now, Manifest: m,
		Projects: c.Project + 1, Workflows: c.Workflow + 1, Schedules: c.Schedule + 1,
	})
	for i := range rejected {
		r := &rejected[i]
		st.raise(Alert{
			Kind: AlertRejected, Incident: "rejected/" + m.Repo + "/" + r.Project,
			Repo: m.Repo, Project: r.Project, Commit: r.Commit, Revision: r.Commit.ID, Details: r.Reasons,
		})
	}
	st.watchSchedules(m)
	return nil
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
func (st *step) watchSchedules(m *Manifest) {
	for i := range m.Projects {
		p := st.s.byProject[m.Projects[i].Name]
		for _, w := range p.Workflows {
			if sched := p.schedules[w.Name]; sched != nil {
				st.s.armSchedule(sched)
			}
		}
	}
}

func (s *State) applyDeployed(e *Deployed) {
	m, at := e.Manifest, e.At.time()
	repo := s.repos[m.Repo]
	if repo == nil {
		repo = &Repo{Name: m.Repo}
		s.repos[m.Repo] = repo
	}
	repo.Scope, repo.Commit, repo.At = m.Scope, m.Commit, at
	repo.Rejected = mergeRejections(repo.Rejected, m.Rejected, at)

	stays := make(map[string]bool, len(m.Kept)+len(m.Projects))
	for _, name := range m.Kept {
		stays[name] = true
	}
	for i := range m.Projects {
		stays[m.Projects[i].Name] = true
	}
	for _, p := range s.Projects() {
		if p.Repo == m.Repo && !stays[p.Name] {
			s.removeProject(p)
		}
	}
	ids := Counters{Project: e.Projects, Workflow: e.Workflows, Schedule: e.Schedules}
	for i := range m.Projects {
		s.applyProject(&m.Projects[i], m.Repo, at, &ids)
	}
	s.last.Project = max(s.last.Project, ids.Project-1)
	s.last.Workflow = max(s.last.Workflow, ids.Workflow-1)
	s.last.Schedule = max(s.last.Schedule, ids.Schedule-1)
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
	for _, w := range p.Workflows {
		delete(s.byWorkflow, w.ID)
	}
	p.Repo, p.Path, p.Tree, p.Checkout = repo, m.Path, m.Tree, m.Checkout
	p.Revision, p.Commit, p.UpdatedAt = m.Revision, m.Commit, at
	p.Workflows = make([]*Workflow, 0, len(m.Workflows))
	scheduled := map[string]bool{}
	for i := range m.Workflows {
		mw := &m.Workflows[i]
		w := &Workflow{
			ID: ids.Workflow, Project: p, Name: mw.Name, Revision: m.Revision,
			Timezone: mw.Timezone, Ref: mw.Ref, Tasks: mw.Tasks,
		}
		ids.Workflow++
		p.Workflows = append(p.Workflows, w)
		s.byWorkflow[w.ID] = w
		if mw.Schedule != nil {
			scheduled[w.Name] = true
			s.applySchedule(p, w, mw.Schedule, at, ids)
		}
	}
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
	sched.Next, sched.Backlog = m.First, nil
	sched.UpdatedAt = at
	sched.asked, sched.missed = nil, false
}

func (s *State) removeProject(p *Project) {
	for _, sched := range p.schedules {
		delete(s.schedule, sched.ID)
	}
	for _, w := range p.Workflows {
		delete(s.byWorkflow, w.ID)
	}
	delete(s.byProject, p.Name)
	delete(s.projects, p.ID)
}
