package flow

import (
	"bytes"
	"fmt"
	"maps"
	"strings"
	"time"

	"gitdag/engine/params"
)

// act does one thing that may happen to an agent. While the world closes only
// what ends it happens.
func (w *world) act() {
	dice := w.rng.IntN(100)
	if w.closing && dice < 17 && dice > 3 {
		dice = 99
	}
	switch dice {
	case 0:
		w.crash()
	case 1, 2:
		_ = w.step(&Kill{Attempt: 1 + w.rng.Uint64N(w.live.last.Attempt+1)})
	case 3:
		w.now = w.now.Add(-time.Duration(w.rng.IntN(5000)) * time.Millisecond)
		w.must(&Tick{})
	case 4:
		w.deploy()
	case 5:
		w.toggle()
	case 6, 7, 8:
		w.start()
	case 9, 10, 11:
		w.pass()
	case 12:
		w.push()
	case 13:
		w.backfill()
	case 14:
		w.skip()
	case 15, 16:
		w.configure()
	default:
		w.answer()
	}
}

// pass lets time pass.
func (w *world) pass() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
	w.must(&Tick{})
}

// crash forgets everything but the journal, and wakes up at another time.
func (w *world) crash() {
	s, err := Decode(bytes.NewReader(encode(w.t, w.replica)), w.config, w.objects)
	if err != nil {
		w.t.Fatal(err)
	}
	w.live = s
	// A poll that changed nothing has left nothing.
	maps.DeleteFunc(w.leases, func(l Lease, _ bool) bool { return l.Poll > 0 })
	w.owed = map[EffectKey]Effect{}
	w.now = w.now.Add(time.Duration(w.rng.IntN(20)-2) * time.Second)
	survived := map[Lease]bool{}
	for l := range w.live.Leases {
		survived[l] = w.rng.IntN(2) == 0
	}
	w.must(&Boot{Survived: survived})
	w.owed = map[EffectKey]Effect{}
	for _, e := range w.live.Pending() {
		w.owed[e.Key()] = e
	}
}

// manifest makes a commit of random workflows, each with a schedule or not.
func (w *world) manifest(names []string) *Manifest {
	n := len(w.objects.manifests) + 1
	m := &Manifest{Ref: fmt.Sprintf("manifest-%d", n), Repo: "r", Commit: Commit{ID: fmt.Sprintf("c%d", n), Author: "ann"}}
	if names != nil {
		p := ManifestProject{Name: "p", Tree: "t", Checkout: "t", Revision: m.Commit.ID, Commit: m.Commit, Keep: w.rng.IntN(4)}
		if w.rng.IntN(4) == 0 {
			p.Revision = fmt.Sprint("c", 1+w.rng.IntN(n))
		}
		if w.rng.IntN(3) == 0 {
			m.From = w.now.Add(-5 * time.Second)
		}
		for _, name := range names {
			f := ManifestWorkflow{Name: name, Timezone: "UTC", Ref: "def"}
			if w.rng.IntN(2) == 0 {
				f.Schedule = w.schedule()
			}
			p.Workflows = append(p.Workflows, f)
		}
		m.Projects = append(m.Projects, p)
	}
	if w.rng.IntN(3) == 0 {
		m.Rejected = append(m.Rejected, Rejection{Project: "bad", Commit: m.Commit, Reasons: []string{"bad.dig:1:1: no"}})
	}
	w.objects.manifests[m.Ref] = m
	return m
}

func (w *world) schedule() *ManifestSchedule {
	x := &ManifestSchedule{
		Hash: fmt.Sprint(w.rng.IntN(3)), CatchUp: CatchUp(w.rng.IntN(3)), SkipOvertime: w.rng.IntN(3) == 0,
		First: w.tickAfter(w.now.Truncate(time.Second)),
	}
	if w.rng.IntN(3) == 0 {
		x.First = w.tickAfter(w.now.Truncate(time.Second).Add(-5 * time.Second))
	}
	if w.rng.IntN(3) == 0 {
		x.SkipDelay = 3 * time.Second
	}
	return x
}

// tickAfter is a random later tick.
func (w *world) tickAfter(session time.Time) TickFacts {
	session = session.Add(time.Duration(1+w.rng.IntN(4)) * time.Second)
	return TickFacts{session, session.Add(time.Duration(w.rng.IntN(2)) * time.Second)}
}

func (w *world) deploy() {
	w.must(&Deploy{Manifest: w.manifest([]string{"v", "w", "x"}[:1+w.rng.IntN(3)])})
}

func (w *world) start() {
	if len(w.live.attempts) > 5 {
		return
	}
	in := &Start{
		Project: "p", Workflow: "v", Tree: w.objects.keep(w.t, w.tree("+v", 3)), UUID: "u",
		Session: w.now.Truncate(time.Second), SLA: w.sla(), RetryName: []string{"", "again"}[w.rng.IntN(2)],
	}
	in.Past = w.past(in.Workflow, in.Session)
	if p := w.live.ProjectNamed("p"); p != nil && w.rng.IntN(3) == 0 {
		r := p.Revisions()[w.rng.IntN(len(p.Revisions()))]
		in.Definition = r.Workflows[0].ID
	}
	if w.failed != nil && w.rng.IntN(2) == 0 {
		w.takeOver(in)
	}
	_ = w.step(in)
}

// takeOver has an attempt go on from the last one that failed.
func (w *world) takeOver(in *Start) {
	set, err := ResumeFailed(w.failed, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range set.Keys() {
		// What is generated here has another shape each time, and names that
		// mean something else.
		if strings.Contains(name, "^") {
			set.Delete(name)
		}
	}
	in.Tree, in.Resume = w.failedTree, Value{Map: set}
	w.failed = nil
}

func (w *world) sla() SLA {
	if w.rng.IntN(2) == 0 {
		return SLA{}
	}
	sla := SLA{At: w.now.Add(3 * time.Second), Alert: w.rng.IntN(2) == 0, Fail: w.rng.IntN(2) == 0}
	if w.rng.IntN(3) == 0 {
		sla.Tree = w.objects.keep(w.t, w.tree("^sla", 1))
	}
	return sla
}

// answer performs one effect, or lets time pass if there is none.
func (w *world) answer() {
	keys := sortedOwed(w.owed)
	if len(keys) == 0 {
		w.pass()
		return
	}
	k := keys[w.rng.IntN(len(keys))]
	e := w.owed[k]
	delete(w.owed, k)
	switch e := e.(type) {
	case *Dispatch:
		w.result(e)
	case *Revoke:
		_ = w.step(&TaskFailed{Lease: e.Lease, Failure: Value{Map: params.Of("message", "ended")}})
	case *EvaluateGroup:
		w.evaluate(e)
	case *ArchiveAttempt:
		w.archive(e.Attempt)
	case *Deliver:
		if w.rng.IntN(3) == 0 {
			_ = w.step(&AlertUndelivered{ID: e.ID, Retry: w.now.Add(time.Second), Why: "down"})
		} else {
			_ = w.step(&AlertSent{ID: e.ID, Thread: Thread{"c", fmt.Sprint(e.ID)}})
		}
	case *TickDue:
		w.tick(e)
	case *CatchUpDue:
		w.missed(e)
	}
}

// archive keeps of a finished attempt what later starts are to know.
func (w *world) archive(id uint64) {
	a := w.live.Attempt(id)
	// With options that are evaluated anew, groups order their children in another
	// way the second time: what is taken over stands in no order then.
	if a := w.live.Attempt(id); a != nil && !a.Succeeded && a.root() != nil && !dynamic(a.blocks[0].Tree) && a.blocks[0].Tree.Root().Name == "+"+a.Workflow {
		w.failed, w.failedTree = a.Record(), a.blocks[0].Tree
	}
	if err := w.step(&Archived{Attempt: id}); err != nil {
		return
	}
	key := sessionKey{workflowKey{a.Project, a.Workflow}, a.Session.Time.Unix()}
	past := w.history[key]
	if past == nil {
		past = &Past{Session: a.Session.SessionFacts, Names: map[string]uint64{}}
		w.history[key] = past
	}
	past.LastAttempt, past.Index = max(past.LastAttempt, id), max(past.Index, a.Index)
	past.Names[a.RetryName] = id
}

// past looks a session of project p up.
func (w *world) past(workflow string, session time.Time) *Past {
	p := w.live.ProjectNamed("p")
	if p == nil {
		return nil
	}
	return w.history[sessionKey{workflowKey{p.ID, workflow}, session.Unix()}]
}

func (w *world) evaluate(e *EvaluateGroup) {
	in := &GroupEvaluated{
		Attempt: e.Attempt, Task: e.Task,
		Parallel: Parallel{On: w.rng.IntN(2) == 0, Limit: w.rng.IntN(3)}, Retry: Retry{Limit: w.rng.IntN(2)},
	}
	if w.rng.IntN(5) == 0 {
		in.Failure = &Value{Map: params.Of("message", "cannot evaluate")}
	}
	_ = w.step(in)
}

func (w *world) tick(e *TickDue) {
	if w.rng.IntN(10) == 0 {
		_ = w.step(&TickFailed{Schedule: e.Schedule, Session: e.Session, Why: "not now"})
		return
	}
	in := &TickReady{
		Schedule: e.Schedule, Session: e.Session, Tree: w.objects.keep(w.t, w.tree("+w", 2)), UUID: "u",
		SLA: w.sla(), Next: w.tickAfter(e.Session),
	}
	if w.rng.IntN(20) == 0 {
		in.Next = TickFacts{}
	}
	if x := w.live.Schedule(e.Schedule); x != nil {
		in.Past = w.history[sessionKey{workflowKey{x.Project.ID, x.Workflow}, e.Session.Unix()}]
	}
	_ = w.step(in)
}

func (w *world) missed(e *CatchUpDue) {
	in := &TicksMissed{Schedule: e.Schedule, Next: e.From}
	for !in.Next.Run.After(w.now) {
		in.Ticks = append(in.Ticks, in.Next)
		in.Next = w.tickAfter(in.Next.Session)
	}
	if n := len(in.Ticks) - e.Limit; n > 0 {
		in.Ticks, in.Skipped = in.Ticks[n:], n
	}
	_ = w.step(in)
}

func (w *world) result(e *Dispatch) {
	switch w.rng.IntN(10) {
	case 0, 1:
		_ = w.step(&TaskFailed{
			Lease: e.Lease, Failure: Value{Map: params.Of("message", e.FullName)},
			Retry: Retry{Limit: w.rng.IntN(2), Interval: time.Second},
		})
	case 2, 3:
		_ = w.step(&TaskPostponed{
			Lease: e.Lease, After: time.Duration(w.rng.IntN(2)) * time.Second, State: Value{Map: params.Of("n", w.rng.IntN(5)/4)},
			Awaits: uint64(w.rng.IntN(3)) * w.rng.Uint64N(w.live.last.Attempt+1),
		})
	case 4:
		if err := w.step(&PollLasts{Lease: e.Lease}); err == nil {
			w.owed[e.Key()] = e
		}
	default:
		w.success(e)
	}
}

func (w *world) success(e *Dispatch) {
	in := &TaskSucceeded{Lease: e.Lease}
	if w.rng.IntN(2) == 0 {
		in.Result.Store.Map = params.Of(fmt.Sprintf("p%d", w.rng.IntN(4)), params.Of(fmt.Sprintf("q%d", w.rng.IntN(3)), w.rng.IntN(100)))
	}
	if w.rng.IntN(30) == 0 {
		in.Message = "look"
	}
	if a := w.live.Attempt(e.Lease.Attempt); w.rng.IntN(5) == 0 && a != nil && a.Size() < 100 && !w.closing {
		in.Sub = w.objects.keep(w.t, w.tree("^sub", 2))
		in.Retry = Retry{Limit: w.rng.IntN(2)}
	}
	if w.rng.IntN(8) == 0 {
		in.Check = w.objects.keep(w.t, w.tree("^check", 1))
	}
	_ = w.step(in)
}

// dynamic tells whether a group of the tree has options to be evaluated.
func dynamic(t *Tree) bool {
	for i := range t.Nodes {
		if t.Nodes[i].Options != nil {
			return true
		}
	}
	return false
}
