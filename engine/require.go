package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	project := "Project: " + s.project
	switch {
	case r.Project != "":
		request.Project, project = r.Project, "Project: "+r.Project
	case r.ProjectID != 0:
		request.Project, project = s.e.projectName(r.ProjectID), fmt.Sprintf("Project id: %d", r.ProjectID)
	}
	id, err := whenSpace(ctx, s.e, func() (uint64, error) { return s.start(ctx, request, r.Look) })
	var conflict *flow.Conflict
	switch {
	case err == nil:
		return s.e.ensured(ctx, id, true)
	case errors.As(err, &conflict):
		return s.e.ensured(ctx, conflict.Attempt, false)
	case errors.Is(err, ErrNotFound):
		return operator.Ensured{}, &operator.Error{Message: fmt.Sprintf(
			"Dependent workflow does not exist. %s, workflow: %s", project, r.Workflow)}
	case errors.Is(err, errNoAttemptYet):
		return operator.Ensured{}, nil
	}
	return operator.Ensured{}, err
}

// errNoAttemptYet answers a look for an attempt that there is none.
var errNoAttemptYet = errors.New("the session has no attempt of the name")

// start starts an attempt, or finds the one that there is already: that is a
// [*flow.Conflict]. A look starts none.
func (s taskSessions) start(ctx context.Context, r StartRequest, look bool) (uint64, error) {
	if !look {
		return s.e.StartAttempt(ctx, r)
	}
	w, err := s.e.definitionOf(ctx, &r)
	if err != nil {
		return 0, err
	}
	taken, err := s.e.named(ctx, &w, r.Session, r.RetryName)
	if err == nil && taken == 0 {
		err = errNoAttemptYet
	}
	if err == nil {
		err = &flow.Conflict{Attempt: taken}
	}
	return 0, err
}

// named returns the attempt that a session has for a name; 0 for none.
func (e *Engine) named(ctx context.Context, w *flow.Workflow, session time.Time, name string) (id uint64, err error) {
	lock := e.sessions.of(w.Project.ID, w.Name, session)
	lock.RLock() // it is not archived between the two looks
	defer lock.RUnlock()
	past, err := e.options.History.Past(ctx, w.Project.ID, w.Name, session)
	e.View(func(s *flow.State) { id = s.Taken(w, session, name, past) })
	return id, err
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
