package history

import (
	"errors"
	"testing"
	"time"

	"gitdag/engine/flow"
)

func ran(definition uint64, revision, checkout string) func(*flow.Record) {
	return func(r *flow.Record) {
		r.Attempt.Definition, r.Attempt.Revision, r.Attempt.Checkout = definition, revision, checkout
		r.Attempt.Ref = "object of " + revision
	}
}

// A definition is known by its newest attempt until that expires, and after
// the index was made anew too.
func TestDefinitionsThatRan(t *testing.T) {
	dir := t.TempDir()
	h, _ := open(t, dir)
	put(t, h,
		record(1, 1, ran(5, "old", "tree-a")), record(2, 2, ran(5, "old", "tree-a")),
		record(3, 3, ran(6, "old", "tree-a"), of(1, "other")),
		record(4, 4, ran(7, "new", "tree-b")), record(5, 5, ran(8, "new", "tree-c"), of(2, "report")),
		record(6, 6), // of a version that did not keep what it ran
	)
	check := func() {
		t.Helper()
		s, err := h.Definition(t.Context(), 5)
		if err != nil || s.Attempt.ID != 2 || s.Attempt.Ref != "object of old" {
			t.Errorf("definition 5: got attempt %d with %q, %v, want 2", s.Attempt.ID, s.Attempt.Ref, err)
		}
		for _, unknown := range []uint64{4, 903} {
			if _, err := h.Definition(t.Context(), unknown); !errors.Is(err, ErrNotFound) {
				t.Errorf("definition %d: got %v, want %v", unknown, err, ErrNotFound)
			}
		}
		diff(t, "old revision", ids(t)(h.Revision(t.Context(), 1, "old")), []uint64{2, 3})
		diff(t, "new revision", ids(t)(h.Revision(t.Context(), 1, "new")), []uint64{4})
		diff(t, "no revision", ids(t)(h.Revision(t.Context(), 1, "c0ffee")), []uint64(nil))
		refs, err := h.Refs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "objects", refs, []string{"object of new", "object of old"})
	}
	check()
	shut(t, h)
	lose(t, dir)
	h, _ = open(t, dir)
	check()
	if _, err := h.Expire(t.Context(), Keep{Count: 3}, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Definition(t.Context(), 5); !errors.Is(err, ErrNotFound) {
		t.Errorf("after its attempts expired: got %v, want %v", err, ErrNotFound)
	}
	if _, err := h.Definition(t.Context(), 7); err != nil {
		t.Errorf("one that is kept: %v", err)
	}
}

// What did not succeed may be retried, unless its session has been.
func TestCheckoutsOfWhatMayBeRetried(t *testing.T) {
	h, _ := open(t, t.TempDir())
	again := retry("again", 2)
	put(t, h,
		record(1, 1, ran(1, "a", "good")),
		record(2, 2, ran(1, "a", "mended"), failed), record(3, 2, ran(2, "b", "good"), again),
		record(4, 3, ran(1, "a", "bad"), failed), record(5, 3, ran(2, "b", "still-bad"), again, failed),
		record(6, 4, ran(2, "b", "still-bad"), failed),
		record(7, 5, failed, finished(noon.Add(time.Hour))), // without a checkout
	)
	got, err := h.Checkouts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	diff(t, "checkouts", got, []string{"still-bad"})
}
