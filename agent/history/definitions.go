package history

import (
	"context"
	"fmt"
)

// A definition that is not live any more can be started again as an attempt
// that ran it tells, for as long as that attempt is in the history.
const (
	newestRun     = `SELECT head FROM definition d CROSS JOIN attempt a ON a.id = d.last `
	oneDefinition = newestRun + `WHERE d.id = ?`
	ofRevision    = newestRun + `WHERE d.project = ? AND d.revision = ? ORDER BY d.id`
	allRefs       = `SELECT DISTINCT ref FROM definition`

	// retryable are attempts that did not succeed and were not repeated since.
	retryable = `SELECT DISTINCT CAST(a.head AS TEXT) ->> '$.attempt.checkout'
		FROM attempt a INDEXED BY attempt_failure CROSS JOIN session s ON s.id = a.session
		WHERE a.succeeded = 0 AND s.last = a.id`
)

// Definition returns the newest attempt that ran a workflow definition.
func (h *History) Definition(ctx context.Context, id uint64) (Summary, error) {
	s, err := h.one(ctx, oneDefinition, id)
	if err != nil {
		return s, fmt.Errorf("look up workflow definition %d: %w", id, err)
	}
	return s, nil
}

// Revision returns the newest attempt of each definition of a project's
// revision that has been run.
func (h *History) Revision(ctx context.Context, project uint64, revision string) ([]Summary, error) {
	return h.summaries(ctx, ofRevision, project, revision)
}

// Refs returns the objects of all definitions that can be started again.
func (h *History) Refs(ctx context.Context) ([]string, error) {
	return h.texts(ctx, allRefs)
}

// Checkouts returns the checkouts of the attempts that somebody may want to
// retry: those that did not succeed, unless their session has a newer one.
func (h *History) Checkouts(ctx context.Context) ([]string, error) {
	return h.texts(ctx, retryable)
}

func (h *History) texts(ctx context.Context, q string) ([]string, error) {
	var list []string
	err := h.index.read(ctx, q, nil, func(scan func(...any) error) error {
		var text *string
		err := scan(&text)
		if err == nil && text != nil {
			list = append(list, *text)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history index: %w", h.index.failure(err))
	}
	return list, nil
}
