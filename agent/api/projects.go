package api

import (
	"net/http"
	"strings"

	"gitdag/engine/flow"
)

// missing is the error for something of an id that there is not.
func (r *request) missing(what string) error {
	return notFoundf("Resource does not exist: %s id=%s", what, r.path["id"])
}

func (s *server) projects(w http.ResponseWriter, r *request) error {
	after, size, err := r.page([]string{"count"}, 0)
	if err != nil {
		return err
	}
	pattern := r.query("name_pattern")
	list := []Project{}
	s.Engine.View(func(state *flow.State) {
		if r.URL.Query().Has("name") {
			if p := state.ProjectNamed(r.query("name")); p != nil {
				list = append(list, projectOf(p))
			}
			return
		}
		for _, p := range state.Projects() {
			if len(list) < size && p.ID > after && strings.Contains(p.Name, pattern) {
				list = append(list, projectOf(p))
			}
		}
	})
	return writeList(w, r, "projects", list)
}

// withProject calls read with the project of the path.
func (s *server) withProject(r *request, read func(*flow.Project)) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	found := false
	s.Engine.View(func(state *flow.State) {
		if p := state.Project(id); p != nil {
			found = true
			read(p)
		}
	})
	if !found {
		return r.missing("project")
	}
	return nil
}

func (s *server) project(w http.ResponseWriter, r *request) error {
	var project Project
	if err := s.withProject(r, func(p *flow.Project) { project = projectOf(p) }); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, project)
}

func (s *server) projectSchedules(w http.ResponseWriter, r *request) error {
	after, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	id, err := r.id()
	if err != nil {
		return err
	}
	list, found := []Schedule{}, false
	s.Engine.View(func(state *flow.State) {
		p := state.Project(id)
		if found = p != nil; !found {
			return
		}
		if r.URL.Query().Has("workflow") {
			if x := p.Schedule(r.query("workflow")); x != nil {
				list = append(list, s.scheduleOf(x))
			}
			return
		}
		for _, x := range state.Schedules() {
			if len(list) < size && x.Project == p && x.ID > after {
				list = append(list, s.scheduleOf(x))
			}
		}
	})
	if !found {
		return r.missing("project")
	}
	return writeList(w, r, "schedules", list)
}

func (s *server) schedules(w http.ResponseWriter, r *request) error {
	after, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	list := []Schedule{}
	s.Engine.View(func(state *flow.State) {
		for _, x := range state.Schedules() {
			if len(list) < size && x.ID > after {
				list = append(list, s.scheduleOf(x))
			}
		}
	})
	return writeList(w, r, "schedules", list)
}

func (s *server) schedule(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	var found *Schedule
	s.Engine.View(func(state *flow.State) {
		if x := state.Schedule(id); x != nil {
			v := s.scheduleOf(x)
			found = &v
		}
	})
	if found == nil {
		return r.missing("schedule")
	}
	return writeJSON(w, r.Request, http.StatusOK, found)
}
