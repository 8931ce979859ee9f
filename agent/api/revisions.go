package api

import (
	"net/http"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// revisions lists those that are kept of a project.
func (s *server) revisions(w http.ResponseWriter, r *request) error {
	before, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	list := []Revision{}
	err = s.withProject(r, func(p *flow.Project) {
		for _, x := range revisionsOf(p) {
			switch {
			case r.has("name"):
				if x.Revision == r.query("name") {
					list = append(list, x)
				}
			case len(list) < size && below(uint64(x.ID), before):
				list = append(list, x)
			}
		}
	})
	if err != nil {
		return err
	}
	return writeList(w, r, "revisions", list)
}

// revisionsOf lists the kept revisions of a project, newest first.
func revisionsOf(p *flow.Project) []Revision {
	return []Revision{{
		ID: ID(p.ID), Revision: p.Revision, CreatedAt: Instant{p.UpdatedAt}, ArchiveType: "none", UserInfo: object(nil),
	}}
}

// userInfo tells who pushed the revision that an attempt runs.
func (s *server) userInfo(w http.ResponseWriter, r *request) error {
	if _, err := s.ofPath(r); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, params.NewMap(0))
}
