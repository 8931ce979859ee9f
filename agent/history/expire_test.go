package history

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gitdag/engine/flow"
)

func days(n int) time.Time { return noon.AddDate(0, 0, n) }

// aging has an attempt a day, and two on the first.
func aging(t *testing.T, dir string) *History {
	h, _ := open(t, dir)
	put(t, h,
		record(1, 1, finished(days(0))), record(2, 2, finished(days(0).Add(time.Hour))),
		record(3, 1, finished(days(1)), retry("again", 2)),
		record(4, 4, finished(days(2))), record(5, 5, finished(days(3))),
	)
	return h
}

func TestExpire(t *testing.T) {
	for name, c := range map[string]struct {
		keep Keep
		now  time.Time
		want []uint64
	}{
		"nothing":                {Keep{}, days(100), []uint64{5, 4, 3, 2, 1}},
		"age":                    {Keep{Age: 48 * time.Hour}, days(3), []uint64{5, 4, 3}},
		"age within a day":       {Keep{Age: 48 * time.Hour}, days(2).Add(time.Hour), []uint64{5, 4, 3, 2}},
		"count":                  {Keep{Count: 2}, days(3), []uint64{5, 4}},
		"count that is not met":  {Keep{Count: 5}, days(3), []uint64{5, 4, 3, 2, 1}},
		"both, count is tighter": {Keep{Age: 48 * time.Hour, Count: 1}, days(3), []uint64{5}},
		"both, age is tighter":   {Keep{Age: 48 * time.Hour, Count: 4}, days(3), []uint64{5, 4, 3}},
		"everything":             {Keep{Age: time.Hour}, days(100), nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := aging(t, dir)
			n, err := h.Expire(t.Context(), c.keep, c.now)
			if err != nil || n != 5-len(c.want) {
				t.Errorf("got %d expired, %v, want %d", n, err, 5-len(c.want))
			}
			diff(t, "attempts", all(t, h), c.want)
			if n, err := h.Expire(t.Context(), c.keep, c.now); n != 0 || err != nil {
				t.Errorf("again: got %d expired, %v, want 0", n, err)
			}
			shut(t, h)
			lose(t, dir)
			h, _ = open(t, dir)
			diff(t, "attempts of a new index", all(t, h), c.want)
		})
	}
}

// lose removes the index.
func lose(t *testing.T, dir string) {
	t.Helper()
	if err := removeIndex(filepath.Join(dir, indexName)); err != nil {
		t.Fatal(err)
	}
}

func TestNamesOutliveAttempts(t *testing.T) {
	dir := t.TempDir()
	h := aging(t, dir)
	check := func(when string, past map[uint64]*flow.Past) {
		t.Helper()
		for session, want := range past {
			got, err := h.Past(t.Context(), 1, "report", record(1, session).Session.Time)
			if err != nil {
				t.Fatal(err)
			}
			diff(t, when, got, want)
		}
	}
	want := map[uint64]*flow.Past{
		1: {Session: record(1, 1).Session, LastAttempt: 3, Index: 2, Names: map[string]uint64{"": 1, "again": 3}},
		2: {Session: record(2, 2).Session, LastAttempt: 2, Index: 1, Names: map[string]uint64{"": 2}},
	}
	check("before", want)
	for _, keep := range []Keep{{Count: 4}, {Count: 2}, {Count: 1}} {
		if _, err := h.Expire(t.Context(), keep, days(3)); err != nil {
			t.Fatal(err)
		}
		check("after", want)
	}
	if _, err := h.Session(t.Context(), 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want an expired session to be no longer shown", err)
	}
	shut(t, h)
	lose(t, dir)
	h, _ = open(t, dir)
	check("in a new index", want)

	// An attempt that the engine had not dropped when it expired comes again.
	put(t, h, record(1, 1, finished(days(0))))
	check("put again", want)
	if _, err := h.Expire(t.Context(), Keep{Count: 1}, days(3)); err != nil {
		t.Fatal(err)
	}
	check("expired again", want)
	list, err := h.archive.readExpired(dayOf(noon))
	if err != nil || len(list) != 2 {
		t.Errorf("got a list of %d, %v, want 2", len(list), err)
	}
}

func TestSessionShowsOlderAttemptThatFinishedLater(t *testing.T) {
	h, _ := open(t, t.TempDir())
	put(t, h, record(2, 1, finished(days(0)), retry("quick", 2)), record(1, 1, finished(days(5))))
	if _, err := h.Expire(t.Context(), Keep{Count: 1}, days(5)); err != nil {
		t.Fatal(err)
	}
	s, err := h.Session(t.Context(), 1)
	if err != nil || s.Attempt.ID != 1 {
		t.Errorf("got attempt %d, %v, want 1", s.Attempt.ID, err)
	}
	diff(t, "newest", ids(t)(h.Attempts(t.Context(), Query{Limit: 9}, false)), []uint64{1})
	past, err := h.Past(t.Context(), 1, "report", record(1, 1).Session.Time)
	if err != nil || past.LastAttempt != 2 || past.Index != 2 {
		t.Errorf("got past %v, %v, want the expired attempt to be the newest", past, err)
	}
}

func TestExpireTies(t *testing.T) {
	h, _ := open(t, t.TempDir())
	put(t, h, record(1, 1, finished(days(0))), record(2, 2, finished(days(1))), record(3, 3, finished(days(1))),
		record(4, 4, finished(days(1))))
	n, err := h.Expire(t.Context(), Keep{Count: 2}, days(1))
	if n != 1 || err != nil {
		t.Errorf("got %d expired, %v, want 1", n, err)
	}
	diff(t, "attempts", all(t, h), []uint64{4, 3, 2})
	s, err := h.LastSuccess(t.Context(), 1, "report")
	if err != nil || s.Attempt.ID != 4 {
		t.Errorf("got attempt %d, %v, want the newest of those that finished last", s.Attempt.ID, err)
	}
}

func TestExpireCutOff(t *testing.T) {
	dir := t.TempDir()
	h := aging(t, dir)
	h.archive.publish = func(string, func(io.Writer) error) error { return syscall.ENOSPC }
	if _, err := h.Expire(t.Context(), Keep{Count: 1}, days(3)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want ENOSPC", err)
	}
	diff(t, "attempts", all(t, h), []uint64{5, 4, 3, 2, 1})
	if _, err := h.Record(t.Context(), 1); err != nil {
		t.Errorf("got %v, want nothing to be lost", err)
	}
	h.archive.publish = publish

	// The list is written and one file is gone when the agent ends.
	part := []gone{{1, 1, "", wireSession(record(1, 1).Session)}, {2, 1, "", wireSession(record(2, 2).Session)}}
	if err := h.extendExpired(dayOf(noon), part); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(h.archive.file(dayOf(noon), 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Record(t.Context(), 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	shut(t, h)
	h, report := open(t, dir)
	if report.Removed != 1 || report.Added != 0 {
		t.Errorf("got %+v, want one removed", report)
	}
	diff(t, "attempts", all(t, h), []uint64{5, 4, 3, 2})
	if n, err := h.Expire(t.Context(), Keep{Count: 1}, days(3)); n != 3 || err != nil {
		t.Errorf("got %d expired, %v, want 3", n, err)
	}
	past, err := h.Past(t.Context(), 1, "report", record(1, 1).Session.Time)
	if err != nil || past.LastAttempt != 3 || len(past.Names) != 2 {
		t.Errorf("got past %v, %v, want both names taken", past, err)
	}
}
