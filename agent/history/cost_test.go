package history

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"modernc.org/sqlite"

	"gitdag/engine/flow"
)

// visits counts the rows that queries look at: counting adds to a query a
// condition that is true and counts.
var visits atomic.Int64

var countVisits = sync.OnceValue(func() error {
	return sqlite.RegisterScalarFunction("visit", 1, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		visits.Add(1)
		return int64(1), nil
	})
})

// counting returns the query with the condition, which its plan must not show.
func counting(t *testing.T, h *History, q string) string {
	t.Helper()
	id := "id"
	if strings.Contains(q, " session s ") || strings.Contains(q, " definition d ") {
		id = q[strings.Index(q, " CROSS JOIN")-1:][:1] + ".id"
	}
	at := strings.LastIndex(q, "ORDER BY")
	if at < 0 {
		at = len(q)
	}
	counted := q[:at] + " AND visit(" + id + ") " + q[at:]
	if got, want := explain(t, h.index.reader, counted), explain(t, h.index.reader, q); got != want {
		t.Fatalf("counting changes the plan of %s:\n%s\nto\n%s", q, want, got)
	}
	return counted
}

// busy is a history of many attempts: of 7 projects with 3 workflows each, of
// sessions with 1 to 11 attempts, every third of which failed, and of one with
// a tenth of all. Half of the definitions share an object.
func busy(t *testing.T, attempts uint64) *History {
	t.Helper()
	h, _ := open(t, t.TempDir())
	err := h.index.update(t.Context(), func(c change) error {
		for id := uint64(1); id <= attempts; id++ {
			session := max(id-id%11%5, 1)
			if id%10 == 0 {
				session = 1
			}
			r := record(id, session, of(session%7+1, fmt.Sprint("w", session%3)),
				ran(id/2+1, fmt.Sprint("r", id/100), fmt.Sprint("tree-", id%5)))
			r.Attempt.Ref = fmt.Sprint("object-", id/2%2*id)
			r.Succeeded = id%3 != 0
			head, err := headOf(r)
			if err != nil {
				return err
			}
			if err := c.insert(t.Context(), head); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestPagesCostWhatTheyHold goes through every list to its end: no page may
// look at more rows than it returns, wherever it begins.
func TestPagesCostWhatTheyHold(t *testing.T) {
	if err := countVisits(); err != nil {
		t.Fatal(err)
	}
	const attempts, limit = 3000, 50
	h := busy(t, attempts)
	byAttempt := func(s *Summary) uint64 { return s.Attempt.ID }
	bySession := func(s *Summary) uint64 { return s.Session.ID }
	for _, c := range []struct {
		name, q string
		args    []any
		key     func(*Summary) uint64
		least   int // pages
	}{
		{"attempts", attemptsOfAll, nil, byAttempt, attempts / limit},
		{"attempts of a project", attemptsOfProject, []any{2}, byAttempt, 8},
		{"attempts of a workflow", attemptsOfWorkflow, []any{2, "w1"}, byAttempt, 6},
		{"attempts of a session", attemptsOfSession, []any{1}, byAttempt, 6},
		{"newest", newestOfAll, nil, byAttempt, 10},
		{"newest of a project", newestOfProject, []any{2}, byAttempt, 2},
		{"newest of a workflow", newestOfWorkflow, []any{2, "w1"}, byAttempt, 1},
		{"sessions", sessionsOfAll, nil, bySession, 10},
		{"sessions of a project", sessionsOfProject, []any{2}, bySession, 2},
		{"sessions of a workflow", sessionsOfWorkflow, []any{2, "w1"}, bySession, 1},
	} {
		q, before, pages := counting(t, h, c.q), below(0), 0
		for {
			visits.Store(0)
			page, err := h.summaries(t.Context(), q, append(c.args[:len(c.args):len(c.args)], before, limit)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := visits.Load(); got != int64(len(page)) {
				t.Errorf("%s, page %d: looked at %d rows for %d", c.name, pages, got, len(page))
			}
			if len(page) == 0 {
				break
			}
			pages++
			before = int64(c.key(&page[len(page)-1]))
		}
		if pages < c.least {
			t.Errorf("%s: got %d pages, want %d at least", c.name, pages, c.least)
		}
	}
}

// TestLookUpsCostWhatTheyFind is the same for what is no list.
func TestLookUpsCostWhatTheyFind(t *testing.T) {
	if err := countVisits(); err != nil {
		t.Fatal(err)
	}
	h := busy(t, 3000)
	for _, c := range []struct {
		name, q string
		args    []any
	}{
		{"attempt", oneAttempt, []any{1500}},
		{"session", oneSession, []any{1}},
		{"last success", successes, []any{2, "w1"}},
		{"usual duration", durations, []any{2, "w1", usualOf}},
		{"definition", oneDefinition, []any{700}},
		{"revision", ofRevision, []any{2, "r7"}},
		{"expiring", dueAttempts, []any{noon.UnixMilli(), noon.UnixMilli() + 1e9, 10}},
	} {
		q := counting(t, h, c.q)
		visits.Store(0)
		found := 0
		err := h.index.read(t.Context(), q, c.args, func(func(...any) error) error {
			found++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := visits.Load(); got != int64(found) || found == 0 {
			t.Errorf("%s: looked at %d rows for %d", c.name, got, found)
		}
	}
	for _, c := range []struct {
		name, q, in string
		list        func(context.Context) ([]string, error)
		want        int
	}{
		{"objects", allRefs, "ref > text", h.Refs, 751},
		{"checkouts", retryable, "checkout > text", h.Checkouts, 5},
	} {
		q := strings.Replace(c.q, c.in, c.in+" AND visit(id)", 1)
		visits.Store(0)
		list, err := h.texts(t.Context(), q)
		if err != nil || len(list) != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, len(list), err, c.want)
		}
		if got := visits.Load(); got != int64(c.want) {
			t.Errorf("%s: looked at %d rows for %d", c.name, got, c.want)
		}
		if plain, err := c.list(t.Context()); err != nil || len(plain) != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, len(plain), err, c.want)
		}
	}
}

// What may be retried follows the newest attempt, in whatever order attempts
// come and go.
func TestCheckoutsFollowTheNewestAttempt(t *testing.T) {
	h, _ := open(t, t.TempDir())
	check := func(when string, want ...string) {
		t.Helper()
		got, err := h.Checkouts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, when, got, want)
	}
	old := func(r *flow.Record) {
		r.FinishedAt, r.CreatedAt = r.FinishedAt.AddDate(0, 0, 5), r.CreatedAt.AddDate(0, 0, 5)
	}
	put(t, h, record(2, 1, ran(1, "a", "second"), failed, retry("x", 2)))
	check("one that failed", "second")
	put(t, h, record(1, 1, ran(1, "a", "first"), failed, old))
	check("an older one is put later", "second")
	put(t, h, record(3, 1, ran(1, "a", "third"), retry("y", 3)))
	check("the newest succeeded")
	put(t, h, record(2, 1, ran(1, "a", "second"), failed, retry("x", 2)))
	check("one is put again")
	err := h.index.update(t.Context(), func(c change) error { return c.remove(t.Context(), 3) })
	if err != nil {
		t.Fatal(err)
	}
	check("the newest is gone", "second")
	if _, err := h.Expire(t.Context(), Keep{Count: 1}, noon); err != nil {
		t.Fatal(err)
	}
	check("and the next", "first")
}
