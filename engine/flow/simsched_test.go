package flow

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// configure changes the limits, or lets schedules or tasks stand still for a
// while.
func (w *world) configure() {
	c := w.config
	if w.rng.IntN(3) == 0 && !w.closing {
		c.NoSchedules, c.NoTasks, c.Draining = w.rng.IntN(2) == 0, w.rng.IntN(3) == 0, w.rng.IntN(4) == 0
	}
	if w.rng.IntN(3) == 0 {
		c.LiveAttempts += w.rng.IntN(3)
	}
	w.live.Configure(c)
	w.must(&Tick{})
}

// push pushes a revision of project q, or takes the project away.
func (w *world) push() {
	p := w.live.ProjectNamed("q")
	if p != nil && w.rng.IntN(3) == 0 {
		w.withdraw(p)
		return
	}
	m := w.manifest([]string{"v", "y"}[:1+w.rng.IntN(2)])
	m.Repo, m.Rejected = PushedSource("q"), nil
	q := &m.Projects[0]
	q.Name, q.Revision, q.Keep = "q", fmt.Sprint("r", w.rng.IntN(6)), 1+w.rng.IntN(3)
	q.Archive = &Archive{Object: m.Ref, MD5: "md5", Size: 1}
	known := p != nil && p.RevisionNamed(q.Revision) != nil
	if err := w.step(&Deploy{Manifest: m}); (err != nil) != known {
		w.t.Fatalf("push of revision %s, known %v: %v", q.Revision, known, err)
	}
}

func (w *world) withdraw(p *Project) {
	m := w.manifest(nil)
	m.Repo, m.Rejected = p.Repo, nil
	w.must(&Deploy{Manifest: m, Project: p.ID})
	if w.live.Deleted(p.ID) != p || w.live.ProjectNamed(p.Name) != nil {
		w.t.Fatalf("project %d is not deleted", p.ID)
	}
}

// anySchedule picks one of the schedules; nil if there is none.
func (w *world) anySchedule() *Schedule {
	list := w.live.Schedules()
	if len(list) == 0 {
		return nil
	}
	return list[w.rng.IntN(len(list))]
}

// backfill runs ticks before a schedule's next one.
func (w *world) backfill() {
	x := w.anySchedule()
	if x == nil || len(w.live.attempts) > 8 {
		return
	}
	in := &Backfill{
		Schedule: x.ID, Definition: x.Project.Workflow(x.Workflow).ID, Name: fmt.Sprint("fill", w.rng.IntN(4)),
		Tree: w.objects.keep(w.t, w.tree("+w", 1)), DryRun: w.rng.IntN(5) == 0,
	}
	from := w.now.Truncate(time.Second).Add(-time.Minute)
	for i := range 1 + w.rng.IntN(4) {
		t := BackfillTime{Session: from.Add(time.Duration(i+w.rng.IntN(10)*4) * time.Second), UUID: "u"}
		if len(in.Times) > 0 && !t.Session.After(in.Times[len(in.Times)-1].Session) {
			continue
		}
		t.Past = w.history[sessionKey{workflowKey{x.Project.ID, x.Workflow}, t.Session.Unix()}]
		in.Times = append(in.Times, t)
	}
	before := len(w.live.attempts)
	if err := w.step(in); err == nil && !in.DryRun && len(w.live.attempts) != before+len(in.Times) {
		w.t.Fatalf("%d attempts after a backfill of %d, before it %d", len(w.live.attempts), len(in.Times), before)
	}
}

// skip moves a schedule on.
func (w *world) skip() {
	x := w.anySchedule()
	if x == nil {
		return
	}
	in := &Skip{Schedule: x.ID, Next: w.tickAfter(w.now.Truncate(time.Second))}
	allowed := x.CheckSkip(in.Next) == nil
	if err := w.step(in); (err == nil) != allowed {
		w.t.Fatalf("skip to %v, allowed %v: %v", in.Next, allowed, err)
	}
}

// toggle pauses a schedule, or resumes it, perhaps with a skip.
func (w *world) toggle() {
	if x := w.anySchedule(); x != nil {
		_ = w.step(&SetSchedule{
			Schedule: x.ID, Disabled: w.rng.IntN(2) == 0, Skip: w.rng.IntN(3) == 0,
			Next: w.tickAfter(w.now.Truncate(time.Second)),
		})
	}
}

// checkRoom is called when an attempt has begun, before anything else happens.
func (w *world) checkRoom() {
	w.t.Helper()
	if runs := w.replica.active - w.replica.waiting; runs > w.live.config.LiveAttempts {
		w.t.Fatalf("%d attempts run, at most %d may", runs, w.live.config.LiveAttempts)
	}
}

// checkCounts compares what is counted with what there is, and the order in
// which attempts wait.
func (w *world) checkCounts(decoded *State) {
	w.t.Helper()
	s, want := w.live, newCounts()
	room := []uint64{}
	for _, a := range s.Attempts() {
		if a.Done {
			continue
		}
		want.active++
		if a.Waiting {
			want.waiting++
			if a.After == 0 {
				room = append(room, a.ID)
			}
		}
		if before := s.Attempt(a.After); a.After != 0 && (before == nil || before.Done || !a.Waiting) {
			w.t.Fatalf("attempt %d waits for attempt %d, which is over", a.ID, a.After)
		}
	}
	for _, p := range s.Alerts() {
		want.incidents[p.Alert.Incident] = append(want.incidents[p.Alert.Incident], p.ID)
	}
	for _, other := range []*State{s, w.replica, decoded} {
		if other.active != want.active || other.waiting != want.waiting {
			w.t.Fatalf("%d attempts are counted, %d of them waiting; there are %d and %d", other.active, other.waiting, want.active, want.waiting)
		}
		if !maps.EqualFunc(other.incidents, want.incidents, slices.Equal) {
			w.t.Fatalf("the alerts are listed as %v, there are %v", other.incidents, want.incidents)
		}
		w.checkIndexes(other)
	}
	if len(room) > 0 && !s.crowded() {
		w.t.Fatalf("attempts %v wait for room that there is", room)
	}
	for _, id := range room {
		if !slices.Contains(s.queue, id) {
			w.t.Fatalf("attempt %d waits for room, but the queue is %v", id, s.queue)
		}
	}
}

// checkIndexes compares what is found by index with what there is.
func (w *world) checkIndexes(s *State) {
	w.t.Helper()
	unfinished, waiters := 0, 0
	for _, a := range s.attempts {
		if a.Done {
			continue
		}
		if a.After != 0 {
			waiters++
		}
		if s.unfinished[workflowKey{a.Project, a.Workflow}][a.ID] != a || a.After != 0 && s.successors[a.After] != a {
			w.t.Fatalf("attempt %d is not found by index", a.ID)
		}
		if x := s.schedule[a.Scheduled]; a.CaughtUp && x != nil && x.catching != a.ID {
			w.t.Fatalf("schedule %d catches up with attempt %d, not %d", x.ID, a.ID, x.catching)
		}
	}
	for _, of := range s.unfinished {
		unfinished += len(of)
	}
	if unfinished != s.active || len(s.successors) != waiters {
		w.t.Fatalf("%d attempts are found by index and %d that wait, there are %d and %d", unfinished, len(s.successors), s.active, waiters)
	}
	for _, x := range s.schedule {
		if a := s.attempts[x.catching]; x.catching != 0 && (a == nil || a.Done) {
			w.t.Fatalf("schedule %d catches up with attempt %d, which is over", x.ID, x.catching)
		}
	}
	definitions := 0
	for _, p := range append(s.Projects(), s.graves...) {
		for _, r := range p.revisions {
			for _, d := range r.Workflows {
				definitions++
				if found, of := s.Definition(d.ID); found != d || of != r {
					w.t.Fatalf("definition %d is not found", d.ID)
				}
			}
		}
	}
	if definitions != len(s.definitions) {
		w.t.Fatalf("%d definitions are found by id, there are %d", len(s.definitions), definitions)
	}
}
