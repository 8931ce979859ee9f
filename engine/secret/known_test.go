package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secretMap hands out what it has, and lists nothing.
type secretMap map[string]string

func (s secretMap) Secret(_ context.Context, key string) (string, error) {
	if v, ok := s[key]; ok {
		return v, nil
	}
	return "", errors.New("there is none")
}

// listing lists its values too, and counts how often.
type listing struct {
	secretMap
	asked int
}

func (l *listing) Values(context.Context) ([]string, error) {
	l.asked++
	var values []string
	for _, v := range l.secretMap {
		values = append(values, v)
	}
	return values, errors.New("and one cannot be read")
}

// clock is one that a test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newClock() *clock { return &clock{time.Date(2031, 4, 5, 6, 7, 8, 0, time.UTC)} }

// What a task was given is masked for its project, and for no other.
func TestMasksLearnByLookUps(t *testing.T) {
	masks := NewMasks(newClock().now)
	secrets := secretMap{"a": "value-of-a", "b": "value-of-b"}
	k := masks.Of(t.Context(), 1, secrets)
	w := k.Watch(secrets)
	if v, err := w.Secret(t.Context(), "a"); v != "value-of-a" || err != nil {
		t.Errorf("got %q, %v, want the value", v, err)
	}
	if _, err := w.Secret(t.Context(), "c"); err == nil {
		t.Error("got no error for a key that there is not")
	}
	for project, want := range map[uint64]string{1: "*** value-of-b", 2: "value-of-a value-of-b"} {
		if got := masks.Of(t.Context(), project, secrets).Mask("value-of-a value-of-b"); got != want {
			t.Errorf("project %d: got %q, want %q", project, got, want)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, []any{k, k.Watch(nil), masks, struct{ k *Known }{k}}); strings.Contains(got, "value-of") {
			t.Errorf("%s: got %s", verb, got)
		}
	}
}

// What the sources have is masked before anybody asks, at most a second late, and a
// day longer than it was there.
func TestMasksKnowWhatSourcesHave(t *testing.T) {
	c := newClock()
	masks := NewMasks(c.now)
	secrets := &listing{secretMap: secretMap{"a": "the-old-value"}}
	mask := func() string { return masks.Of(t.Context(), 1, secrets).Mask("the-old-value the-new-value") }
	if got, want := mask(), "*** the-new-value"; got != want {
		t.Errorf("at once: got %q, want %q", got, want)
	}
	secrets.secretMap["a"] = "the-new-value"
	mask()
	if secrets.asked != 1 {
		t.Errorf("asked %d times within a second, want once", secrets.asked)
	}
	c.Time = c.Add(time.Second)
	if got, want := mask(), "*** ***"; got != want {
		t.Errorf("after the change: got %q, want %q", got, want)
	}
	c.Time = c.Add(25 * time.Hour)
	if got, want := mask(), "the-old-value ***"; got != want {
		t.Errorf("a day later: got %q, want %q", got, want)
	}
	c.Time = c.Add(-time.Hour) // the clock is set back
	if mask(); secrets.asked != 4 {
		t.Errorf("asked %d times, want once more", secrets.asked)
	}
}

// A project that does not run keeps no matcher, and masks as before when it runs
// again, also what is being written.
func TestMasksOfIdleProjects(t *testing.T) {
	c := newClock()
	masks := NewMasks(c.now)
	secrets := &listing{secretMap: secretMap{"a": "the-value"}}
	var out strings.Builder
	k := masks.Of(t.Context(), 1, secrets)
	w := k.Writer(&out)
	write := func(text string) {
		_, err := w.Write([]byte(text))
		must(t, err)
	}
	write("the-v")
	c.Time = c.Add(2 * idleAfter)
	masks.Of(t.Context(), 2, secrets)
	if k.matcher != nil {
		t.Error("the matcher of an idle project is kept")
	}
	write("alue the-value")
	must(t, w.Flush())
	if got, want := out.String(), "*** ***"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Time = c.Add(idleAfter / 2)
	masks.Of(t.Context(), 1, secrets).Mask("")
	c.Time = c.Add(idleAfter / 2)
	masks.Of(t.Context(), 2, secrets)
	if k.matcher == nil {
		t.Error("the matcher of a project that runs is dropped")
	}
}

// A reader lists what all its sources have, however many of them fail.
func TestReaderListsValues(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"x": "in-a-file\n", "bad": "\xff", ".hidden": "not-a-key"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	key, err := ParseKey([]byte("MDEyMzQ1Njc4OWFiY2RlZg=="))
	must(t, err)
	store, err := Open(filepath.Join(t.TempDir(), "s"), key)
	must(t, err)
	must(t, store.Set(7, "db.password", "in-the-store"))
	must(t, store.Set(8, "db.password", "of-another-project"))
	r := NewReader(nil, store.Project(7), Dir(dir), Dir(""), Dir(filepath.Join(dir, "none")), NewEnviron([]string{"GITDAG_SECRET_E=in-a-variable"}))
	values, err := r.Values(t.Context())
	if got, want := strings.Join(values, " "), "in-the-store in-a-file in-a-variable"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err == nil || !strings.Contains(err.Error(), "secret bad") {
		t.Errorf("got %v, want what cannot be read", err)
	}
	must(t, os.Truncate(store.file(7), 5))
	if values, err := store.Project(7).Values(t.Context()); len(values) > 0 || err == nil {
		t.Errorf("a damaged file: got %q, %v", values, err)
	}
}
