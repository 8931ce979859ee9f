package engine

import (
	"context"
	"errors"
	"fmt"

	"gitdag/engine/flow"
	"gitdag/engine/operator"
)

// taskSessions lets a task start attempts of other workflows. It implements
// [operator.Sessions].
type taskSessions struct {
	e       *Engine
	project string // the task's own
}

// Ensure starts an attempt for a requirement unless there is one.
func (s taskSessions) Ensure(ctx context.Context, r operator.Requirement) (operator.Ensured, error) {
	request := StartRequest{
		Project: s.project, Workflow: r.Workflow, Session: r.Session, RetryName: r.RetryName, Params: r.Params,
	}
	switch {
	case r.Project != "":
		request.Project = r.Project
	case r.ProjectID != 0:
		request.Project = s.e.projectName(r.ProjectID)
	}
	id, err := s.e.StartAttempt(ctx, request)
	var conflict *flow.Conflict
	switch {
	case err == nil:
		return s.e.ensured(ctx, id, true)
	case errors.As(err, &conflict):
		return s.e.ensured(ctx, conflict.Attempt, false)
	case errors.Is(err, ErrNotFound):
		return operator.Ensured{}, &operator.Error{Message: fmt.Sprintf(
			"Dependent workflow does not exist. Project: %s, workflow: %s", request.Project, r.Workflow)}
	}
	return operator.Ensured{}, err
}

// ensured tells how an attempt is.
func (e *Engine) ensured(ctx context.Context, id uint64, started bool) (operator.Ensured, error) {
	out := operator.Ensured{Attempt: id, Started: started}
	found := false
	e.View(func(s *flow.State) {
		if a := s.Attempt(id); a != nil {
			found = true
			out.Session, out.Done, out.Success = a.Session.ID, a.Done, a.Succeeded
		}
	})
	if found {
		return out, nil
	}
	r, err := e.options.History.Record(ctx, id)
	if err != nil {
		return out, err
	}
	if r == nil {
		return out, fmt.Errorf("attempt %d is not known any more", id)
	}
	out.Session, out.Done, out.Success = r.Session.ID, true, r.Succeeded
	return out, nil
}

func (e *Engine) projectName(id uint64) (name string) {
	e.View(func(s *flow.State) {
		if p := s.Project(id); p != nil {
			name = p.Name
		}
	})
	return name
}
