package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"gitdag/engine/flow"
)

// Query selects a page of a list, newest first.
type Query struct {
	// Project and Workflow narrow the list; 0 and "" do not. A workflow
	// without a project is not looked at.
	Project  uint64
	Workflow string
	// Before asks for ids below it; 0 begins with the newest.
	Before uint64
	// Limit is the size of the page; nothing is listed without one.
	Limit int
}

// The lists. Each is walked along an index in its order, so that a page costs
// what it holds.
const (
	attemptsOfAll      = `SELECT head FROM attempt WHERE id < ? ORDER BY id DESC LIMIT ?`
	attemptsOfProject  = `SELECT head FROM attempt WHERE project = ? AND id < ? ORDER BY id DESC LIMIT ?`
	attemptsOfWorkflow = `SELECT head FROM attempt WHERE project = ? AND workflow = ? AND id < ? ORDER BY id DESC LIMIT ?`
	attemptsOfSession  = `SELECT head FROM attempt WHERE session = ? AND id < ? ORDER BY id DESC LIMIT ?`

	newest           = `SELECT head FROM session s CROSS JOIN attempt a ON a.id = s.last `
	newestOfAll      = newest + `WHERE s.last < ? ORDER BY s.last DESC LIMIT ?`
	newestOfProject  = newest + `WHERE s.project = ? AND s.last < ? ORDER BY s.last DESC LIMIT ?`
	newestOfWorkflow = newest + `WHERE s.project = ? AND s.workflow = ? AND s.last < ? ORDER BY s.last DESC LIMIT ?`

	sessionsOfAll      = newest + `WHERE s.id < ? ORDER BY s.id DESC LIMIT ?`
	sessionsOfProject  = newest + `WHERE s.project = ? AND s.id < ? ORDER BY s.id DESC LIMIT ?`
	sessionsOfWorkflow = newest + `WHERE s.project = ? AND s.workflow = ? AND s.id < ? ORDER BY s.id DESC LIMIT ?`

	oneAttempt = `SELECT head FROM attempt WHERE id = ?`
	oneSession = newest + `WHERE s.id = ?`

	successes = `SELECT head FROM attempt WHERE project = ? AND workflow = ? AND succeeded = 1
		ORDER BY finished DESC, id DESC LIMIT 1`
	durations = `SELECT duration FROM attempt WHERE project = ? AND workflow = ? AND succeeded = 1
		ORDER BY finished DESC, id DESC LIMIT ?`

	pastAttempts = `SELECT s.id, s.uuid, a.id, a.number, a.name FROM session s CROSS JOIN attempt a ON a.session = s.id
		WHERE s.project = ?1 AND s.workflow = ?2 AND s.time = ?3
		UNION ALL SELECT session, uuid, id, number, name FROM expired
		WHERE project = ?1 AND workflow = ?2 AND time = ?3`
)

// Past returns what the history knows of a session: its identity and which
// names are taken, those of expired attempts too. It is nil for a session that
// the history has never seen.
func (h *History) Past(ctx context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error) {
	var past *flow.Past
	args := []any{project, workflow, session.Unix()}
	err := h.index.read(ctx, pastAttempts, args, func(scan func(...any) error) error {
		var id, attempt uint64
		var uuid, name string
		var number int
		if err := scan(&id, &uuid, &attempt, &number, &name); err != nil {
			return err
		}
		if past == nil {
			past = &flow.Past{Names: map[string]uint64{}}
		}
		if attempt > past.LastAttempt {
			past.LastAttempt = attempt
			past.Session = flow.SessionFacts{
				ID: id, UUID: uuid, Project: project, Workflow: workflow, Time: time.Unix(session.Unix(), 0).UTC(),
			}
		}
		past.Index = max(past.Index, number)
		past.Names[name] = max(past.Names[name], attempt)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up a session of workflow %s: %w", workflow, h.index.failure(err))
	}
	return past, nil
}

// Attempt returns an attempt without its tasks.
func (h *History) Attempt(ctx context.Context, id uint64) (Summary, error) {
	s, err := h.one(ctx, oneAttempt, id)
	if err != nil {
		return s, fmt.Errorf("look up attempt %d: %w", id, err)
	}
	return s, nil
}

// Session returns the newest attempt of a session.
func (h *History) Session(ctx context.Context, id uint64) (Summary, error) {
	s, err := h.one(ctx, oneSession, id)
	if err != nil {
		return s, fmt.Errorf("look up session %d: %w", id, err)
	}
	return s, nil
}

// Record returns an attempt with its tasks, as it was put but for two things
// that name what need no longer exist: the reference of its parameters and the
// tree of its SLA.
func (h *History) Record(ctx context.Context, id uint64) (*flow.Record, error) {
	s, err := h.Attempt(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := h.archive.readAttempt(dayOf(s.FinishedAt), id)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("look up the tasks of attempt %d: %w", id, err)
	}
	return r, nil
}

// Attempts lists attempts; with retried all of them, else the newest of each
// session.
func (h *History) Attempts(ctx context.Context, q Query, retried bool) ([]Summary, error) {
	if retried {
		return h.page(ctx, q, attemptsOfAll, attemptsOfProject, attemptsOfWorkflow)
	}
	return h.page(ctx, q, newestOfAll, newestOfProject, newestOfWorkflow)
}

// Sessions lists sessions, each with its newest attempt. Query.Before is the id
// of a session.
func (h *History) Sessions(ctx context.Context, q Query) ([]Summary, error) {
	return h.page(ctx, q, sessionsOfAll, sessionsOfProject, sessionsOfWorkflow)
}

// SessionAttempts lists the attempts of a session, those below an id unless
// that is 0.
func (h *History) SessionAttempts(ctx context.Context, session, before uint64, limit int) ([]Summary, error) {
	return h.summaries(ctx, attemptsOfSession, session, below(before), max(limit, 0))
}

// page runs the query of a list that is narrow enough.
func (h *History) page(ctx context.Context, q Query, all, project, workflow string) ([]Summary, error) {
	switch {
	case q.Limit <= 0:
		return nil, nil
	case q.Project == 0:
		return h.summaries(ctx, all, below(q.Before), q.Limit)
	case q.Workflow == "":
		return h.summaries(ctx, project, q.Project, below(q.Before), q.Limit)
	}
	return h.summaries(ctx, workflow, q.Project, q.Workflow, below(q.Before), q.Limit)
}

func below(id uint64) int64 {
	if id == 0 || id > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(id)
}

// LastSuccess returns the attempt of a workflow that succeeded last, by the
// time at which it finished.
func (h *History) LastSuccess(ctx context.Context, project uint64, workflow string) (Summary, error) {
	s, err := h.one(ctx, successes, project, workflow)
	if err != nil {
		return s, fmt.Errorf("look up the last success of workflow %s: %w", workflow, err)
	}
	return s, nil
}

// usualOf is how many successes the usual duration looks at.
const usualOf = 20

// UsualDuration returns the median of a workflow's last 20 successes, and how
// many of those there are: with few of them it says little.
func (h *History) UsualDuration(ctx context.Context, project uint64, workflow string) (time.Duration, int, error) {
	var list []time.Duration
	args := []any{project, workflow, usualOf}
	err := h.index.read(ctx, durations, args, func(scan func(...any) error) error {
		var ms int64
		err := scan(&ms)
		list = append(list, time.Duration(ms)*time.Millisecond)
		return err
	})
	if err != nil {
		return 0, 0, fmt.Errorf("look up the usual duration of workflow %s: %w", workflow, h.index.failure(err))
	}
	return median(list), len(list), nil
}

func median(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	half := len(list) / 2
	if len(list)%2 == 1 {
		return list[half]
	}
	return (list[half-1] + list[half]) / 2
}

// one returns the only row of an answer.
func (h *History) one(ctx context.Context, q string, args ...any) (Summary, error) {
	list, err := h.summaries(ctx, q, args...)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Summary{}, err
	}
	return list[0], nil
}

func (h *History) summaries(ctx context.Context, q string, args ...any) ([]Summary, error) {
	var list []Summary
	err := h.index.read(ctx, q, args, func(scan func(...any) error) error {
		var head sql.RawBytes
		if err := scan(&head); err != nil {
			return err
		}
		s, err := decodeRow(head)
		list = append(list, s)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history index: %w", h.index.failure(err))
	}
	return list, nil
}
