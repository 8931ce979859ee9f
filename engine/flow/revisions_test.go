package flow

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// deployed is a state with one commit of a project of each name.
func deployed(t testing.TB, s *State, m *Manifest) {
	t.Helper()
	if _, err := s.Step(at, &Deploy{Manifest: m}); err != nil {
		t.Fatal(err)
	}
}

// onePush is a manifest of a pushed project with a number of workflows.
func onePush(name, revision string, workflows, keep int) *Manifest {
	p := ManifestProject{Name: name, Tree: "t", Checkout: "t", Revision: revision, Commit: Commit{ID: revision}, Keep: keep}
	for i := range workflows {
		p.Workflows = append(p.Workflows, ManifestWorkflow{
			Name: fmt.Sprintf("w%02d", i), Timezone: strings.Clone("Asia/Tokyo"), Ref: strings.Repeat("0123456789abcdef", 4), Tasks: 3,
		})
	}
	return &Manifest{Repo: PushedSource(name), Projects: []ManifestProject{p}}
}

func TestDeletedProjectsAreForgottenInTheirOrder(t *testing.T) {
	s := New(Config{})
	for i := range graveyard + 3 {
		name := fmt.Sprint("p", i)
		deployed(t, s, onePush(name, "r1", 1, 1))
		deployed(t, s, &Manifest{Repo: PushedSource(name)})
	}
	for id, want := range map[uint64]bool{1: false, 3: false, 4: true, graveyard + 3: true} {
		w, r := s.Definition(id)
		if got := s.Deleted(id) != nil; got != want || (w != nil) != want || (r != nil) != want {
			t.Errorf("project %d is known: %v, its definition %v; want %v", id, got, w, want)
		}
	}
	if got := len(s.Repos()); got != 0 {
		t.Errorf("%d repositories are known after pushes, want none", got)
	}
}

// What older versions wrote has one revision a project, and no number for it.
func TestOldStatesHaveOneRevision(t *testing.T) {
	const old = `{"v":1,"last":{"Project":2,"Workflow":3,"Schedule":0,"Session":0,"Attempt":0,"Task":0,"Alert":0}}
{"project":{"ID":1,"Name":"one","Repo":"r","Path":"","Tree":"t1","Checkout":"t1","Revision":"c1","Commit":{"ID":"c1","Author":"","Email":"","Subject":"","Time":"2031-04-05T00:00:00Z"},"CreatedAt":"2031-04-05T00:00:00Z","UpdatedAt":"2031-04-06T00:00:00Z","Workflows":[{"ID":3,"Name":"w","Timezone":"UTC","Ref":"d","Revision":"c1","Tasks":2}]}}
{"project":{"ID":2,"Name":"two","Repo":"r","Path":"","Tree":"t2","Checkout":"t2","Revision":"c1","Commit":{"ID":"c1","Author":"","Email":"","Subject":"","Time":"2031-04-05T00:00:00Z"},"CreatedAt":"2031-04-05T00:00:00Z","UpdatedAt":"2031-04-05T00:00:00Z","Workflows":null}}
`
	s, err := Decode(strings.NewReader(old), Config{}, newMemObjects())
	if err != nil {
		t.Fatal(err)
	}
	w, r := s.Definition(3)
	if w == nil || w != s.Workflow(3) || r != s.Project(1).Revisions()[0] {
		t.Fatalf("definition 3 is %v of %v", w, r)
	}
	day := time.Date(2031, 4, 6, 0, 0, 0, 0, time.UTC)
	if r.ID != 1 || r.Name != "c1" || w.Revision != "c1" || !r.CreatedAt.Equal(day) {
		t.Errorf("got revision %d %s of %v", r.ID, r.Name, r.CreatedAt)
	}
	if got := s.Project(2).Revisions()[0].ID; got != 2 || s.Last().Revision != 2 {
		t.Errorf("the revision of project 2 is %d, the last one %d, want 2", got, s.Last().Revision)
	}
}

// A deployment of an older version replays: it kept one revision, whose number
// follows from the order.
func TestOldDeploymentsReplay(t *testing.T) {
	objects := newMemObjects()
	for i, revision := range []string{"c1", "c2"} {
		m := onePush("p", revision, 2, 0)
		m.Repo, m.Ref = "r", fmt.Sprint("m", i)
		objects.manifests[m.Ref] = m
	}
	s := New(Config{})
	for _, line := range []string{
		`{"e":"deployed","at":1,"manifest":"m0","ids":[1,1,1]}`,
		`{"e":"deployed","at":2,"manifest":"m1","ids":[2,3,1]}`,
	} {
		e, err := DecodeEvent([]byte(line), objects)
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(e)
	}
	list := s.ProjectNamed("p").Revisions()
	if len(list) != 1 || list[0].ID != 2 || list[0].Name != "c2" {
		t.Errorf("got %d revisions, the first %+v; want c2 alone, with number 2", len(list), list[0])
	}
	if w, _ := s.Definition(1); w != nil {
		t.Error("a definition of the first deployment is kept")
	}
}

func TestErrorsOfDeployments(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&NotPushed{Project: "p", Repo: "r"}, `project "p" is deployed from repository "r": remove it there`},
		{&NameTaken{Project: "p", Repo: "r"}, `project "p" is deployed from repository "r" already`},
		{&NameTaken{Project: "p", Repo: PushedSource("p")}, `project "p" was pushed already`},
		{&RevisionExists{Project: 7, Revision: "r1"}, `Resource already exists: revision=r1 in project id=7`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestRevisionsAreRestored(t *testing.T) {
	s := New(Config{})
	for i := range 4 {
		deployed(t, s, onePush("p", fmt.Sprint("r", i), 2, 3))
	}
	again, err := Decode(bytes.NewReader(encode(t, s)), Config{}, newMemObjects())
	if err != nil {
		t.Fatal(err)
	}
	names := func(s *State) (list []string) {
		for _, r := range s.ProjectNamed("p").Revisions() {
			list = append(list, fmt.Sprint(r.ID, r.Name, r.CreatedAt.Unix(), r.Workflow("w01").ID))
		}
		return list
	}
	if diff := cmp.Diff(names(s), names(again)); diff != "" {
		t.Errorf("the revisions change (-before +after):\n%s", diff)
	}
	if again.ProjectNamed("p").RevisionNamed("r0") != nil {
		t.Error("more revisions are kept than was asked for")
	}
}

// BenchmarkRevisions measures what 1,000 projects with 10 revisions of 5
// workflows take up.
func BenchmarkRevisions(b *testing.B) {
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := New(Config{})
		for i := range 1000 {
			for r := range 10 {
				deployed(b, s, onePush(fmt.Sprint("p", i), fmt.Sprint("r", r), 5, 10))
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB")
		runtime.KeepAlive(s)
	}
}
