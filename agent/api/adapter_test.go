package api_test

import (
	"context"
	"errors"
	"fmt"

	"gitdag/agent/api"
	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/flow"
)

// shell is a real engine as the API sees it.
type shell struct{ *engine.Engine }

func (s shell) Definition(ref string) (*api.Definition, error) {
	d, err := s.Engine.Definition(ref)
	if err != nil {
		return nil, err
	}
	return &api.Definition{Config: d.Config, Schedule: d.Schedule}, nil
}

func (s shell) Start(ctx context.Context, in api.Start) (uint64, error) {
	r := engine.StartRequest{
		Definition: in.Definition, Session: in.Session, RetryName: in.RetryName, Params: in.Params, Former: in.Former,
	}
	if in.Resume != nil {
		r.Resume = &engine.Resume{Attempt: uint64(in.Resume.AttemptID), From: in.Resume.From}
	}
	id, err := s.StartAttempt(ctx, r)
	return id, apiError(err)
}

func (s shell) Kill(ctx context.Context, attempt uint64) error {
	return apiError(s.Engine.Kill(ctx, attempt))
}

// records is a real history as the engine sees it.
type records struct{ *history.History }

func (r records) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	found, err := r.History.Record(ctx, id)
	if errors.Is(err, history.ErrNotFound) {
		return nil, nil
	}
	return found, err
}

// past is a real history as the API sees it.
type past struct{ *history.History }

func (a past) Attempt(ctx context.Context, id uint64) (*flow.Record, error) {
	return one(a.History.Attempt(ctx, id))
}

func (a past) Session(ctx context.Context, id uint64) (*flow.Record, error) {
	return one(a.History.Session(ctx, id))
}

func (a past) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	r, err := a.History.Record(ctx, id)
	return r, apiError(err)
}

func (a past) Ran(ctx context.Context, definition uint64) (*flow.Record, error) {
	return one(a.History.Definition(ctx, definition))
}

func (a past) RanOf(ctx context.Context, project uint64, revision string) ([]*flow.Record, error) {
	return all(a.History.Revision(ctx, project, revision))
}

func (a past) Attempts(ctx context.Context, q api.Query, retried bool) ([]*flow.Record, error) {
	return all(a.History.Attempts(ctx, history.Query(q), retried))
}

func (a past) Sessions(ctx context.Context, q api.Query) ([]*flow.Record, error) {
	return all(a.History.Sessions(ctx, history.Query(q)))
}

func (a past) SessionAttempts(ctx context.Context, session, before uint64, limit int) ([]*flow.Record, error) {
	return all(a.History.SessionAttempts(ctx, session, before, limit))
}

func one(s history.Summary, err error) (*flow.Record, error) {
	if err != nil {
		return nil, apiError(err)
	}
	return &flow.Record{
		Session: s.Session, Attempt: s.Attempt, Scheduled: s.Attempt.Scheduled != 0,
		CreatedAt: s.CreatedAt, FinishedAt: s.FinishedAt, Killed: s.Killed, Succeeded: s.Succeeded,
	}, nil
}

func all(list []history.Summary, err error) ([]*flow.Record, error) {
	records := make([]*flow.Record, len(list))
	for i := range list {
		records[i], _ = one(list[i], nil)
	}
	return records, apiError(err)
}

// apiError says of an error what it means to the API.
func apiError(err error) error {
	var resume *engine.ResumeError
	var invalid *engine.InvalidError
	switch {
	case errors.As(err, &resume), errors.As(err, &invalid):
		return &api.Invalid{Reason: err}
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, history.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, engine.ErrNoSpace), errors.Is(err, engine.ErrStopped):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}
