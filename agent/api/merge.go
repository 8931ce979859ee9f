package api

import (
	"context"
	"errors"
	"slices"
	"time"

	"gitdag/engine/flow"
)

// Attempts leave the state some time after they are over, and are in the
// history before they leave. So whoever wants both looks at the state first:
// what leaves it meanwhile is found twice, never not at all.

// live returns a live attempt as if it came from the history, without tasks.
func live(a *flow.Attempt) *flow.Record {
	return &flow.Record{
		Session: a.Session.SessionFacts, Attempt: a.AttemptFacts, Scheduled: a.Scheduled != 0,
		CreatedAt: a.CreatedAt, FinishedAt: a.FinishedAt, Killed: a.Killed, Succeeded: a.Succeeded,
	}
}

// newest returns the newest live attempt of a session, nil if it has none.
func newest(x *flow.Session) *flow.Record {
	if a := newestOf(x); a != nil {
		return live(a)
	}
	return nil
}

func newestOf(x *flow.Session) (newest *flow.Attempt) {
	for _, a := range x.Attempts() {
		if newest == nil || a.ID > newest.ID {
			newest = a
		}
	}
	return newest
}

func attemptID(r *flow.Record) uint64 { return r.Attempt.ID }
func sessionID(r *flow.Record) uint64 { return r.Session.ID }

// findAttempt returns an attempt without tasks.
func (s *server) findAttempt(ctx context.Context, id uint64) (*flow.Record, error) {
	var found *flow.Record
	s.Engine.View(func(state *flow.State) {
		if a := state.Attempt(id); a != nil {
			found = live(a)
		}
	})
	if found != nil {
		return found, nil
	}
	return s.History.Attempt(ctx, id)
}

// findSession returns the newest attempt of a session.
func (s *server) findSession(ctx context.Context, id uint64) (*flow.Record, error) {
	var found *flow.Record
	s.Engine.View(func(state *flow.State) {
		if x := state.Session(id); x != nil {
			found = newest(x)
		}
	})
	past, err := s.History.Session(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound) && found != nil:
		return found, nil
	case err != nil:
		return nil, err
	case found != nil && found.Attempt.ID > past.Attempt.ID:
		return found, nil
	}
	return past, nil
}

// listAttempts returns a page of attempts, all of them or the newest of each
// session.
func (s *server) listAttempts(ctx context.Context, q Query, retried bool) ([]*flow.Record, error) {
	if !retried {
		return s.listNewest(ctx, q)
	}
	var lives []*flow.Record
	s.Engine.View(func(state *flow.State) {
		for a := range state.AttemptsBefore(q.Before) {
			if len(lives) == q.Limit {
				return
			}
			if q.covers(a.Session) {
				lives = append(lives, live(a))
			}
		}
	})
	past, err := s.History.Attempts(ctx, q, true)
	if err != nil {
		return nil, err
	}
	return merge(lives, past, attemptID, q.Limit), nil
}

// listNewest lists the newest attempt of each session. One that is newest among
// the live ones or the archived ones alone does not count.
func (s *server) listNewest(ctx context.Context, q Query) ([]*flow.Record, error) {
	var first []*flow.Record
	last := map[uint64]uint64{}
	s.Engine.View(func(state *flow.State) {
		for a := range state.AttemptsBefore(0) {
			// What is over of a session whose first attempt lives came after that.
			if a.Index > 1 && newestOf(a.Session) == a && q.covers(a.Session) {
				last[a.Session.ID] = a.ID
			}
		}
		first = newestBefore(state, q)
	})
	lives, err := s.unsurpassed(ctx, first, q)
	if err != nil {
		return nil, err
	}
	var past []*flow.Record
	for next := q; ; {
		page, err := s.History.Attempts(ctx, next, false)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if last[r.Session.ID] <= r.Attempt.ID {
				past = append(past, r)
			}
		}
		if len(page) < q.Limit || len(past) >= q.Limit || q.Limit == 0 {
			return merge(lives, past, attemptID, q.Limit), nil
		}
		next.Before = page[len(page)-1].Attempt.ID
	}
}

// newestBefore returns a page of live attempts that are the newest live ones of
// their sessions.
func newestBefore(state *flow.State, q Query) (page []*flow.Record) {
	for a := range state.AttemptsBefore(q.Before) {
		if len(page) == q.Limit {
			break
		}
		if newestOf(a.Session) == a && q.covers(a.Session) {
			page = append(page, live(a))
		}
	}
	return page
}

// unsurpassed returns the page's share of the newest live attempts, without
// those whose session has a newer one that is over. The page begins with first;
// where that does not fill it, the live ones below come next.
func (s *server) unsurpassed(ctx context.Context, first []*flow.Record, q Query) (kept []*flow.Record, err error) {
	for page := first; ; {
		for _, r := range page {
			if len(kept) == q.Limit {
				break
			}
			past, err := s.History.Session(ctx, r.Session.ID)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}
			if err != nil || past.Attempt.ID <= r.Attempt.ID {
				kept = append(kept, r)
			}
		}
		if len(page) < q.Limit || len(kept) == q.Limit {
			return kept, nil
		}
		q.Before = page[len(page)-1].Attempt.ID
		s.Engine.View(func(state *flow.State) { page = newestBefore(state, q) })
	}
}

// listSessions returns a page of sessions, each by its newest attempt.
func (s *server) listSessions(ctx context.Context, q Query) ([]*flow.Record, error) {
	var lives []*flow.Record
	s.Engine.View(func(state *flow.State) {
		for x := range state.SessionsBefore(q.Before) {
			if len(lives) == q.Limit {
				return
			}
			if r := newest(x); r != nil && q.covers(x) {
				lives = append(lives, r)
			}
		}
	})
	past, err := s.History.Sessions(ctx, q)
	if err != nil {
		return nil, err
	}
	return merge(lives, past, sessionID, q.Limit), nil
}

// attemptsOf returns a page of a session's attempts.
func (s *server) attemptsOf(ctx context.Context, session, before uint64, limit int) ([]*flow.Record, error) {
	var lives []*flow.Record
	s.Engine.View(func(state *flow.State) {
		x := state.Session(session)
		if x == nil {
			return
		}
		for _, a := range x.Attempts() {
			if below(a.ID, before) {
				lives = append(lives, live(a))
			}
		}
	})
	slices.SortFunc(lives, func(a, b *flow.Record) int { return int(b.Attempt.ID) - int(a.Attempt.ID) })
	past, err := s.History.SessionAttempts(ctx, session, before, limit)
	if err != nil {
		return nil, err
	}
	return merge(lives, past, attemptID, limit), nil
}

// rows returns the tasks of an attempt in the order of their ids. Those of a
// large live one are taken in several looks, which hold up nobody else.
func (s *server) rows(ctx context.Context, id uint64) ([]flow.Row, error) {
	const perLook = 4096
	var rows []flow.Row
	for after, more := uint64(0), true; more; {
		gone := false
		more = false
		s.Engine.View(func(state *flow.State) {
			a := state.Attempt(id)
			if a == nil {
				gone = true
				return
			}
			taken := 0
			for t := range a.Tasks {
				if t.ID() <= after {
					continue
				}
				if more = taken == perLook; more {
					return
				}
				rows = append(rows, t.Row())
				after = t.ID()
				taken++
			}
		})
		if gone {
			r, err := s.History.Record(ctx, id)
			if err != nil {
				return nil, err
			}
			return r.Tasks, nil
		}
	}
	return rows, nil
}

// covers tells whether a session belongs into a list.
func (q Query) covers(x *flow.Session) bool {
	return q.Project == 0 || q.Project == x.Project && (q.Workflow == "" || q.Workflow == x.Workflow)
}

// below tells whether an id belongs on a page that begins below another; 0
// begins with the newest.
func below(id, before uint64) bool { return before == 0 || id < before }

// merge joins two lists in descending order of a key. Of two with one key the
// newer attempt counts.
func merge(a, b []*flow.Record, key func(*flow.Record) uint64, limit int) []*flow.Record {
	list := make([]*flow.Record, 0, min(limit, len(a)+len(b)))
	for len(list) < limit && len(a)+len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && key(a[0]) > key(b[0]):
			list, a = append(list, a[0]), a[1:]
		case len(a) == 0 || key(a[0]) < key(b[0]):
			list, b = append(list, b[0]), b[1:]
		default:
			both := a[0]
			if b[0].Attempt.ID > both.Attempt.ID {
				both = b[0]
			}
			list, a, b = append(list, both), a[1:], b[1:]
		}
	}
	return list
}

// done tells whether an attempt is over.
func done(r *flow.Record) bool { return !r.FinishedAt.IsZero() }

// status is the derived state of an attempt.
func status(r *flow.Record) string {
	switch {
	case !done(r):
		return "running"
	case r.Succeeded:
		return "success"
	case r.Killed:
		return "killed"
	}
	return "error"
}

// inZone gives a time the offset of a zone.
func (s *server) inZone(t time.Time, zone string) Local {
	if t.IsZero() {
		return Local{}
	}
	return Local{t.In(s.zone(zone))}
}
