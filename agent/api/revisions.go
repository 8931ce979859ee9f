package api

import (
	"net/http"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// revisions lists those that are kept of a project. Their ids are ours, so that
// the list can be paged (Q11).
func (s *server) revisions(w http.ResponseWriter, r *request) error {
	before, size, err := r.page([]string{"page_size", "count"}, 0)
	if err != nil {
		return err
	}
	if r.has("last_id") && before == 0 {
		before = 1 // nothing is older than the first
	}
	list := []Revision{}
	err = s.withProject(r, func(p *flow.Project) {
		if r.has("name") {
			if x := p.RevisionNamed(r.query("name")); x != nil {
				list = append(list, revisionOf(x))
			}
			return
		}
		for _, x := range p.Revisions() {
			if len(list) < size && below(x.ID, before) {
				list = append(list, revisionOf(x))
			}
		}
	})
	if err != nil {
		return err
	}
	return writeList(w, r, "revisions", list)
}

func revisionOf(x *flow.Revision) Revision {
	out := Revision{ID: ID(x.ID), Revision: x.Name, CreatedAt: Instant{x.CreatedAt}, UserInfo: userInfoOf(x)}
	out.ArchiveType, out.ArchiveMD5 = archiveOf(x)
	return out
}

// archiveOf says what is kept of an archive that was pushed, in Digdag's terms.
// What comes from Git is packed when it is asked for and has no sum.
func archiveOf(x *flow.Revision) (kind string, md5 *string) {
	if x == nil || x.Archive == nil {
		return "none", nil
	}
	return "db", optional(x.Archive.MD5)
}

func userInfoOf(x *flow.Revision) *params.Map {
	if x == nil || x.Archive == nil {
		return object(nil)
	}
	v, _ := params.Parse([]byte(x.Archive.UserInfo)) // it was an object when it was kept
	m, _ := v.(*params.Map)
	return object(m)
}

// userInfo tells who pushed the revision that an attempt runs, as long as that
// is kept.
func (s *server) userInfo(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	var info *params.Map
	s.Engine.View(func(state *flow.State) {
		var revision *flow.Revision
		if p := projectAt(state, found.Attempt.Project); p != nil {
			revision = p.RevisionNamed(found.Attempt.Revision)
		}
		info = userInfoOf(revision)
	})
	return writeJSON(w, r.Request, http.StatusOK, info)
}

// projectAt returns a project, live or deleted; nil if it is not known.
func projectAt(state *flow.State, id uint64) *flow.Project {
	if p := state.Project(id); p != nil {
		return p
	}
	return state.Deleted(id)
}
