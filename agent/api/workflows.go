package api

import (
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/schedule"
)

// found is a workflow without its configuration, which is read outside of a
// view.
type found struct {
	Workflow
	ref string
	// former tells that it is not live any more.
	former bool
}

func foundOf(w *flow.Workflow) found {
	return found{Workflow: Workflow{
		ID: ID(w.ID), Name: w.Name, Project: named(w.Project), Revision: w.Revision, Timezone: w.Timezone,
	}, ref: w.Ref}
}

// configured reads the configurations of workflows.
func (s *server) configured(list []found) ([]Workflow, error) {
	out := make([]Workflow, len(list))
	for i := range list {
		d, err := s.definition(&list[i])
		if err != nil {
			return nil, err
		}
		out[i] = list[i].Workflow
		out[i].Config = object(d.Config)
	}
	return out, nil
}

// definition reads a workflow's definition. That of a former one may be gone.
func (s *server) definition(f *found) (*Definition, error) {
	d, err := s.Engine.Definition(f.ref)
	if f.former && errors.Is(err, fs.ErrNotExist) {
		return nil, notFoundf("revision %s of workflow %s is not kept any more", f.Revision, f.Name)
	}
	return d, err
}

func (s *server) writeWorkflow(w http.ResponseWriter, r *request, f found) error {
	list, err := s.configured([]found{f})
	if err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, &list[0])
}

// ofProject returns the workflows of the project in the path: those of the live
// revision or of another one; of one that is not kept any more those that have
// run.
func (s *server) ofProject(r *request) ([]found, error) {
	var list []found
	var id uint64
	kept := true
	revision := r.query("revision")
	err := s.withProject(r, func(p *flow.Project) {
		id = p.ID
		workflows := p.Workflows
		if r.has("revision") {
			x := p.RevisionNamed(revision)
			if kept = x != nil; !kept {
				return
			}
			workflows = x.Workflows
		}
		for _, w := range workflows {
			list = append(list, foundOf(w))
		}
	})
	if err != nil || kept {
		return list, err
	}
	if list, err = s.formerRevision(r.Context(), id, revision); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, notFoundf("Resource does not exist: revision name=%s in project id=%d", revision, id)
	}
	return list, nil
}

func (s *server) projectWorkflows(w http.ResponseWriter, r *request) error {
	list, err := s.ofProject(r)
	if err != nil {
		return err
	}
	if r.has("name") {
		list = slices.DeleteFunc(list, func(f found) bool { return f.Name != r.query("name") })
	}
	workflows, err := s.configured(list)
	if err != nil {
		return err
	}
	return writeList(w, r, "workflows", workflows)
}

func (s *server) projectWorkflow(w http.ResponseWriter, r *request) error {
	return s.oneWorkflow(w, r, r.path["name"])
}

// namedWorkflow is the look-up that answers 404.
func (s *server) namedWorkflow(w http.ResponseWriter, r *request) error {
	name, err := r.required("name")
	if err != nil {
		return err
	}
	return s.oneWorkflow(w, r, name)
}

// siteWorkflow is the look-up by the name of the project.
func (s *server) siteWorkflow(w http.ResponseWriter, r *request) error {
	project, err := r.required("project")
	if err != nil {
		return err
	}
	s.Engine.View(func(state *flow.State) {
		if p := state.ProjectNamed(project); p != nil {
			r.path = map[string]string{"id": ID(p.ID).String()}
		}
	})
	if r.path == nil {
		return noProject(project)
	}
	return s.namedWorkflow(w, r)
}

// oneWorkflow answers with the workflow of a name of the project in the path.
func (s *server) oneWorkflow(w http.ResponseWriter, r *request, name string) error {
	list, err := s.ofProject(r)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(list, func(f found) bool { return f.Name == name })
	if i < 0 {
		return notFoundf("Resource does not exist: workflow name=%s in project id=%s", name, r.path["id"])
	}
	return s.writeWorkflow(w, r, list[i])
}

func (s *server) workflows(w http.ResponseWriter, r *request) error {
	edge, size, err := r.page([]string{"count"}, 0)
	if err != nil {
		return err
	}
	order := r.query("order")
	if order != "" && order != "asc" && order != "desc" {
		return badf("parameter 'order' must be either 'asc' or 'desc'")
	}
	pattern, byProject := r.query("name_pattern"), r.flag("search_project_name")
	var list []found
	s.Engine.View(func(state *flow.State) {
		for _, p := range state.Projects() {
			for _, w := range p.Workflows {
				if strings.Contains(w.Name, pattern) || byProject && strings.Contains(p.Name, pattern) {
					list = append(list, foundOf(w))
				}
			}
		}
	})
	slices.SortFunc(list, func(a, b found) int { return int(a.ID) - int(b.ID) })
	if order == "desc" {
		slices.Reverse(list)
	}
	list = slices.DeleteFunc(list, func(f found) bool {
		if order == "desc" {
			return !below(uint64(f.ID), edge)
		}
		return uint64(f.ID) <= edge
	})
	workflows, err := s.configured(list[:min(size, len(list))])
	if err != nil {
		return err
	}
	return writeList(w, r, "workflows", workflows)
}

// findWorkflow returns the workflow definition of the path's id.
func (s *server) findWorkflow(r *request) (found, error) {
	id, err := r.id()
	if err != nil {
		return found{}, err
	}
	var f found
	s.Engine.View(func(state *flow.State) {
		if w, _ := state.Definition(id); w != nil {
			f = foundOf(w)
		}
	})
	if f.ID != 0 {
		return f, nil
	}
	facts, err := s.former(r.Context(), id)
	if err != nil {
		return f, r.lookUp("workflow", err)
	}
	return foundIn(facts), nil
}

func (s *server) workflow(w http.ResponseWriter, r *request) error {
	f, err := s.findWorkflow(r)
	if err != nil {
		return err
	}
	return s.writeWorkflow(w, r, f)
}

func (s *server) truncatedSessionTime(w http.ResponseWriter, r *request) error {
	f, err := s.findWorkflow(r)
	if err != nil {
		return err
	}
	text := r.query("session_time")
	if text == "" {
		return badf("session_time= is required")
	}
	zone := s.zone(f.Timezone)
	t, ok := parseLocalOrInstant(text, zone)
	if !ok {
		return badf("session_time must be an ISO date and time, with an offset or that of the workflow: %q", text)
	}
	d, err := s.definition(&f)
	if err != nil {
		return err
	}
	if t, err = truncate(t, r.query("mode"), zone, d.Schedule); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, SessionTime{
		Project: f.Project, Revision: f.Revision, SessionTime: Local{t.In(zone)}, Timezone: f.Timezone,
	})
}

// truncate moves a time to where a mode puts it (Q10).
func truncate(t time.Time, mode string, zone *time.Location, s *schedule.Schedule) (time.Time, error) {
	t = t.In(zone).Truncate(time.Second)
	switch mode {
	case "", "second":
		return t, nil
	case "minute":
		return t.Add(-time.Duration(t.Second()) * time.Second), nil
	case "hour":
		return schedule.TruncateHour(t, zone), nil
	case "day":
		return schedule.TruncateDay(t, zone), nil
	case "schedule", "next_schedule":
	default:
		return t, badf("mode must be second, minute, hour, day, schedule or next_schedule: %q", mode)
	}
	if s == nil {
		return t, badf("session_time_truncate=%s is set but schedule is not set to this workflow", mode)
	}
	tick, more := s.First(t)
	if mode == "next_schedule" {
		tick, more = nextAfter(s, t)
	}
	if !more {
		tick.Session = schedule.Never
	}
	return tick.Session, nil
}

// nextAfter returns the first tick whose session time is after any instant.
func nextAfter(s *schedule.Schedule, t time.Time) (schedule.Tick, bool) {
	if last, ok := s.Last(t.Add(time.Second)); ok {
		return s.Next(last.Session)
	}
	return s.Next(t)
}
