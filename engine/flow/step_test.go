package flow

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gitdag/engine/params"
)

// TestStepRefuses what is about something that is not there or no longer in
// question; scenarios show the refusals that users meet.
func TestStepRefuses(t *testing.T) {
	small := Config{TasksPerAttempt: 2}
	for _, c := range []struct {
		what string
		in   Input
		want error
	}{
		{"a start of no workflow", &Start{Definition: 99}, ErrNoWorkflow},
		{"a tick of no schedule", &TickReady{Schedule: 99}, ErrNoSchedule},
		{"missed ticks of no schedule", &TicksMissed{Schedule: 99}, ErrNoSchedule},
		{"a failed tick of no schedule", &TickFailed{Schedule: 99}, ErrNoSchedule},
		{"a pause of no schedule", &SetSchedule{Schedule: 99}, ErrNoSchedule},
		{"a tick that is not due", &TickReady{Schedule: 1, Session: at}, ErrStaleTick},
		{"missed ticks that nobody asked for", &TicksMissed{Schedule: 1}, ErrStaleTick},
		{"a failed tick that nobody asked for", &TickFailed{Schedule: 1}, ErrStaleTick},
		{"an answer about no group", &GroupEvaluated{Attempt: 99}, ErrStaleLease},
		{"a result of no attempt", &TaskSucceeded{Lease: Lease{Attempt: 99, Task: 1, Execution: 1}}, ErrStaleLease},
		{"a result of no task", &TaskFailed{Lease: Lease{Attempt: 1, Task: 99, Execution: 1}}, ErrStaleLease},
		{"a kill of no attempt", &Kill{Attempt: 99}, ErrNoAttempt},
		{"an archive of a running attempt", &Archived{Attempt: 1}, ErrNoAttempt},
		{"the delivery of no alert", &AlertSent{ID: 99}, ErrNoAlert},
		{"the failed delivery of no alert", &AlertUndelivered{ID: 99}, ErrNoAlert},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := newScript(t)
			s.play("deploy\n+w every=1h\n  +a\n\nstart w\n")
			s.live.Configure(small)
			if err := s.step(c.in); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}
}

func TestStartByDefinition(t *testing.T) {
	s := newScript(t)
	s.play("deploy\n+w\n  +a\n")
	out, err := s.live.Step(s.now, &Start{Definition: 1, Tree: s.trees["p/w"], UUID: "u", Session: at.Add(time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	a := s.live.Attempt(out.Attempt)
	if a == nil || !a.Session.Time.Equal(at) || a.Definition != 1 {
		t.Errorf("got attempt %+v, want one of definition 1 for %v", a, at)
	}
	_, err = s.live.Step(s.now, &Start{Definition: 1, Tree: s.trees["p/w"], UUID: "u", Session: at})
	var taken *Conflict
	if !errors.As(err, &taken) || taken.Attempt != out.Attempt {
		t.Errorf("got %v, want a conflict with attempt %d: sessions have whole seconds", err, out.Attempt)
	}
}

func TestUnknownInputsAndEventsPanic(t *testing.T) {
	for what, call := range map[string]func(*State){
		"input":         func(s *State) { _, _ = s.Step(at, nil) },
		"event":         func(s *State) { s.Apply(nil) },
		"encoded event": func(*State) { _, _ = EncodeEvent(nil) },
		"task":          func(s *State) { s.Apply(&TaskMoved{Attempt: 7, Task: 7}) },
	} {
		t.Run(what, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			call(New(Config{}))
		})
	}
}

// TestEffectKeys of different effects differ, and those of one repeated effect
// do not.
func TestEffectKeys(t *testing.T) {
	l := Lease{Attempt: 1, Task: 2, Execution: 3}
	next := Lease{Attempt: 1, Task: 2, Execution: 4}
	effects := []Effect{
		&Dispatch{Lease: l}, &Dispatch{Lease: next}, &Revoke{Lease: l}, &EvaluateGroup{Attempt: 1, Task: 2},
		&TickDue{Schedule: 1, Session: at}, &TickDue{Schedule: 1, Session: at.Add(time.Second)}, &TickDue{Schedule: 2, Session: at},
		&CatchUpDue{Schedule: 1, From: TickFacts{at, at}}, &ArchiveAttempt{Attempt: 1}, &Deliver{ID: 1}, &Deliver{ID: 1, Tries: 1},
	}
	seen := map[EffectKey]Effect{}
	for _, e := range effects {
		if other := seen[e.Key()]; other != nil {
			t.Errorf("%#v and %#v have the key %v", other, e, e.Key())
		}
		seen[e.Key()] = e
	}
}

// TestSameInputsSameEvents is what makes a run something to be written down.
func TestSameInputsSameEvents(t *testing.T) {
	run := func() []string {
		var lines []string
		s := New(Config{Slots: 3})
		take := func(in Input) Output {
			out, err := s.Step(at, in)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.Events {
				line, err := EncodeEvent(e)
				if err != nil {
					t.Fatal(err)
				}
				lines = append(lines, string(line))
			}
			return out
		}
		take(&Deploy{Manifest: benchManifest()})
		out := take(&Start{Project: "p", Workflow: "w", Tree: wideTree(20, Parallel{On: true, Limit: 7}), UUID: "u", Session: at})
		for queue := out.Effects; len(queue) > 0; queue = queue[1:] {
			if d, ok := queue[0].(*Dispatch); ok {
				queue = append(queue, take(&TaskSucceeded{Lease: d.Lease}).Effects...)
			}
		}
		return lines
	}
	if got, want := run(), run(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStepCostDoesNotGrow counts what one result costs in the middle of a
// small and of a large attempt.
func TestStepCostDoesNotGrow(t *testing.T) {
	for _, c := range []struct {
		what string
		tree func(n int) *Tree
	}{
		{"a sequence", func(n int) *Tree { return wideTree(n, Parallel{}) }},
		{"parallel tasks", func(n int) *Tree { return wideTree(n, Parallel{On: true}) }},
		{"batches", func(n int) *Tree { return wideTree(n, Parallel{On: true, Limit: 10}) }},
	} {
		t.Run(c.what, func(t *testing.T) {
			events, allocs := stepCost(t, c.tree(200))
			moreEvents, moreAllocs := stepCost(t, c.tree(20_000))
			if moreEvents != events || moreAllocs > allocs+1 {
				t.Errorf("a result leads to %v events and %v allocations among 200 tasks, to %v and %v among 20,000",
					events, allocs, moreEvents, moreAllocs)
			}
		})
	}
}

// stepCost returns the events and allocations of a result, on average over a
// hundred of them, each with a store of its own.
func stepCost(t *testing.T, tree *Tree) (events, allocs float64) {
	t.Helper()
	r := newRunner(t, tree, 10, false)
	for range 20 {
		r.next()
	}
	before, done := r.events, 0
	allocs = testing.AllocsPerRun(100, func() {
		r.next()
		done++
	})
	return float64(r.events-before) / float64(done), allocs
}

// runner answers the dispatches of one attempt one after another.
type runner struct {
	t      testing.TB
	s      *State
	queue  []*Dispatch
	events int
	bytes  int
	encode bool
	stores bool // each task stores two parameters, one of its own name
}

func newRunner(t testing.TB, tree *Tree, slots int, encode bool) *runner {
	t.Helper()
	r := &runner{t: t, encode: encode, s: New(Config{Slots: slots, TasksPerAttempt: 1 << 20})}
	r.step(&Deploy{Manifest: benchManifest()})
	r.step(&Start{Project: "p", Workflow: "w", Tree: tree, UUID: "u", Session: at})
	return r
}

func (r *runner) step(in Input) {
	out, err := r.s.Step(at, in)
	if err != nil {
		r.t.Fatal(err)
	}
	r.events += len(out.Events)
	if r.encode {
		for _, e := range out.Events {
			line, err := EncodeEvent(e)
			if err != nil {
				r.t.Fatal(err)
			}
			r.bytes += len(line) + 1
		}
	}
	for _, e := range out.Effects {
		if d, ok := e.(*Dispatch); ok {
			r.queue = append(r.queue, d)
		}
	}
}

// next reports the success of the task that has run longest; false if none
// runs.
func (r *runner) next() bool {
	if len(r.queue) == 0 {
		return false
	}
	d := r.queue[0]
	r.queue = r.queue[1:]
	in := &TaskSucceeded{Lease: d.Lease}
	if r.stores {
		in.Result.Store.Map = params.Of("last", int(d.Lease.Task), d.FullName, "done")
	}
	r.step(in)
	return true
}

func benchManifest() *Manifest {
	return &Manifest{Ref: "m", Repo: "r", Projects: []ManifestProject{
		{Name: "p", Workflows: []ManifestWorkflow{{Name: "w", Timezone: "UTC"}}},
	}}
}

// wideTree is a group of n tasks.
func wideTree(n int, order Parallel) *Tree {
	config := params.Of("sh>", params.Template("true"))
	t := &Tree{Ref: "tree", Nodes: make([]Node, 1, n+1)}
	t.Nodes[0] = Node{Name: "+w", Parent: -1, Group: true, Parallel: order}
	for i := range n {
		t.Nodes = append(t.Nodes, Node{Name: fmt.Sprintf("+t%d", i), Config: config})
	}
	return mustLink(t)
}

func mustLink(t *Tree) *Tree {
	if err := t.Link(); err != nil {
		panic(err)
	}
	return t
}
