package local

import (
	"context"
	"time"

	"gitdag/engine/flow"
)

// mainAttempt is the attempt of the workflow that was asked for: the first one
// of the process. Others are started by `require>`.
const mainAttempt = 1

// history remembers the attempts of this process, and tells when the main one
// is over. It implements engine.History.
type history runner

// Put takes the record of an attempt.
func (h *history) Put(_ context.Context, record *flow.Record) error {
	r := (*runner)(h)
	r.waitFor(func() {
		r.records[record.Attempt.ID] = record
		if record.Attempt.ID == mainAttempt {
			r.record = record
		}
	})
	return nil
}

// Past returns what this process has run of a session.
func (h *history) Past(_ context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error) {
	r := (*runner)(h)
	r.mu.Lock()
	defer r.mu.Unlock()
	var past *flow.Past
	for _, record := range r.records {
		s := &record.Session
		if s.Project == project && s.Workflow == workflow && s.Time.Equal(session) {
			past = past.With(record)
		}
	}
	return past, nil
}

// Record returns an attempt of this process.
func (h *history) Record(_ context.Context, id uint64) (*flow.Record, error) {
	r := (*runner)(h)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[id], nil
}
