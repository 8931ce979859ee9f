package api

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

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
	begun, err := s.begun(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, r.Request, http.StatusOK, begun)
}

// begun returns an attempt as it began.
func (s *server) begun(ctx context.Context, id uint64) (Attempt, error) {
	found, err := s.findAttempt(ctx, id)
	if err != nil {
		return Attempt{}, err
	}
	found.FinishedAt, found.Succeeded, found.Killed = time.Time{}, false, false
	return s.attemptOf(found), nil
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
	if in.RetryName, err = nameAt(body, "retryAttemptName"); err != nil {
		return in, err
	}
	if in.Resume, err = resumeOf(body); err != nil {
		return in, err
	}
	given, _ := body.Lookup("params")
	if given == false {
		given = object(nil) // Digdag's web page says so where there is no attempt yet
	}
	in.Params, err = paramsOf(given)
	return in, err
}

// paramsOf takes the parameters of an attempt: their texts are templates.
func paramsOf(given any) (*params.Map, error) {
	object, ok := given.(*params.Map)
	if !ok {
		return nil, badf("params must be an object")
	}
	taken, _ := params.AsTemplate(object).(*params.Map)
	return taken, nil
}

const maxName = 255 // characters of the name of an attempt, a revision or a project

// nameAt reads the name of a retry attempt; "" if there is none.
func nameAt(body *params.Map, key string) (string, error) {
	if v, _ := body.Lookup(key); v == nil {
		return "", nil
	}
	name, ok := textAt(body, key)
	switch {
	case !ok:
		return "", badf("%s must be a text", key)
	case name == "":
		return "", badf("%s must not be blank", key)
	case utf8.RuneCountInString(name) > maxName:
		return "", badf("%s must not be longer than %d characters", key, maxName)
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
