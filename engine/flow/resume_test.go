package flow

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

// resumeTree is a workflow whose third task fails until it is mended:
//
//	+w
//	  +a          stores p
//	  +l          generates ^sub, which stores q
//	  +g
//	    +x        stores r
//	    +y        fails
//	  +b
func resumeTree(t *testing.T) *Tree {
	t.Helper()
	tree := &Tree{Nodes: []Node{
		{Name: "+w", Parent: -1, Group: true},
		{Name: "+a"},
		{Name: "+l"},
		{Name: "+g", Group: true},
		{Name: "+x", Parent: 3},
		{Name: "+y", Parent: 3},
		{Name: "+b"},
	}}
	if err := tree.Link(); err != nil {
		t.Fatal(err)
	}
	return tree
}

// resumeRun steps a state and answers each dispatch by what script says of it.
type resumeRun struct {
	t       *testing.T
	s       *State
	now     time.Time
	began   []string
	seen    map[string]string // parameters by task
	fail    map[string]bool
	stores  map[string]*params.Map
	objects *memObjects
}

func (r *resumeRun) step(in Input) Output {
	r.t.Helper()
	out, err := r.s.Step(r.now, in)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range out.Effects {
		if d, ok := e.(*Dispatch); ok {
			r.answer(d)
		}
	}
	return out
}

func (r *resumeRun) answer(d *Dispatch) {
	r.began = append(r.began, d.FullName)
	r.seen[d.FullName] = string(params.Encode(visibleTo(d.View)))
	if r.fail[d.FullName] {
		r.step(&TaskFailed{Lease: d.Lease, Failure: Value{Map: params.Of("message", "no")}})
		return
	}
	in := &TaskSucceeded{Lease: d.Lease}
	in.Result.Store.Map = r.stores[d.FullName]
	switch d.FullName {
	case "+w+a":
		in.Result.Store.Map = params.Of("p", 1)
	case "+w+l":
		in.Sub = r.objects.keep(r.t, subtree(r.t))
	case "+w+l^sub":
		in.Result.Store.Map = params.Of("q", 2)
	case "+w+g+x":
		in.Result.Store.Map = params.Of("r", 3)
	}
	r.step(in)
}

func subtree(t *testing.T) *Tree {
	t.Helper()
	tree := &Tree{Nodes: []Node{{Name: "^sub", Parent: -1}}}
	if err := tree.Link(); err != nil {
		t.Fatal(err)
	}
	return tree
}

func newResumeRun(t *testing.T) *resumeRun {
	t.Helper()
	r := &resumeRun{t: t, s: New(Config{Slots: 1}), now: time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC), seen: map[string]string{}, fail: map[string]bool{}, objects: newMemObjects()}
	r.step(&Deploy{Manifest: &Manifest{Ref: "m", Repo: "r", Projects: []ManifestProject{{Name: "p", Workflows: []ManifestWorkflow{{Name: "w", Timezone: "UTC"}}}}}})
	return r
}

// start runs an attempt of the tree to its end and returns its record.
func (r *resumeRun) start(tree *Tree, name string, resume *params.Map) *Record {
	r.t.Helper()
	r.began = nil
	out := r.step(&Start{Project: "p", Workflow: "w", Tree: tree, UUID: "u", Session: r.now, RetryName: name, Resume: Value{Map: resume}})
	return r.s.Attempt(out.Attempt).Record()
}

func TestResumeRunsWhatFailedAndWhatFollows(t *testing.T) {
	r := newResumeRun(t)
	tree := r.objects.keep(t, resumeTree(t))
	r.fail["+w+g+y"] = true
	failed := r.start(tree, "", nil)
	set, err := ResumeFailed(failed, tree)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(set.Keys(), " "), "+w+a +w+l +w+g+x +w+l^sub"; got != want {
		t.Errorf("taken over: %s, want %s", got, want)
	}
	r.fail["+w+g+y"] = false
	again := r.start(tree, "again", set)
	if got, want := fmt.Sprint(r.began), "[+w+g+y +w+b]"; got != want {
		t.Errorf("the resumed attempt ran %s, want %s", got, want)
	}
	if !again.Succeeded || again.Tasks[0].State != Success {
		t.Errorf("the resumed attempt ended as %v", again.Tasks[0].State)
	}
	for task, want := range map[string]string{"+w+g+y": `{"p":1,"q":2,"r":3}`, "+w+b": `{"p":1,"q":2,"r":3}`} {
		if r.seen[task] != want {
			t.Errorf("%s sees %s, want %s", task, r.seen[task], want)
		}
	}
	if row := again.Tasks[1]; !row.StartedAt.IsZero() || row.State != Success {
		t.Errorf("a task that was taken over is %v and began at %v, want success and never", row.State, row.StartedAt)
	}
}

func TestResumeFromATask(t *testing.T) {
	r := newResumeRun(t)
	tree := r.objects.keep(t, resumeTree(t))
	done := r.start(tree, "", nil)
	set, err := ResumeFrom(done, tree, "+x")
	if err != nil {
		t.Fatal(err)
	}
	r.start(tree, "again", set)
	if got, want := fmt.Sprint(r.began), "[+w+g+x +w+g+y +w+b]"; got != want {
		t.Errorf("the attempt ran %s, want %s", got, want)
	}
	for pattern, want := range map[string]string{"+none": "no task's name", "": "ambiguous"} {
		if _, err := ResumeFrom(done, tree, pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("resume from %q: %v, want an error with %q", pattern, err, want)
		}
	}
	if _, err := ResumeFailed(done, tree); err == nil {
		t.Error("an attempt that succeeded can be resumed")
	}
	r.fail["+w+l"] = true
	if _, err := ResumeFrom(r.start(tree, "third", nil), tree, "+b"); err == nil || !strings.Contains(err.Error(), "+w+l is error") {
		t.Errorf("resume behind a task that failed: %v", err)
	}
}

func TestAlertsAndErrorsAreNeverTakenOver(t *testing.T) {
	r := newResumeRun(t)
	tree := resumeTree(t)
	errors := &Tree{Nodes: []Node{{Name: "^error", Parent: -1}}}
	if err := errors.Link(); err != nil {
		t.Fatal(err)
	}
	tree.Nodes[0].Error = errors
	tree = r.objects.keep(t, tree)
	r.fail["+w+g+y"] = true
	set, err := ResumeFailed(r.start(tree, "", nil), tree)
	if err != nil {
		t.Fatal(err)
	}
	r.start(tree, "again", set)
	for _, want := range []string{"+w^failure-alert", "+w^error"} {
		if !slices.Contains(r.began, want) {
			t.Errorf("the attempt that failed again did not run %s: %v", want, r.began)
		}
	}
}

func TestResumedAttemptSurvivesASnapshot(t *testing.T) {
	r := newResumeRun(t)
	tree := r.objects.keep(t, resumeTree(t))
	r.fail["+w+g+y"] = true
	set, err := ResumeFailed(r.start(tree, "", nil), tree)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.s.Step(r.now, &Start{Project: "p", Workflow: "w", Tree: tree, UUID: "u", Session: r.now, RetryName: "again", Resume: Value{Map: set}})
	if err != nil {
		t.Fatal(err)
	}
	before := encode(t, r.s)
	decoded, err := Decode(bytes.NewReader(before), Config{}, r.objects)
	if err != nil {
		t.Fatal(err)
	}
	if after := encode(t, decoded); !bytes.Equal(before, after) {
		t.Errorf("decoded state differs:\n%s\nlive:\n%s", after, before)
	}
	for _, s := range []*State{r.s, decoded} {
		a := s.Attempt(out.Attempt)
		for task := range a.Tasks {
			if task.state == Running {
				if got, want := string(params.Encode(visibleTo(view(a, task)))), `{"p":1,"q":2,"r":3}`; got != want {
					t.Errorf("%s sees %s, want %s", task.FullName(), got, want)
				}
			}
		}
	}
}

// L40: a repeated group has tasks of equal names; the latest of them counts.
func TestResumeTakesTheLatestOfAName(t *testing.T) {
	row := func(id, parent uint64, name string, state TaskState, stored int) Row {
		return Row{ID: id, Parent: parent, FullName: name, State: state, Store: params.Of("n", stored)}
	}
	r := &Record{Attempt: AttemptFacts{ID: 7, Workflow: "w"}, Tasks: []Row{
		{ID: 1, FullName: "+w", Group: true, State: GroupError},
		{ID: 2, Parent: 1, FullName: "+w+g", Group: true, State: GroupError},
		row(3, 2, "+w+g+x", Error, 1), row(4, 2, "+w+g+y", Success, 2),
		row(5, 2, "+w+g+x", Success, 3), row(6, 2, "+w+g+y", Error, 4),
	}}
	r.Tasks[5].Upstreams = []uint64{5}
	want := params.Of("+w+g+x", params.Of("config", params.NewMap(0), "static", params.NewMap(0), "store", params.Of("n", 3)))
	for mode, take := range map[string]func() (*params.Map, error){
		"failed": func() (*params.Map, error) { return ResumeFailed(r, nil) },
		"from":   func() (*params.Map, error) { return ResumeFrom(r, nil, "+y") },
	} {
		got, err := take()
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if diff := cmp.Diff(want, got, values()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", mode, diff)
		}
	}
}

// A later revision may have added a task to a group that succeeded.
func TestResumeRunsWhatWasAdded(t *testing.T) {
	r := newResumeRun(t)
	r.fail["+w+b"] = true
	set, err := ResumeFailed(r.start(r.objects.keep(t, resumeTree(t)), "", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	grown := &Tree{Nodes: append(slices.Clone(resumeTree(t).Nodes[:6]), Node{Name: "+z", Parent: 3}, Node{Name: "+b"})}
	if err := grown.Link(); err != nil {
		t.Fatal(err)
	}
	r.fail["+w+b"] = false
	again := r.start(r.objects.keep(t, grown), "again", set)
	if got, want := fmt.Sprint(r.began), "[+w+g+z +w+b]"; got != want || !again.Succeeded {
		t.Errorf("the attempt ran %s and succeeded %v, want %s and true", got, again.Succeeded, want)
	}
}

// A task that was added in front runs beside what had waited for its turn, and
// what comes after sees what both have stored.
func TestResumeRunsWhatWasAddedInFront(t *testing.T) {
	r := newResumeRun(t)
	r.fail["+w+g+y"] = true
	set, err := ResumeFailed(r.start(r.objects.keep(t, resumeTree(t)), "", nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	old := resumeTree(t).Nodes
	grown := &Tree{Nodes: []Node{old[0], {Name: "+new"}, old[1], old[2], {Name: "+g", Group: true}, {Name: "+x", Parent: 4}, {Name: "+y", Parent: 4}, {Name: "+b"}}}
	if err := grown.Link(); err != nil {
		t.Fatal(err)
	}
	delete(r.fail, "+w+g+y")
	r.stores = map[string]*params.Map{"+w+new": params.Of("n", 4)}
	again := r.start(r.objects.keep(t, grown), "again", set)
	if got, want := fmt.Sprint(r.began), "[+w+new +w+g+y +w+b]"; got != want || !again.Succeeded {
		t.Errorf("the attempt ran %s and succeeded %v, want %s and true", got, again.Succeeded, want)
	}
	if got, want := r.seen["+w+b"], `{"n":4,"p":1,"q":2,"r":3}`; got != want {
		t.Errorf("+w+b sees %s, want %s", got, want)
	}
}

// What was taken over shows the configuration that it ran with and the time at
// which it ended, live, after a restart and in the history; what runs anew
// shows what its author has written since.
func TestWhatIsTakenOverShowsWhatRan(t *testing.T) {
	r := newResumeRun(t)
	written := func(v int) *Tree {
		tree := resumeTree(t)
		for i := range tree.Nodes {
			tree.Nodes[i].Config = params.Of("v", v)
		}
		tree.Nodes[1].Config = params.Of("same", true) // +a
		tree.Nodes[4].Export = params.Of("x", v)       // +x
		return r.objects.keep(t, tree)
	}
	r.fail["+w+g+y"] = true
	ended := r.now
	failed := r.start(written(1), "", nil)
	into := written(2)
	set, err := ResumeFailed(failed, into)
	if err != nil {
		t.Fatal(err)
	}
	if mapOf(set, "+w+a").Has("config") || !mapOf(set, "+w+l").Has("config") {
		t.Errorf("got the set %s, want configurations of what differs alone", params.Encode(set))
	}
	r.now = r.now.Add(time.Hour)
	again := r.start(into, "again", set)
	decoded, err := Decode(bytes.NewReader(encode(t, r.s)), Config{}, r.objects)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again.Tasks, decoded.Attempt(again.Attempt.ID).Record().Tasks, values()); diff != "" {
		t.Errorf("rows after a restart (-before +after):\n%s", diff)
	}
	var got []string
	for i := range again.Tasks {
		row := &again.Tasks[i]
		got = append(got, fmt.Sprintf("%s %s %s %v", row.FullName, params.Encode(row.Config), params.Encode(notNil(row.Export)), row.UpdatedAt.Sub(ended)))
	}
	want := []string{
		`+w {"v":2} {} 1h0m0s`, `+w+a {"same":true} {} 0s`, `+w+l {"v":1} {} 0s`, `+w+g {"v":2} {} 1h0m0s`,
		`+w+g+x {"v":1} {"x":1} 0s`, `+w+g+y {"v":2} {} 1h0m0s`, `+w+b {"v":2} {} 1h0m0s`,
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Errorf("tasks (-want +got):\n%s", diff)
	}
}
