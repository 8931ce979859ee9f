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

	// These step from each text to the next one along its index: many
	// definitions share an object, and many sessions a checkout.
	allRefs = `WITH RECURSIVE step (text) AS (SELECT '' UNION ALL
		SELECT (SELECT ref FROM definition WHERE ref > text ORDER BY ref LIMIT 1) FROM step WHERE text IS NOT NULL)
		SELECT text FROM step WHERE text > ''`
	retryable = `WITH RECURSIVE step (text) AS (SELECT '' UNION ALL
		SELECT (SELECT checkout FROM session WHERE checkout > text ORDER BY checkout LIMIT 1) FROM step WHERE text IS NOT NULL)
		SELECT text FROM step WHERE text > ''`
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
		var text string
		err := scan(&text)
		list = append(list, text)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history index: %w", h.index.failure(err))
	}
	return list, nil
}
