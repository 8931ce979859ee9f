package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"gitdag/agent/api"
	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
)

// backend is the engine as the API sees it.
type backend struct {
	*engine.Engine
	// checkout is the directory of a checkout, which may be gone.
	checkout func(tree string) string
}

// Definition reads the definition that a live workflow or an attempt names.
func (b backend) Definition(ref string) (*api.Definition, error) {
	d, err := b.Engine.Definition(ref)
	if err != nil {
		return nil, err
	}
	return &api.Definition{Config: d.Config, Schedule: d.Schedule}, nil
}

// Start starts an attempt.
func (b backend) Start(ctx context.Context, s api.Start) (uint64, error) {
	r := engine.StartRequest{
		Definition: s.Definition, Session: s.Session, RetryName: s.RetryName, Params: s.Params, Former: s.Former,
	}
	if s.Resume != nil {
		r.Resume = &engine.Resume{Attempt: uint64(s.Resume.AttemptID), From: s.Resume.From}
	}
	gone := func() error {
		return &api.Invalid{Reason: fmt.Errorf("revision %s of workflow %s is not kept any more: start the latest one", s.Former.Revision, s.Former.Workflow)}
	}
	if s.Former != nil {
		if _, err := os.Stat(b.checkout(s.Former.Checkout)); errors.Is(err, fs.ErrNotExist) {
			return 0, gone()
		}
	}
	id, err := b.StartAttempt(ctx, r)
	if s.Former != nil && errors.Is(err, fs.ErrNotExist) {
		return 0, gone()
	}
	return id, apiError(err)
}

// Kill asks for the end of an attempt.
func (b backend) Kill(ctx context.Context, attempt uint64) error {
	return apiError(b.Engine.Kill(ctx, attempt))
}

// apiError adds to an error what the API branches on.
func apiError(err error) error {
	var resume *engine.ResumeError
	switch {
	case errors.As(err, &resume):
		return &api.Invalid{Reason: resume}
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, history.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, engine.ErrNoSpace), errors.Is(err, journal.ErrNoSpace), errors.Is(err, engine.ErrStopped):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}

// past is the history as the API sees it.
type past struct{ *history.History }

// Attempt returns an archived attempt without its tasks.
func (p past) Attempt(ctx context.Context, id uint64) (*flow.Record, error) {
	s, err := p.History.Attempt(ctx, id)
	return record(&s), apiError(err)
}

// Session returns the newest archived attempt of a session.
func (p past) Session(ctx context.Context, id uint64) (*flow.Record, error) {
	s, err := p.History.Session(ctx, id)
	return record(&s), apiError(err)
}

// Record returns an archived attempt with its tasks.
func (p past) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	r, err := p.History.Record(ctx, id)
	return r, apiError(err)
}

// Ran returns the newest archived attempt that ran a definition.
func (p past) Ran(ctx context.Context, definition uint64) (*flow.Record, error) {
	s, err := p.History.Definition(ctx, definition)
	return record(&s), apiError(err)
}

// RanOf returns the newest archived attempt of each definition of a revision.
func (p past) RanOf(ctx context.Context, project uint64, revision string) ([]*flow.Record, error) {
	return records(p.History.Revision(ctx, project, revision))
}

// Attempts lists archived attempts.
func (p past) Attempts(ctx context.Context, q api.Query, retried bool) ([]*flow.Record, error) {
	return records(p.History.Attempts(ctx, history.Query(q), retried))
}

// Sessions lists archived sessions.
func (p past) Sessions(ctx context.Context, q api.Query) ([]*flow.Record, error) {
	return records(p.History.Sessions(ctx, history.Query(q)))
}

// SessionAttempts lists the archived attempts of a session.
func (p past) SessionAttempts(ctx context.Context, session, before uint64, limit int) ([]*flow.Record, error) {
	return records(p.History.SessionAttempts(ctx, session, before, limit))
}

func records(list []history.Summary, err error) ([]*flow.Record, error) {
	if err != nil {
		return nil, apiError(err)
	}
	out := make([]*flow.Record, len(list))
	for i := range list {
		out[i] = record(&list[i])
	}
	return out, nil
}

func record(s *history.Summary) *flow.Record {
	return &flow.Record{
		Session: s.Session, Attempt: s.Attempt, Scheduled: s.Attempt.Scheduled != 0,
		CreatedAt: s.CreatedAt, FinishedAt: s.FinishedAt, Killed: s.Killed, Succeeded: s.Succeeded,
	}
}
