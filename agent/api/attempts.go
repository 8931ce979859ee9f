package api

import (
	"errors"
	"net/http"
	"slices"

	"gitdag/engine/flow"
)

// lookUp says of what there is none.
func (r *request) lookUp(what string, err error) error {
	if unknown(err) {
		return r.missing(what)
	}
	return err
}

// unknown tells whether an error is about something that there is not.
func unknown(err error) bool {
	for _, one := range []error{ErrNotFound, flow.ErrNoSchedule, flow.ErrNoProject} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// listQuery reads what a list of attempts or sessions is asked for.
func (r *request) listQuery(most int) (Query, error) {
	before, size, err := r.page([]string{"page_size"}, most)
	if err == nil && r.has("last_id") && before == 0 {
		before = 1 // nothing is older than the first
	}
	return Query{Before: before, Limit: size}, err
}

func (s *server) attempts(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery(s.PageLimit.Attempts)
	if err != nil {
		return err
	}
	if name := r.query("project"); name != "" {
		s.Engine.View(func(state *flow.State) {
			if p := state.ProjectNamed(name); p != nil {
				q.Project, q.Workflow = p.ID, r.query("workflow")
			}
		})
		if q.Project == 0 {
			return noProject(name)
		}
	}
	list, err := s.listAttempts(r.Context(), q, r.flag("include_retried"))
	if err != nil {
		return err
	}
	return writeEach(w, r, "attempts", list, s.attemptOf)
}

// ofPath returns the attempt of the path's id.
func (s *server) ofPath(r *request) (*flow.Record, error) {
	id, err := r.id()
	if err != nil {
		return nil, err
	}
	found, err := s.findAttempt(r.Context(), id)
	return found, r.lookUp("session attempt", err)
}

func (s *server) attempt(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, s.attemptOf(found))
}

// retries lists all attempts of the session, oldest first.
func (s *server) retries(w http.ResponseWriter, r *request) error {
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	var all []*flow.Record
	for before := uint64(0); ; {
		page, err := s.attemptsOf(r.Context(), found.Session.ID, before, pageSize)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if len(page) < pageSize {
			break
		}
		before = page[len(page)-1].Attempt.ID
	}
	slices.Reverse(all)
	return writeEach(w, r, "attempts", all, s.attemptOf)
}

func (s *server) tasks(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	rows, err := s.rows(r.Context(), id)
	if err != nil {
		return r.lookUp("session attempt", err)
	}
	return writeEach(w, r, "tasks", rows, taskOf)
}

// kill asks for the end of an attempt and answers with its new state (Q7).
func (s *server) kill(w http.ResponseWriter, r *request) error {
	if _, err := r.body(true); err != nil {
		return err
	}
	found, err := s.ofPath(r)
	if err != nil {
		return err
	}
	err = s.Engine.Kill(r.Context(), found.Attempt.ID)
	if errors.Is(err, flow.ErrFinished) || errors.Is(err, flow.ErrNoAttempt) {
		return statusf(http.StatusConflict, "Session attempt already killed or finished")
	}
	if err != nil {
		return err
	}
	if found, err = s.ofPath(r); err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, s.attemptOf(found))
}
