package api

import (
	"net/http"
	"strings"
	"time"

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
		if r.has("name") {
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
	return s.inProject(r, func(_ *flow.State, p *flow.Project) { read(p) })
}

// inProject calls read with the state and the project of the path.
func (s *server) inProject(r *request, read func(*flow.State, *flow.Project)) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	s.Engine.View(func(state *flow.State) {
		if p := state.Project(id); p != nil {
			read(state, p)
			return
		}
		err = r.missing("project")
		if p := state.Deleted(id); p != nil {
			err = notFoundf("Project id=%d is already deleted at %s", id, p.DeletedAt.UTC().Format(time.RFC3339))
		}
	})
	return err
}

func (s *server) project(w http.ResponseWriter, r *request) error {
	var project Project
	if err := s.withProject(r, func(p *flow.Project) { project = projectOf(p) }); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, project)
}

// namedProject is the look-up that answers 404.
func (s *server) namedProject(w http.ResponseWriter, r *request) error {
	name, err := r.required("name")
	if err != nil {
		return err
	}
	var project *Project
	s.Engine.View(func(state *flow.State) {
		if p := state.ProjectNamed(name); p != nil {
			found := projectOf(p)
			project = &found
		}
	})
	if project == nil {
		return noProject(name)
	}
	return writeJSON(w, r.Request, http.StatusOK, project)
}

func noProject(name string) error {
	return notFoundf("Resource does not exist: project name=%s", name)
}
