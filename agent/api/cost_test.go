package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// ledger is a history of very many attempts, each of a session of its own, that
// counts what it is asked for.
type ledger struct {
	nothing
	from, to    uint64 // ids
	calls, rows int
}

func (l *ledger) at(id uint64) *flow.Record {
	now := time.Date(2031, 4, 5, 9, 0, 0, 0, time.UTC)
	return &flow.Record{
		Session:   flow.SessionFacts{ID: id, UUID: "x", Project: 1, Workflow: "ferry", Time: now},
		Attempt:   flow.AttemptFacts{ID: id, Index: 1, Project: 1, ProjectName: "quay", Workflow: "ferry", Definition: 1, Timezone: "UTC"},
		CreatedAt: now, FinishedAt: now, Succeeded: true,
	}
}

func (l *ledger) page(q Query) (list []*flow.Record, err error) {
	l.calls++
	next := l.to
	if q.Before != 0 {
		next = min(l.to, q.Before-1)
	}
	for ; next >= l.from && len(list) < q.Limit; next-- {
		list = append(list, l.at(next))
	}
	l.rows += len(list)
	return list, nil
}

func (l *ledger) Attempts(_ context.Context, q Query, _ bool) ([]*flow.Record, error) {
	return l.page(q)
}
func (l *ledger) Sessions(_ context.Context, q Query) ([]*flow.Record, error) { return l.page(q) }
func (l *ledger) Session(_ context.Context, id uint64) (*flow.Record, error) {
	l.calls++
	if id < l.from {
		return nil, ErrNotFound
	}
	return l.at(id), nil
}

// live starts attempts in the state of a stocked server.
func (s stocked) live(tb testing.TB, n int) {
	tb.Helper()
	for i := range n {
		tree := &flow.Tree{Nodes: []flow.Node{{Name: "+ferry", Parent: -1, Config: params.NewMap(0)}}}
		if err := tree.Link(); err != nil {
			tb.Fatal(err)
		}
		_, err := s.state.Step(time.Date(2031, 4, 5, 10, 0, 0, 0, time.UTC), &flow.Start{
			Project: "quay", Workflow: "ferry", Tree: tree, UUID: fmt.Sprint(i), Session: time.Unix(int64(i), 0),
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
}

// However long a list is and wherever in it a page stands, the page costs the
// same: what it shows is read and little else.
func TestPagesCostTheSame(t *testing.T) {
	const lives, past, size = 3, 20_000, 100
	for _, list := range []struct{ target, key string }{
		{"/api/attempts?include_retried=true&", "attempts"},
		{"/api/attempts?", "attempts"},
		{"/api/attempts?project=quay&workflow=ferry&", "attempts"},
		{"/api/sessions?", "sessions"},
		{"/api/projects/1/sessions?", "sessions"},
	} {
		s := newStocked(t)
		s.live(t, lives)
		history := &ledger{nothing: nothing{ErrNotFound}, from: lives + 1, to: lives + past}
		o := options(ErrNotFound, io.Discard, "")
		o.Engine, o.History = s, history
		h := New(o)
		var ids []ID
		for last := ID(0); ; {
			history.calls, history.rows = 0, 0
			target := fmt.Sprintf("%spage_size=%d", list.target, size)
			if last != 0 {
				target += "&last_id=" + last.String()
			}
			var page map[string][]struct{ ID ID }
			answer := ask(h, "GET", target)
			if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
				t.Fatalf("%s: %v", answer.Body, err)
			}
			if history.calls > 1+lives || history.rows > size {
				t.Fatalf("GET %s: asked %d times for %d rows, want at most %d and %d", target, history.calls, history.rows, 1+lives, size)
			}
			if len(page[list.key]) == 0 {
				break
			}
			for _, x := range page[list.key] {
				ids = append(ids, x.ID)
			}
			last = ids[len(ids)-1]
		}
		if len(ids) != lives+past || !slices.IsSortedFunc(ids, func(a, b ID) int { return int(b) - int(a) }) {
			t.Errorf("%s: got %d ids, want %d in descending order", list.target, len(ids), lives+past)
		}
	}
}

// A queue of ten thousand attempts holds the state's lock for as long as a page
// takes, not as long as the queue is.
func BenchmarkPageOfAQueue(b *testing.B) {
	for _, target := range []string{
		"/api/attempts?include_retried=true&page_size=100", "/api/attempts?page_size=100", "/api/sessions?page_size=100",
	} {
		b.Run(target, func(b *testing.B) {
			s := newStocked(b)
			s.live(b, 10_000)
			o := options(ErrNotFound, io.Discard, "")
			o.Engine = s
			o.History = &ledger{nothing: nothing{ErrNotFound}, from: 10_001, to: 10_000}
			h := New(o)
			for b.Loop() {
				if answer := ask(h, "GET", target); answer.Code != 200 {
					b.Fatal(answer.Code, answer.Body)
				}
			}
		})
	}
}
