package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"gitdag/agent/api"
	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
)

// backend is the engine as the API sees it.
type backend struct {
	*engine.Engine
	// present makes sure that the directory of a checkout is there; the error is
	// [fs.ErrNotExist] if that cannot be.
	present func(tree string) error
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
	if err := b.kept(&s); err != nil {
		return 0, err
	}
	id, err := b.StartAttempt(ctx, r)
	if s.Former != nil && errors.Is(err, fs.ErrNotExist) {
		err = gone(s.Former.Revision, s.Former.Workflow)
	}
	return id, apiError(err)
}

// kept tells whether the files of an older revision are still there. Those of
// the live one are seen to by who deploys it.
func (b backend) kept(s *api.Start) error {
	var name, revision, tree string
	if s.Former != nil {
		name, revision, tree = s.Former.Workflow, s.Former.Revision, s.Former.Checkout
	}
	b.View(func(state *flow.State) {
		if w, r := state.Definition(s.Definition); w != nil && state.Workflow(w.ID) == nil {
			name, revision, tree = w.Name, r.Name, r.Checkout
		}
	})
	if tree == "" {
		return nil
	}
	err := b.present(tree)
	if errors.Is(err, fs.ErrNotExist) {
		return gone(revision, name)
	}
	return apiError(err)
}

// gone is the error for a revision whose files are lost.
func gone(revision, workflow string) error {
	return &api.Invalid{Reason: fmt.Errorf("revision %s of workflow %s is not kept any more: start the latest one", revision, workflow)}
}

// Kill asks for the end of an attempt.
func (b backend) Kill(ctx context.Context, attempt uint64) error {
	return apiError(b.Engine.Kill(ctx, attempt))
}

// Backfill adds attempts of past ticks.
func (b backend) Backfill(ctx context.Context, f api.Backfill) (api.Backfilled, error) {
	out, err := b.Engine.Backfill(ctx, engine.Backfill(f))
	return api.Backfilled(out), apiError(err)
}

// Skip moves a schedule on.
func (b backend) Skip(ctx context.Context, s api.Skip) (flow.TickFacts, error) {
	next, err := b.Engine.Skip(ctx, engine.Skip(s))
	return next, apiError(err)
}

// SetSchedule disables a schedule or enables it.
func (b backend) SetSchedule(ctx context.Context, s api.SetSchedule) error {
	return apiError(b.Engine.SetSchedule(ctx, engine.SetSchedule(s)))
}

// apiError adds to an error what the API branches on.
func apiError(err error) error {
	var resume *engine.ResumeError
	var invalid *engine.InvalidError
	switch {
	case errors.As(err, &resume):
		return &api.Invalid{Reason: resume}
	case errors.As(err, &invalid):
		return &api.Invalid{Reason: invalid}
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, history.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, journal.ErrNoSpace), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, engine.ErrNoSpace)
	case errors.Is(err, engine.ErrNoSpace), errors.Is(err, engine.ErrStopped):
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
