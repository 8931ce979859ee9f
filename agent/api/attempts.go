package api

import (
	"errors"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// lookUp says of what there is none.
func (r *request) lookUp(what string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return r.missing(what)
	}
	return err
}

// listQuery reads what a list of attempts or sessions is asked for.
func (r *request) listQuery() (Query, error) {
	before, size, err := r.page([]string{"page_size"}, pageSize)
	if err == nil && r.URL.Query().Has("last_id") && before == 0 {
		before = 1 // nothing is older than the first
	}
	return Query{Before: before, Limit: size}, err
}

func (s *server) sessions(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery()
	if err != nil {
		return err
	}
	return s.writeSessions(w, r, q)
}

func (s *server) projectSessions(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery()
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
	q, err := r.listQuery()
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

func (s *server) attempts(w http.ResponseWriter, r *request) error {
	q, err := r.listQuery()
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
			return notFoundf("Resource does not exist: project name=%s", name)
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

// start starts an attempt. The answer is the attempt as it began, whatever has
// become of it since.
func (s *server) start(w http.ResponseWriter, r *request) error {
	in, err := r.startRequest()
	if err != nil {
		return err
	}
	if in.Former, err = s.formerOf(r.Context(), in.Definition); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	id, err := s.Engine.Start(r.Context(), in)
	var conflict *flow.Conflict
	switch {
	case errors.As(err, &conflict):
		found, err := s.findAttempt(r.Context(), conflict.Attempt)
		if err != nil {
			// It has expired, and its name is still taken.
			return statusf(http.StatusConflict, "the session has an attempt of this name already: id=%d", conflict.Attempt)
		}
		return writeJSON(w, r.Request, http.StatusConflict, s.attemptOf(found))
	case errors.Is(err, ErrNotFound):
		return notFoundf("Resource does not exist: workflow id=%d", in.Definition)
	case err != nil:
		return err
	}
	begun, err := s.findAttempt(r.Context(), id)
	if err != nil {
		return err
	}
	begun.FinishedAt, begun.Succeeded, begun.Killed = time.Time{}, false, false
	return writeJSON(w, r.Request, http.StatusOK, s.attemptOf(begun))
}

// startRequest reads the body of a start.
func (r *request) startRequest() (Start, error) {
	var in Start
	body, err := r.body(false)
	if err != nil {
		return in, err
	}
	id, ok := textAt(body, "workflowId")
	if !ok {
		return in, badf("workflowId must be the id of a workflow")
	}
	if in.Definition, err = parseID("workflowId", id); err != nil {
		return in, err
	}
	text, ok := textAt(body, "sessionTime")
	if !ok {
		return in, badf("sessionTime must be an ISO date and time with an offset")
	}
	if in.Session, ok = parseInstant(text); !ok {
		return in, badf("sessionTime must be an ISO date and time with an offset: %q", text)
	}
	if in.RetryName, err = retryName(body); err != nil {
		return in, err
	}
	if in.Resume, err = resumeOf(body); err != nil {
		return in, err
	}
	given, _ := body.Lookup("params")
	object, ok := given.(*params.Map)
	if !ok {
		return in, badf("params must be an object")
	}
	in.Params, _ = params.AsTemplate(object).(*params.Map)
	return in, nil
}

const maxName = 255 // characters of a retry attempt name

func retryName(body *params.Map) (string, error) {
	if v, _ := body.Lookup("retryAttemptName"); v == nil {
		return "", nil
	}
	name, ok := textAt(body, "retryAttemptName")
	switch {
	case !ok:
		return "", badf("retryAttemptName must be a text")
	case name == "":
		return "", badf("retryAttemptName must not be blank")
	case utf8.RuneCountInString(name) > maxName:
		return "", badf("retryAttemptName must not be longer than %d characters", maxName)
	}
	return name, nil
}

// resumeOf reads what is to be taken over; nil for nothing.
func resumeOf(body *params.Map) (*Resume, error) {
	v, _ := body.Lookup("resume")
	if v == nil {
		return nil, nil
	}
	m, ok := v.(*params.Map)
	if !ok {
		return nil, badf("resume must be an object")
	}
	text, ok := textAt(m, "attemptId")
	if !ok {
		return nil, badf("resume.attemptId must be the id of an attempt")
	}
	id, err := parseID("resume.attemptId", text)
	if err != nil {
		return nil, err
	}
	mode, _ := textAt(m, "mode")
	in := &Resume{Mode: mode, AttemptID: ID(id)}
	switch mode {
	case ResumeFailed:
	case ResumeFrom:
		if in.From, _ = textAt(m, "from"); in.From == "" {
			return nil, badf("resume.from must be the name of a task, or its end")
		}
	default:
		return nil, badf("resume.mode must be failed or from: %q", mode)
	}
	return in, nil
}

// textAt reads a text, or a number as a text.
func textAt(m *params.Map, key string) (string, bool) {
	switch v, _ := m.Lookup(key); v := v.(type) {
	case string:
		return v, true
	case params.Number:
		return string(v), true
	}
	return "", false
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
