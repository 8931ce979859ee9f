package api

import (
	"net/http"

	"gitdag/engine/flow"
)

func (s *server) sessions(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery(s.PageLimit.Sessions)
	if err != nil {
		return err
	}
	return s.writeSessions(w, r, q)
}

func (s *server) projectSessions(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery(s.PageLimit.Sessions)
	if err != nil {
		return err
	}
	if err := s.withProject(r, func(p *flow.Project) { q.Project = p.ID }); err != nil {
		return err
	}
	q.Workflow = r.query("workflow")
	return s.writeSessions(w, r, q)
}

func (s *server) writeSessions(w http.ResponseWriter, r *request, q Query) error {
	list, err := s.listSessions(r.Context(), q)
	if err != nil {
		return err
	}
	return writeEach(w, r, "sessions", list, s.sessionOf)
}

func (s *server) session(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	found, err := s.findSession(r.Context(), id)
	if err != nil {
		return r.lookUp("session", err)
	}
	return writeJSON(w, r.Request, http.StatusOK, s.sessionOf(found))
}

func (s *server) sessionAttempts(w http.ResponseWriter, r *request) error {
	id, err := r.id()
	if err != nil {
		return err
	}
	q, err := r.listQuery(s.PageLimit.Attempts)
	if err != nil {
		return err
	}
	if _, err := s.findSession(r.Context(), id); err != nil {
		return r.lookUp("session", err)
	}
	list, err := s.attemptsOf(r.Context(), id, q.Before, q.Limit)
	if err != nil {
		return err
	}
	return writeEach(w, r, "attempts", list, s.attemptOf)
}
