package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/journal/journaltest"
	"gitdag/engine/params"
)

// load reads a project of the given files.
func load(t *testing.T, files map[string]string) *dig.Project {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p, diags := dig.Load(dir, dig.Options{})
	if len(diags.Errors()) > 0 {
		t.Fatal(diags)
	}
	return p
}

// redeployFrom deploys the rig's project with schedules from a time on.
func (r *rig) redeployFrom(files map[string]string, from time.Time) error {
	r.t.Helper()
	return r.e.Deploy(context.Background(), &Deployment{
		Repo: "r", ScheduleFrom: from, Projects: []Project{{Name: "p", Content: load(r.t, files), Revision: "from"}},
	})
}

// push pushes a revision of project q.
func (r *rig) push(revision string, files map[string]string) error {
	r.t.Helper()
	archive := []byte("archive of " + revision)
	object, err := r.e.PutObject(archive)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.e.Deploy(context.Background(), &Deployment{
		Repo: flow.PushedSource("q"), Strict: true,
		Projects: []Project{{
			Name: "q", Content: load(r.t, files), Revision: revision, Tree: object, Checkout: object, Keep: 2,
			Archive: &flow.Archive{Object: object, MD5: "md5", Size: int64(len(archive)), UserInfo: `{"who":"me"}`},
		}},
	})
}

func TestPushedProject(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	if err := d.push("r1", map[string]string{"v.dig": "+old:\n  scripted>: x\n"}); err != nil {
		t.Fatal(err)
	}
	if err := d.push("r2", map[string]string{"v.dig": "+new:\n  scripted>: x\n"}); err != nil {
		t.Fatal(err)
	}
	var exists *flow.RevisionExists
	if err := d.push("r1", oneTask); !errors.As(err, &exists) || exists.Project != 2 {
		t.Errorf("the same revision again: %v", err)
	}
	after := openDurable(t, d.fs.Kill(), oneTask)
	var old, live uint64
	after.e.View(func(s *flow.State) {
		list := s.ProjectNamed("q").Revisions()
		live, old = list[0].Workflows[0].ID, list[1].Workflows[0].ID
		if list[1].Archive.UserInfo != `{"who":"me"}` || list[1].Name != "r1" {
			t.Errorf("the older revision is %+v with %+v", list[1], list[1].Archive)
		}
		if data, err := after.e.objects.store.Read(list[1].Archive.Object); err != nil || string(data) != "archive of r1" {
			t.Errorf("the archive is %q, %v", data, err)
		}
	})
	for id, want := range map[uint64]string{old: "+v+old 1", live: "+v+new 1"} {
		_, err := after.e.StartAttempt(t.Context(), StartRequest{Definition: id, Session: time.Unix(int64(id), 0)})
		if err != nil {
			t.Fatal(err)
		}
		if got := <-after.script.began; got != want {
			t.Errorf("definition %d began %q, want %q", id, got, want)
		}
	}
	if err := after.e.DeleteProject(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	for _, r := range []StartRequest{{Definition: old}, {Definition: live}, {Project: "q", Workflow: "v"}, {Definition: 99}} {
		if _, err := after.e.StartAttempt(t.Context(), r); !errors.Is(err, ErrNotFound) {
			t.Errorf("start of %+v after the deletion: %v, want %v", r, err, ErrNotFound)
		}
	}
	after.script.end <- nil
	after.script.end <- nil
	for range 2 {
		if r := <-after.done; !r.Succeeded {
			t.Errorf("attempt %d did not go on to its end", r.Attempt.ID)
		}
	}
	if err := after.e.DeleteProject(t.Context(), 2); !errors.Is(err, ErrNotFound) {
		t.Errorf("the second deletion: %v, want %v", err, ErrNotFound)
	}
	if err := after.e.DeleteProject(t.Context(), 1); !errors.As(err, new(*flow.NotPushed)) {
		t.Errorf("the deletion of a project of a repository: %v", err)
	}
	after.e.View(func(s *flow.State) {
		if p := s.Deleted(2); p == nil || p.DeletedAt.IsZero() || len(p.Revisions()) != 2 {
			t.Errorf("the deleted project is %+v", p)
		}
	})
}

func TestStrictDeployment(t *testing.T) {
	d := openDurable(t, journaltest.New(), oneTask)
	other := &Deployment{Repo: flow.PushedSource("p"), Strict: true, Projects: []Project{{Name: "p", Content: load(t, oneTask), Revision: "1"}}}
	if err := d.e.Deploy(t.Context(), other); !errors.As(err, new(*flow.NameTaken)) {
		t.Errorf("a taken name: %v, want a NameTaken", err)
	}
	other.Repo, other.Strict = "other", false
	if err := d.e.Deploy(t.Context(), other); err != nil {
		t.Errorf("a taken name rejects more than the project: %v", err)
	}
	d.e.View(func(s *flow.State) {
		if r := s.Repos()[0]; r.Name != "other" || len(r.Rejected) != 1 {
			t.Errorf("got %+v, want the project rejected", r)
		}
	})
}

func TestSchedulesBeginWhenAsked(t *testing.T) {
	d := openDurable(t, journaltest.New(), daily, atNoon)
	if err := d.redeployFrom(daily, midnight(-9)); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.next(); !got.Session.Equal(midnight(-1)) {
		t.Errorf("an unchanged schedule goes on at %v, want %v", got.Session, midnight(-1))
	}
	changed := map[string]string{"w.dig": strings.Replace(daily["w.dig"], "daily>: 00:00:00", "daily>: 01:00:00", 1)}
	if err := d.redeployFrom(changed, midnight(-9)); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.next(); !got.Session.Equal(midnight(-9)) {
		t.Errorf("a changed schedule begins at %v, want %v", got.Session, midnight(-9))
	}
}

// What no revision has any more runs as its newest attempt knew it.
func TestDefinitionThatOnlyAnAttemptKnows(t *testing.T) {
	var former *flow.AttemptFacts
	d := openDurable(t, journaltest.New(), oneTask, func(o *Options) {
		o.Former = func(_ context.Context, definition uint64) (*flow.AttemptFacts, error) {
			if definition == 77 {
				return nil, errors.New("the history is away")
			}
			return former, nil
		}
	})
	if _, err := d.start(1); err != nil {
		t.Fatal(err)
	}
	<-d.script.began
	d.deployAgain(t, "2")
	start := func(definition uint64, day int) error {
		_, err := d.e.StartAttempt(t.Context(), StartRequest{
			Definition: definition, Session: time.Date(2031, 5, day, 0, 0, 0, 0, time.UTC), Params: params.Of("x", 1),
		})
		return err
	}
	if err := start(1, 1); err != nil {
		t.Errorf("definition 1, which a live attempt knows: %v", err)
	}
	<-d.script.began
	d.script.end <- nil
	d.script.end <- nil
	former = &(<-d.done).Attempt
	<-d.done
	waitFor(t, "the attempts to be archived", func() bool { return d.states(1) == "" && d.states(2) == "" })
	if err := start(1, 2); err != nil {
		t.Errorf("definition 1, which the history knows: %v", err)
	}
	<-d.script.began
	former = nil
	if err := start(5, 3); !errors.Is(err, ErrNotFound) {
		t.Errorf("an unknown definition: %v, want %v", err, ErrNotFound)
	}
	if err := start(77, 3); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("without the history: %v", err)
	}
}

func (d *durable) deployAgain(t *testing.T, revision string) {
	t.Helper()
	files := map[string]string{"w.dig": "+b:\n  scripted>: x\n"}
	err := d.e.Deploy(t.Context(), &Deployment{Repo: "r", Projects: []Project{{Name: "p", Content: load(t, files), Revision: revision}}})
	if err != nil {
		t.Fatal(err)
	}
}
