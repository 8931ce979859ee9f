package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"gitdag/engine/flow"
)

// Syncing is how the syncs of a repository are doing.
type Syncing struct {
	Name string
	URL  string
	Ref  string
	Path string
	// Phase is what it does just now.
	Phase string
	// The times are zero for what has not happened.
	LastPoll, LastSuccess, NextPoll time.Time
	// LastError is empty in good health.
	LastError    string
	FailingSince time.Time
	Failures     int // in a row
}

// Status is what an agent is and does, as of Now. NotReady says why Ready is
// false.
type Status struct {
	Version      string       `json:"version"`
	Now          Instant      `json:"now"`
	StartedAt    Instant      `json:"startedAt"`
	Ready        bool         `json:"ready"`
	NotReady     []string     `json:"notReady"`
	DiskFull     bool         `json:"diskFull"`
	Running      Running      `json:"running"`
	Repositories []Repository `json:"repositories"`
	Failing      []Failing    `json:"failing"`
	NextRuns     []Schedule   `json:"nextRuns"`
	Alerts       Alerts       `json:"alerts"`
}

// Running counts what is under way.
type Running struct {
	Attempts int `json:"attempts"`
	Tasks    int `json:"tasks"`
}

// Repository is a repository that the agent follows. Commit is the one that is
// live, since LiveSince; null before the first.
type Repository struct {
	Name         string     `json:"name"`
	URL          string     `json:"url"`
	Ref          string     `json:"ref"`
	Path         string     `json:"path"`
	Commit       *Commit    `json:"commit"`
	LiveSince    Instant    `json:"liveSince" schema:"null"`
	Phase        string     `json:"phase"`
	LastPoll     Instant    `json:"lastPoll" schema:"null"`
	LastSuccess  Instant    `json:"lastSuccess" schema:"null"`
	NextPoll     Instant    `json:"nextPoll" schema:"null"`
	LastError    *string    `json:"lastError"`
	FailingSince Instant    `json:"failingSince" schema:"null"`
	Failures     int        `json:"failures"`
	Projects     int        `json:"projects"`
	Workflows    int        `json:"workflows"`
	Rejected     []Rejected `json:"rejected"`
}

// Commit is a commit of a repository.
type Commit struct {
	ID      string  `json:"id"`
	Author  string  `json:"author"`
	Email   string  `json:"email"`
	Subject string  `json:"subject"`
	Time    Instant `json:"time"`
}

// Rejected is a project that the live commit could not deploy. Live tells that
// its last good revision goes on. Each reason is a line with file, line and
// column.
type Rejected struct {
	Project string   `json:"project"`
	Path    string   `json:"path"`
	Commit  string   `json:"commit"`
	Since   Instant  `json:"since"`
	Live    bool     `json:"live"`
	Reasons []string `json:"reasons"`
}

// Failing is a workflow whose last attempts failed: so many in a row, the first
// of them at Since with Revision.
type Failing struct {
	Project  Named   `json:"project"`
	Workflow Named   `json:"workflow"`
	Failures int     `json:"failures"`
	Since    Instant `json:"since"`
	Revision string  `json:"revision"`
}

// Alerts are those that are not delivered yet.
type Alerts struct {
	Pending   int     `json:"pending"`
	Oldest    Instant `json:"oldest" schema:"null"`
	LastError *string `json:"lastError"`
}

// nextRuns is how many runs a status foretells.
const nextRuns = 10

func (s *server) showStatus(w http.ResponseWriter, r *request) error {
	syncing := s.syncing()
	status := Status{
		Version: s.Version, Now: Instant{s.Now()}, StartedAt: Instant{s.started}, DiskFull: s.Engine.Full(),
		Repositories: make([]Repository, len(syncing)), Failing: []Failing{},
	}
	s.Engine.View(func(state *flow.State) {
		status.NotReady = waitingFor(syncing, state)
		for i := range syncing {
			status.Repositories[i] = repositoryOf(&syncing[i], state)
		}
		status.Running.Tasks = state.Running()
		status.Running.Attempts = state.Active()
		status.Failing = failing(state)
		status.NextRuns = s.next(state)
		status.Alerts = alerts(state)
	})
	status.Ready = len(status.NotReady) == 0
	return writeJSON(w, r.Request, http.StatusOK, status)
}

func (s *server) syncing() []Syncing {
	if s.Repos == nil {
		return nil
	}
	return s.Repos.Syncing()
}

// waitingFor says why an agent is not ready: until each repository has been read
// once it may lack what it is there for. What an earlier run has read counts.
func waitingFor(syncing []Syncing, state *flow.State) []string {
	why := []string{}
	for i := range syncing {
		x := &syncing[i]
		if !x.LastSuccess.IsZero() || liveRepo(state, x.Name).Commit.ID != "" {
			continue
		}
		text := fmt.Sprintf("repository %s has not been read yet", x.Name)
		if x.LastError != "" {
			text += ": " + x.LastError
		}
		why = append(why, text)
	}
	return why
}

// liveRepo returns what is live of a repository; the zero value before its first
// deployment.
func liveRepo(state *flow.State, name string) *flow.Repo {
	for _, r := range state.Repos() {
		if r.Name == name {
			return r
		}
	}
	return &flow.Repo{}
}

func repositoryOf(x *Syncing, state *flow.State) Repository {
	repo := liveRepo(state, x.Name)
	out := Repository{
		Name: x.Name, URL: x.URL, Ref: x.Ref, Path: x.Path, LiveSince: Instant{repo.At},
		Phase: x.Phase, LastPoll: Instant{x.LastPoll}, LastSuccess: Instant{x.LastSuccess}, NextPoll: Instant{x.NextPoll},
		LastError: optional(x.LastError), FailingSince: Instant{x.FailingSince}, Failures: x.Failures,
		Rejected: []Rejected{},
	}
	if c := repo.Commit; c.ID != "" {
		out.Commit = &Commit{ID: c.ID, Author: c.Author, Email: c.Email, Subject: c.Subject, Time: Instant{c.Time}}
	}
	for _, p := range state.Projects() {
		if p.Repo == x.Name {
			out.Projects++
			out.Workflows += len(p.Workflows)
		}
	}
	for i := range repo.Rejected {
		j := &repo.Rejected[i]
		p := state.ProjectNamed(j.Project)
		out.Rejected = append(out.Rejected, Rejected{
			Project: j.Project, Path: j.Path, Commit: j.Commit.ID, Since: Instant{j.Since},
			Live: p != nil && p.Repo == x.Name, Reasons: append([]string{}, j.Reasons...),
		})
	}
	return out
}

// failing lists the live workflows that fail, the one that began last first.
func failing(state *flow.State) []Failing {
	list := []Failing{}
	for _, p := range state.Projects() {
		for _, w := range p.Workflows {
			if h := state.Health(p.ID, w.Name); h.Failures > 0 {
				list = append(list, Failing{
					Project: named(p), Workflow: Named{ID(w.ID), w.Name},
					Failures: h.Failures, Since: Instant{h.Since}, Revision: h.Revision,
				})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Failing) int { return b.Since.Compare(a.Since.Time) })
	return list
}

// next lists the schedules that run next, soonest first.
func (s *server) next(state *flow.State) []Schedule {
	due := slices.DeleteFunc(state.Schedules(), func(x *flow.Schedule) bool {
		return x.Upcoming().Run.IsZero() || !x.Disabled.IsZero()
	})
	slices.SortStableFunc(due, func(a, b *flow.Schedule) int { return a.Upcoming().Run.Compare(b.Upcoming().Run) })
	list := []Schedule{}
	for _, x := range due[:min(nextRuns, len(due))] {
		list = append(list, s.scheduleOf(x))
	}
	return list
}

func alerts(state *flow.State) Alerts {
	pending := state.Alerts()
	out := Alerts{Pending: len(pending)}
	if len(pending) > 0 {
		out.Oldest = Instant{pending[0].RaisedAt}
	}
	for _, p := range pending {
		if p.Why != "" {
			out.LastError = optional(p.Why)
		}
	}
	return out
}

// Synced names the repositories that a sync was asked of.
type Synced struct {
	Repositories []string `json:"repositories"`
}

// syncNow has repositories polled at once; it does not wait for them.
func (s *server) syncNow(w http.ResponseWriter, r *request) error {
	if _, err := r.body(true); err != nil {
		return err
	}
	name := r.query("repo")
	var known []string
	for _, x := range s.syncing() {
		if name == "" || x.Name == name {
			known = append(known, x.Name)
		}
	}
	if len(known) == 0 || !s.Repos.Sync(name) {
		return notFoundf("Resource does not exist: repository name=%s", name)
	}
	return writeJSON(w, r.Request, http.StatusAccepted, Synced{known})
}

// livez tells that the process answers.
func (s *server) livez(w http.ResponseWriter, _ *request) error {
	return writePlain(w, http.StatusOK, "ok")
}

// readyz tells that the agent has recovered, as it has when it answers at all,
// and has read every repository once.
func (s *server) readyz(w http.ResponseWriter, _ *request) error {
	syncing := s.syncing()
	var why []string
	s.Engine.View(func(state *flow.State) { why = waitingFor(syncing, state) })
	if len(why) == 0 {
		return writePlain(w, http.StatusOK, "ok")
	}
	// Without a token nobody is told what the remote said.
	return writePlain(w, http.StatusServiceUnavailable, fmt.Sprintf("%d of %d repositories have not been read yet", len(why), len(syncing)))
}

func writePlain(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", plain)
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text)
	return nil
}
