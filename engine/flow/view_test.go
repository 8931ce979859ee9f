package flow

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/params"
)

// TestRecord pins what the history and the API get of an attempt that is over.
func TestRecord(t *testing.T) {
	s := newScript(t)
	s.play(`deploy
+w parallel
  +a export={"x":1}
  +b after=+a
  +g
    +c

start w params={"k":"v"}

poll +w+g+c after=5s state={"n":1}

succeed +w+a store={"s":1} export={"e":2}
^sub
^check

succeed +w+a^sub

succeed +w+a^check

fail +w+b boom

tick +5s

fail +w+g+c again retry=1

succeed +w+g+c

succeed +w^failure-alert
`)
	a := s.live.Attempt(1)
	got := a.Record()
	start, end := s.start.Add(10*time.Minute), s.start.Add(10*time.Minute+5*time.Second)
	want := &Record{
		Session:   SessionFacts{ID: 1, UUID: "u", Project: 1, Workflow: "w", Time: s.start},
		Attempt:   a.AttemptFacts,
		CreatedAt: start, FinishedAt: end,
		Tasks: []Row{
			{ID: 1, FullName: "+w", Group: true, State: GroupError, UpdatedAt: end},
			{
				ID: 2, Parent: 1, FullName: "+w+a", State: Success, Execution: 1, StartedAt: start, UpdatedAt: start,
				Export: params.Of("x", 1), Returned: params.Of("e", 2), Store: params.Of("s", 1),
			},
			{
				ID: 3, Parent: 1, FullName: "+w+b", State: Error, Execution: 1, StartedAt: start, UpdatedAt: start,
				Upstreams: []uint64{2}, Error: params.Of("message", "boom"),
			},
			{ID: 4, Parent: 1, FullName: "+w+g", Group: true, State: Success, UpdatedAt: end},
			{
				ID: 5, Parent: 4, FullName: "+w+g+c", State: Success, Execution: 3, Retries: 1, StartedAt: start, UpdatedAt: end,
				OpState: params.Of("n", 1),
			},
			{ID: 6, Parent: 2, FullName: "+w+a^sub", State: Success, Execution: 1, StartedAt: start, UpdatedAt: start},
			{
				ID: 7, Parent: 2, FullName: "+w+a^check", State: Success, Execution: 1, StartedAt: start, UpdatedAt: start,
				Upstreams: []uint64{6},
			},
			{
				ID: 8, Parent: 1, FullName: "+w^failure-alert", State: Success, Execution: 1, StartedAt: end, UpdatedAt: end,
				Config: params.Of("_type", "notify", "_command", "Workflow session attempt failed"),
			},
		},
	}
	if diff := cmp.Diff(want, got, values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRowOfAWaitingTask(t *testing.T) {
	s := newScript(t)
	s.play("deploy\n+w\n  +a\n\nstart w\n\npoll +w+a after=5s\n\nkill\n")
	s2 := newScript(t)
	s2.play("deploy\n+w\n  +a\n\nstart w\n\npoll +w+a after=5s\n")
	row := s2.live.Attempt(1).Task(2).Row()
	if want := s2.now.Add(5 * time.Second); row.State != RetryWaiting || !row.RetryAt.Equal(want) || row.Canceling {
		t.Errorf("got %+v, want a task that waits until %v", row, want)
	}
	row = s.live.Attempt(1).Task(2).Row()
	if row.State != Canceled || !row.RetryAt.IsZero() || !row.Canceling {
		t.Errorf("got %+v, want a canceled task that waits for nothing", row)
	}
}

// TestLookups are what the shell and the API ask a state for.
func TestLookups(t *testing.T) {
	s := newScript(t)
	s.play("deploy\n+w every=1h\n  +a\n+x\n  +b\n\nstart w\n\nstart w name=again\n\nfail +w+a boom\n\nsucceed +w^failure-alert\n")
	live := s.live
	p := live.ProjectNamed("p")
	w := p.Workflow("w")
	a := live.Attempt(1)
	x := a.Session
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"project by id", live.Project(1), p},
		{"workflow by id", live.Workflow(w.ID), w},
		{"workflow that is not there", p.Workflow("y"), (*Workflow)(nil)},
		{"schedule by id", live.Schedule(1), p.Schedule("w")},
		{"schedule that is not there", p.Schedule("x"), (*Schedule)(nil)},
		{"session by id", live.Session(x.ID), x},
		{"attempts of the session", len(x.Attempts()), 2},
		{"running tasks", live.Running(), 1},
		{"last attempt", live.Last().Attempt, uint64(2)},
		{"root", a.RootTask().FullName(), "+w"},
		{"task that failed", a.RootTask().FailedTask().FullName(), "+w+a"},
		{"task that is not there", a.Task(99), (*Task)(nil)},
		{"failures", live.Health(p.ID, "w").Failures, 1},
		{"failures of a good workflow", live.Health(p.ID, "x"), Health{}},
		{"size", a.Size(), 3},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
	n := 0
	for range a.Tasks {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("walked over %d tasks, want to stop at 2", n)
	}
}

// TestSyncAlerts keep whether a source's syncs fail.
func TestSyncAlerts(t *testing.T) {
	s := newScript(t)
	for _, c := range []struct {
		kind string
		want bool
	}{{AlertSyncFailed, true}, {AlertSyncFailed, true}, {AlertSyncRecovered, false}, {AlertMessage, false}} {
		if err := s.step(&Report{Alert: Alert{Kind: c.kind, Incident: "sync/r", Repo: "r"}}); err != nil {
			t.Fatal(err)
		}
		if got := s.live.Repos()[0].Failing; got != c.want {
			t.Errorf("after %s: failing is %v, want %v", c.kind, got, c.want)
		}
	}
}

// TestRowOfAnErrorTask: what an ^error subtree is given as `error` is part of
// its root's exports, as in Digdag, and what fails later does not change it.
func TestRowOfAnErrorTask(t *testing.T) {
	s := newScript(t)
	s.play(`deploy
+w
  +g
    ^error export={"x":1}
    +a

start w

fail +w+g+a boom
`)
	want := params.Of("x", 1, "error", params.Of("message", "boom"))
	row := func() Row {
		for task := range s.live.Attempt(1).Tasks {
			if r := task.Row(); r.FullName == "+w+g^error" {
				return r
			}
		}
		t.Fatal("there is no ^error")
		return Row{}
	}
	if diff := cmp.Diff(want, row().Export, values()); diff != "" {
		t.Errorf("while it runs (-want +got):\n%s", diff)
	}
	s.play("fail +w+g^error worse\n")
	got := row()
	if diff := cmp.Diff(want, got.Export, values()); diff != "" {
		t.Errorf("after it failed too (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(params.Of("message", "worse"), got.Error, values()); diff != "" {
		t.Errorf("its own error (-want +got):\n%s", diff)
	}
}

// TestFormerDefinition: a definition that is not live any more runs as an
// attempt knew it, in its project as it is called now.
func TestFormerDefinition(t *testing.T) {
	s := newScript(t)
	s.play("deploy\n+w\n  +a\n\nstart w\n\ndeploy\n+x\n  +b\n")
	old := s.live.Attempt(1)
	former := old.AttemptFacts
	former.Ref, former.Checkout, former.Commit.Subject = "ref", "tree", "old"
	start := &Start{Definition: former.Definition, Tree: old.RootTask().block.Tree, UUID: "v", Session: old.Session.Time, RetryName: "again"}
	if err := s.step(start); !errors.Is(err, ErrNoWorkflow) {
		t.Fatalf("without what an attempt knows: got %v, want %v", err, ErrNoWorkflow)
	}
	start.Former = &former
	if err := s.step(start); err != nil {
		t.Fatal(err)
	}
	got := s.live.Attempt(2)
	want := former
	want.ID, want.Index, want.RetryName = 2, 2, "again"
	if diff := cmp.Diff(want, got.AttemptFacts, values()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Session != old.Session {
		t.Error("it is not of the same session")
	}
	start.RetryName = ""
	var conflict *Conflict
	if err := s.step(start); !errors.As(err, &conflict) {
		t.Errorf("without a name: got %v, want a conflict", err)
	}
	former.Project = 99
	start.RetryName = "once more"
	if err := s.step(start); !errors.Is(err, ErrNoWorkflow) {
		t.Errorf("in a project that is gone: got %v, want %v", err, ErrNoWorkflow)
	}
}
