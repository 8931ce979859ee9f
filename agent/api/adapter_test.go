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
	id, err := s.StartAttempt(ctx, engine.StartRequest{
		Definition: in.Definition, Session: in.Session, RetryName: in.RetryName, Params: in.Params,
	})
	return id, apiError(err)
}

func (s shell) Kill(ctx context.Context, attempt uint64) error {
	return apiError(s.Engine.Kill(ctx, attempt))
}

// archive is a real history as the API sees it.
type archive struct{ *history.History }

func (a archive) Attempt(ctx context.Context, id uint64) (*flow.Record, error) {
	return one(a.History.Attempt(ctx, id))
}

func (a archive) Session(ctx context.Context, id uint64) (*flow.Record, error) {
	return one(a.History.Session(ctx, id))
}

func (a archive) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	r, err := a.History.Record(ctx, id)
	return r, apiError(err)
}

func (a archive) Attempts(ctx context.Context, q api.Query, retried bool) ([]*flow.Record, error) {
	return all(a.History.Attempts(ctx, history.Query(q), retried))
}

func (a archive) Sessions(ctx context.Context, q api.Query) ([]*flow.Record, error) {
	return all(a.History.Sessions(ctx, history.Query(q)))
}

func (a archive) SessionAttempts(ctx context.Context, session, before uint64, limit int) ([]*flow.Record, error) {
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
	switch {
	case errors.Is(err, engine.ErrNotFound), errors.Is(err, history.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, engine.ErrNoSpace), errors.Is(err, engine.ErrStopped):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}
