package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// StartRequest asks for a new attempt of a workflow. Definition, or Project
// and Workflow, say which.
type StartRequest struct {
	Definition        uint64
	Project, Workflow string
	Session           time.Time
	RetryName         string
	// Params are templates, below every `_export` (L14).
	Params *params.Map
	// Resume, where set, takes tasks over from another attempt.
	Resume *Resume
	// Former is what an attempt tells of Definition, for one that the state keeps
	// no more; nil has [Options.Former] asked.
	Former *flow.AttemptFacts
}

// Resume says what a new attempt takes over from another one: with From what
// stands in front of the task whose full name ends with it, else all that
// succeeded. An unknown attempt has nothing to take over.
type Resume struct {
	Attempt uint64
	From    string
}

// resumed returns the tasks that an attempt of a tree takes over by r.
func (e *Engine) resumed(ctx context.Context, r *Resume, into *flow.Tree) (flow.Value, error) {
	if r == nil {
		return flow.Value{}, nil
	}
	record, err := e.record(ctx, r.Attempt)
	if err != nil || record == nil {
		return flow.Value{}, err
	}
	var set *params.Map
	if r.From != "" {
		set, err = flow.ResumeFrom(record, into, r.From)
	} else {
		set, err = flow.ResumeFailed(record, into)
	}
	if err != nil {
		return flow.Value{}, &ResumeError{err}
	}
	return e.objects.value(set)
}

// ResumeError refuses a start whose Resume asks for what cannot be taken over.
type ResumeError struct{ err error }

func (e *ResumeError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e *ResumeError) Unwrap() error { return e.err }

// record returns an attempt, live or archived; nil if it is unknown.
func (e *Engine) record(ctx context.Context, id uint64) (record *flow.Record, err error) {
	e.View(func(s *flow.State) {
		if a := s.Attempt(id); a != nil {
			record = a.Record()
		}
	})
	if record != nil {
		return record, nil
	}
	return e.options.History.Record(ctx, id)
}

// ErrNotFound is returned for a workflow that is not live.
var ErrNotFound = errors.New("not found")

// StartAttempt starts an attempt and returns its id once that is durable. A
// session that has an attempt of the name is a [*flow.Conflict].
func (e *Engine) StartAttempt(ctx context.Context, r StartRequest) (uint64, error) {
	w, err := e.definitionOf(ctx, &r)
	if err != nil {
		return 0, err
	}
	d, err := e.objects.definition(w.Ref)
	if err != nil {
		return 0, err
	}
	tree, err := e.objects.Tree(d.Tree)
	if err != nil {
		return 0, err
	}
	given := params.NewMap(r.Params.Len() + 2)
	for k, v := range r.Params.All() {
		given.Set(k, v)
	}
	value, err := e.objects.value(sessionParams(d, r.Session, given))
	if err != nil {
		return 0, err
	}
	resume, err := e.resumed(ctx, r.Resume, tree)
	if err != nil {
		return 0, err
	}
	lock := e.sessions.of(w.Project.ID, w.Name, r.Session)
	lock.RLock()
	defer lock.RUnlock()
	past, err := e.options.History.Past(ctx, w.Project.ID, w.Name, r.Session)
	if err != nil {
		return 0, err
	}
	out, err := e.Submit(ctx, &flow.Start{
		Definition: w.ID, Former: r.Former, Tree: tree, UUID: uuid.NewString(), Session: r.Session,
		RetryName: r.RetryName, Params: value, Resume: resume, SLA: d.deadline(e.now()), Past: past,
	})
	if errors.Is(err, flow.ErrNoWorkflow) {
		err = fmt.Errorf("workflow %s of project %s: %w", w.Name, w.Project.Name, ErrNotFound)
	}
	return out.Attempt, err
}

// definitionOf finds the definition that a request means. Former of the request
// is set where only an attempt still knows it, and nil where the state does.
func (e *Engine) definitionOf(ctx context.Context, r *StartRequest) (flow.Workflow, error) {
	w, found := e.kept(r)
	if found {
		r.Former = nil
	} else if r.Definition != 0 {
		if err := e.findFormer(ctx, r); err != nil {
			return w, err
		}
	}
	switch f := r.Former; {
	case w.Project != nil && !w.Project.DeletedAt.IsZero():
	case found:
		return w, nil
	case f != nil:
		w = flow.Workflow{ID: f.Definition, Name: f.Workflow, Ref: f.Ref, Project: &flow.Project{ID: f.Project, Name: f.ProjectName}}
		return w, e.objects.renew(w.Ref)
	}
	name := fmt.Sprintf("%s of project %s", r.Workflow, r.Project)
	if r.Definition != 0 {
		name = fmt.Sprint(r.Definition)
	}
	return w, fmt.Errorf("workflow %s: %w", name, ErrNotFound)
}

// kept returns the definition that a request means, if the state keeps it.
func (e *Engine) kept(r *StartRequest) (w flow.Workflow, ok bool) {
	e.View(func(s *flow.State) {
		found, _ := s.Definition(r.Definition)
		if p := s.ProjectNamed(r.Project); r.Definition == 0 && p != nil {
			found = p.Workflow(r.Workflow)
		}
		if ok = found != nil; ok {
			w = *found
			project := *found.Project
			w.Project = &project
		}
	})
	return w, ok
}

// findFormer completes a request with what an attempt knows of its definition.
func (e *Engine) findFormer(ctx context.Context, r *StartRequest) (err error) {
	if r.Former != nil {
		return nil
	}
	e.View(func(s *flow.State) {
		for a := range s.AttemptsBefore(0) {
			if a.Definition == r.Definition {
				facts := a.AttemptFacts
				r.Former = &facts
				return
			}
		}
	})
	if r.Former == nil && e.options.Former != nil {
		r.Former, err = e.options.Former(ctx, r.Definition)
	}
	return err
}

// Definition reads the definition that a live workflow or an attempt names. The
// error is [fs.ErrNotExist] if it is not kept any more.
func (e *Engine) Definition(ref string) (*Definition, error) { return e.objects.definition(ref) }

// Kill asks for the end of an attempt.
func (e *Engine) Kill(ctx context.Context, attempt uint64) error {
	_, err := e.Submit(ctx, &flow.Kill{Attempt: attempt})
	return err
}
