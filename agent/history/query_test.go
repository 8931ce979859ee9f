package history

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"gitdag/engine/flow"
)

// mixed is a history with two projects, retries, and a session whose newest
// attempt is older than other sessions' attempts.
func mixed(t testing.TB) *History {
	h, _ := open(t, t.TempDir())
	put(t, h,
		record(1, 1), record(2, 2, of(1, "other")), record(3, 1, retry("a", 2)), record(4, 3, of(2, "report")),
		record(5, 4), record(6, 2, of(1, "other"), retry("b", 2)), record(8, 1, retry("c", 3), failed),
		// This one finished, and was archived, after younger ones.
		record(7, 5, finished(noon.Add(time.Hour))),
	)
	return h
}

func TestLists(t *testing.T) {
	h := mixed(t)
	attempts := func(retried bool) func(context.Context, Query) ([]Summary, error) {
		return func(ctx context.Context, q Query) ([]Summary, error) { return h.Attempts(ctx, q, retried) }
	}
	for _, c := range []struct {
		name string
		list func(context.Context, Query) ([]Summary, error)
		q    Query
		want []uint64
	}{
		{"attempts", attempts(true), Query{}, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"attempts of a project", attempts(true), Query{Project: 1}, []uint64{8, 7, 6, 5, 3, 2, 1}},
		{"attempts of a workflow", attempts(true), Query{Project: 1, Workflow: "other"}, []uint64{6, 2}},
		{"a workflow without project", attempts(true), Query{Workflow: "other"}, []uint64{8, 7, 6, 5, 4, 3, 2, 1}},
		{"newest", attempts(false), Query{}, []uint64{8, 7, 6, 5, 4}},
		{"newest of a project", attempts(false), Query{Project: 1}, []uint64{8, 7, 6, 5}},
		{"newest of a workflow", attempts(false), Query{Project: 1, Workflow: "report"}, []uint64{8, 7, 5}},
		{"newest of nothing", attempts(false), Query{Project: 9}, nil},
		// Sessions 5, 4, 3, 2, 1.
		{"sessions", h.Sessions, Query{}, []uint64{7, 5, 4, 6, 8}},
		{"sessions of a project", h.Sessions, Query{Project: 1}, []uint64{7, 5, 6, 8}},
		{"sessions of a workflow", h.Sessions, Query{Project: 1, Workflow: "report"}, []uint64{7, 5, 8}},
	} {
		q := c.q
		q.Limit = 100
		diff(t, c.name, ids(t)(c.list(t.Context(), q)), c.want)
		if got := ids(t)(c.list(t.Context(), c.q)); got != nil {
			t.Errorf("%s without a limit: got %v, want nothing", c.name, got)
		}
		diff(t, c.name+" page by page", pages(t, c.list, c.q, strings.HasPrefix(c.name, "sessions")), c.want)
	}
}

// pages puts a list together from pages of two.
func pages(t *testing.T, list func(context.Context, Query) ([]Summary, error), q Query, sessions bool) []uint64 {
	t.Helper()
	var got []uint64
	q.Limit = 2
	for {
		page, err := list(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return got
		}
		for i := range page {
			got = append(got, page[i].Attempt.ID)
			q.Before = page[i].Attempt.ID
			if sessions {
				q.Before = page[i].Session.ID
			}
		}
	}
}

func TestPagingOverDeletions(t *testing.T) {
	h := mixed(t)
	page := ids(t)(h.Attempts(t.Context(), Query{Limit: 3}, true))
	diff(t, "first page", page, []uint64{8, 7, 6})
	// What the next page begins behind is gone when it is asked for.
	if _, err := h.expire(t.Context(), dayOf(noon), []gone{{Attempt: 6, Session: wireSession{ID: 2}}, {Attempt: 4, Session: wireSession{ID: 3}}}); err != nil {
		t.Fatal(err)
	}
	diff(t, "second page", ids(t)(h.Attempts(t.Context(), Query{Before: 6, Limit: 3}, true)), []uint64{5, 3, 2})
	// The session shows the attempt that it has left.
	s, err := h.Session(t.Context(), 2)
	if err != nil || s.Attempt.ID != 2 {
		t.Errorf("got attempt %d, %v, want 2", s.Attempt.ID, err)
	}
}

func TestSessionAttempts(t *testing.T) {
	h := mixed(t)
	of := func(before uint64, limit int) []uint64 {
		return ids(t)(h.SessionAttempts(t.Context(), 1, before, limit))
	}
	diff(t, "all", of(0, 9), []uint64{8, 3, 1})
	diff(t, "two", of(0, 2), []uint64{8, 3})
	diff(t, "rest", of(3, 2), []uint64{1})
	diff(t, "none", of(0, -1), []uint64(nil))
	s, err := h.Session(t.Context(), 1)
	if err != nil || s.Attempt.ID != 8 || s.Attempt.RetryName != "c" {
		t.Errorf("got attempt %d %q, %v, want 8", s.Attempt.ID, s.Attempt.RetryName, err)
	}
}

func TestLastSuccessAndUsualDuration(t *testing.T) {
	h, _ := open(t, t.TempDir())
	took := func(d time.Duration) func(*flow.Record) {
		return func(r *flow.Record) { r.CreatedAt = r.FinishedAt.Add(-d) }
	}
	usual := func(want time.Duration, of int) {
		t.Helper()
		d, n, err := h.UsualDuration(t.Context(), 1, "report")
		if d != want || n != of || err != nil {
			t.Errorf("got %v of %d, %v, want %v of %d", d, n, err, want, of)
		}
	}
	put(t, h, record(1, 1, took(time.Second)), record(2, 2, took(4*time.Second)))
	usual(2500*time.Millisecond, 2)
	put(t, h, record(3, 3, took(time.Hour), failed), record(4, 4, took(3*time.Second)), record(5, 5, of(1, "other")))
	usual(3*time.Second, 3)
	for id := uint64(10); id < 30; id++ {
		put(t, h, record(id, id, took(10*time.Second)))
	}
	usual(10*time.Second, 20)

	put(t, h, record(40, 40, finished(noon.Add(-time.Hour))), record(41, 41, failed))
	s, err := h.LastSuccess(t.Context(), 1, "report")
	if err != nil || s.Attempt.ID != 29 {
		t.Errorf("got attempt %d, %v, want 29", s.Attempt.ID, err)
	}
}

// TestNoQueryScans keeps the lists fast without a clock: none may look at more
// rows than it returns, nor sort them.
func TestNoQueryScans(t *testing.T) {
	h, _ := open(t, t.TempDir())
	for _, q := range []string{
		attemptsOfAll, attemptsOfProject, attemptsOfWorkflow, attemptsOfSession,
		newestOfAll, newestOfProject, newestOfWorkflow,
		sessionsOfAll, sessionsOfProject, sessionsOfWorkflow,
		oneAttempt, oneSession, successes, durations, pastAttempts, dueAttempts,
		oneDefinition, ofRevision, allRefs, retryable,
	} {
		plan := explain(t, h.index.reader, q)
		plan = strings.ReplaceAll(plan, "SCAN step", "")         // the answer so far
		plan = strings.ReplaceAll(plan, "SCAN CONSTANT ROW", "") // no table
		if strings.Contains(plan, "SCAN") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s\n%s", q, plan)
		}
	}
}

func explain(t *testing.T, db *sql.DB, q string) string {
	t.Helper()
	args := make([]any, strings.Count(q, "?"))
	if strings.Contains(q, "?1") {
		args = args[:3]
	}
	rows, err := db.Query("EXPLAIN QUERY PLAN "+q, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(detail + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}
