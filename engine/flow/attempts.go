package flow

import (
	"time"

	"gitdag/engine/params"
)

// The names of tasks that the core adds to a root.
const (
	alertTask    = "^failure-alert"
	slaTask      = "^sla"
	slaAlertTask = "^sla^alert"
	slaFailTask  = "^sla^fail"
)

// grown returns the tree of a block that is added below t.
func (a *Attempt) grown(t *Task, in *Insert) *Tree {
	switch in.Kind {
	case RoundBlock:
		return t.block.Tree
	case ErrorBlock:
		return t.Node().Error
	case AlertBlock:
		return operatorTree(alertTask, "notify", "Workflow session attempt failed")
	case SLABlock:
		switch in.Name {
		case slaAlertTask:
			return operatorTree(slaAlertTask, "notify", "SLA violation")
		case slaFailTask:
			return operatorTree(slaFailTask, "fail", "SLA violation")
		}
		return a.SLA.Tree
	}
	return in.Tree
}

// operatorTree is a tree of one operator task.
func operatorTree(name, typ, command string) *Tree {
	t := &Tree{Nodes: []Node{{
		Name: name, Parent: -1, Config: params.Of("_type", typ, "_command", command),
	}}}
	if err := t.Link(); err != nil {
		panic(err)
	}
	return t
}

// start makes a new attempt unless the session has one of its name.
func (st *step) start(in *Start) error {
	w := st.s.startable(in)
	if w == nil {
		return ErrNoWorkflow
	}
	if err := st.s.conflict(w, in.Session, in.RetryName, in.Past); err != nil {
		return err
	}
	if err := st.s.admit(1, len(in.Tree.Nodes)); err != nil {
		return err
	}
	facts := st.s.facts(w)
	facts.RetryName, facts.Params, facts.Resume, facts.SLA = in.RetryName, in.Params, in.Resume, in.SLA
	st.begin(w, in, facts)
	return nil
}

// startable returns the definition that a start means; nil if there is none
// whose project is live.
func (s *State) startable(in *Start) *Workflow {
	if in.Definition == 0 {
		if p := s.byProject[in.Project]; p != nil {
			return p.Workflow(in.Workflow)
		}
		return nil
	}
	if w := s.definitions[in.Definition]; w != nil {
		if w.Project.DeletedAt.IsZero() {
			return w
		}
		return nil
	}
	if in.Former != nil {
		return s.former(in.Former)
	}
	return nil
}

// former returns a definition that is not kept any more as an attempt knew it;
// nil if its project is gone.
func (s *State) former(f *AttemptFacts) *Workflow {
	p := s.projects[f.Project]
	if p == nil {
		return nil
	}
	return &Workflow{
		ID: f.Definition, Name: f.Workflow, Revision: f.Revision, Timezone: f.Timezone, Ref: f.Ref,
		Project: p, revision: &Revision{Name: f.Revision, Commit: f.Commit, Checkout: f.Checkout},
	}
}

// conflict tells whether a session has an attempt of a name already.
func (s *State) conflict(w *Workflow, session time.Time, name string, past *Past) error {
	if taken := s.Taken(w, session, name, past); taken != 0 {
		return &Conflict{Attempt: taken}
	}
	return nil
}

// Taken returns the attempt that stands in the way of another one of a name in
// a workflow's session, of which the history knows past; 0 for none. Without a
// name it is the newest attempt (server.md 1.7).
func (s *State) Taken(w *Workflow, session time.Time, name string, past *Past) uint64 {
	var taken, newest uint64
	if past != nil {
		taken, newest = past.Names[name], past.LastAttempt
	}
	if x := s.bySession[keyOf(w, session)]; x != nil {
		for _, a := range x.attempts {
			newest = max(newest, a.ID)
			if a.RetryName == name {
				taken = a.ID
			}
		}
	}
	if taken != 0 && name == "" {
		return newest
	}
	return taken
}

func keyOf(w *Workflow, session time.Time) sessionKey {
	return sessionKey{workflowKey{w.Project.ID, w.Name}, session.Unix()}
}

// facts are what an attempt of a definition is started with; the rest depends
// on who starts it.
func (s *State) facts(w *Workflow) AttemptFacts {
	return AttemptFacts{
		ID: s.last.Attempt + 1, Project: w.Project.ID, ProjectName: w.Project.Name, Workflow: w.Name,
		Definition: w.ID, Ref: w.Ref, Revision: w.Revision, Commit: w.revision.Commit,
		Checkout: w.revision.Checkout, Timezone: w.Timezone,
	}
}

// sessionFor returns the session of a start, which gets the id next if it is
// new, and the number of the start's attempt in it.
func (s *State) sessionFor(w *Workflow, in *Start, next uint64) (x SessionFacts, index int) {
	x = SessionFacts{
		ID: next, UUID: in.UUID, Project: w.Project.ID, Workflow: w.Name,
		Time: in.Session.Truncate(time.Second).UTC(),
	}
	if in.Past != nil {
		x, index = in.Past.Session, in.Past.Index
	}
	if live := s.bySession[keyOf(w, in.Session)]; live != nil {
		x = live.SessionFacts
		for _, a := range live.attempts {
			index = max(index, a.Index)
		}
	}
	return x, index + 1
}

// begin starts an attempt of a workflow, or has it wait where too many run. Of
// in it takes what makes the session.
func (st *step) begin(w *Workflow, in *Start, facts AttemptFacts) {
	s := st.s
	e := &AttemptStarted{At: st.now, Attempt: facts, Tree: in.Tree}
	e.Session, e.Attempt.Index = s.sessionFor(w, in, s.last.Session+1)
	if waits := len(s.queue) > 0 || s.crowded(); !waits {
		e.Base = s.last.Task + 1
	}
	st.emit(e)
	st.out.Attempt = facts.ID
	a := s.attempts[facts.ID]
	if a.Waiting {
		s.line(a)
		return
	}
	st.begun(a)
}

// slaDue acts on a deadline that has passed before the attempt was over
// (language.md 8.2).
func (st *step) slaDue(id uint64) {
	a := st.s.attempts[id]
	// The deadline of one that waits counts once it has begun.
	if a == nil || a.Done || a.SLAMissed || a.Waiting || a.root().state.Final() || a.Killed {
		return
	}
	e := &SLAMissed{At: st.now, Attempt: id}
	next := st.s.last.Task + 1
	add := func(name string, n int) {
		e.Blocks = append(e.Blocks, Insert{Base: next, Kind: SLABlock, Name: name})
		next += uint64(n)
	}
	if a.SLA.Alert {
		add(slaAlertTask, 1)
	}
	if a.SLA.Fail {
		add(slaFailTask, 1)
	}
	if a.SLA.Tree != nil {
		add(slaTask, len(a.SLA.Tree.Nodes))
	}
	st.emit(e)
	root := a.root()
	for _, b := range root.more.generatedSince(len(e.Blocks)) {
		st.open(a, &b.tasks[0])
	}
	if a.SLA.Alert {
		st.raise(st.about(a, AlertSLAMissed))
	}
}

// generatedSince returns the last n blocks.
func (m *taskMore) generatedSince(n int) []*Block {
	if m == nil {
		return nil
	}
	return m.generated[len(m.generated)-n:]
}

// attemptOver settles an attempt whose root has reached a final state, or that
// was killed before it began. It tells of a failure or recovery, and gives those
// that have waited for it their turn.
func (st *step) attemptOver(a *Attempt) {
	root, next := a.root(), st.s.successors[a.ID]
	before := st.s.Health(a.Project, a.Workflow)
	st.emit(&AttemptSettled{At: st.now, Attempt: a.ID, Success: root != nil && root.state == Success})
	after := st.s.Health(a.Project, a.Workflow)
	switch {
	case a.Succeeded && before.Failures > 0:
		alert := st.about(a, AlertRecovered)
		alert.Failures, alert.Since, alert.SinceRev = before.Failures, before.Since, before.Revision
		st.raise(alert)
	case !a.Succeeded && !a.Killed:
		failed := root.FailedTask()
		alert := st.about(a, AlertFailed)
		alert.Task, alert.TaskID, alert.Message = failed.FullName(), failed.ID(), failed.message()
		alert.Failures, alert.Since, alert.SinceRev = after.Failures, after.Since, after.Revision
		st.raise(alert)
	}
	st.effect(&ArchiveAttempt{Attempt: a.ID})
	st.awaken(a.ID)
	if next != nil {
		st.queued(next)
	}
	if sched := st.s.schedule[a.Scheduled]; a.CaughtUp && sched != nil {
		st.ask(sched)
	}
}

// message returns the text of the task's error.
func (t *Task) message() string {
	if t.more == nil {
		return ""
	}
	v, _ := t.more.failed.Map.Lookup("message")
	text, _ := params.Text(v)
	return text
}

// about fills an alert with what is known of an attempt.
func (st *step) about(a *Attempt, kind string) Alert {
	alert := Alert{
		Kind: kind, Incident: "workflow/" + a.ProjectName + "/" + a.Workflow,
		ProjectID: a.Project, Project: a.ProjectName, Workflow: a.Workflow,
		Session: a.Session.Time, Timezone: a.Timezone, Attempt: a.ID,
		SessionID: a.Session.ID, SessionUUID: a.Session.UUID, Definition: a.Definition,
		Revision: a.Revision, Commit: a.Commit, Duration: st.now.time().Sub(a.CreatedAt),
	}
	if p := st.s.projects[a.Project]; p != nil {
		alert.Repo = p.Repo
		if sched := p.schedules[a.Workflow]; sched != nil {
			alert.Next = sched.Next.Run
		}
	}
	return alert
}

// archived drops an attempt whose record is in the history.
func (st *step) archived(id uint64) error {
	a := st.s.attempts[id]
	if a == nil || !a.Done {
		return ErrNoAttempt
	}
	st.emit(&AttemptArchived{Attempt: id})
	return nil
}

// boot takes stock after the state was rebuilt. Whatever ran is lost with its
// result and becomes ready again, unless it has survived; ticks that fell due meanwhile are missed.
func (st *step) boot(survived map[Lease]bool) {
	s := st.s
	for _, sched := range s.schedule {
		sched.asked, sched.missed = nil, sched.Disabled.IsZero() && isDue(sched.Next, st.now)
	}
	s.turns, s.queue, s.running = nil, nil, s.countRunning()
	for _, a := range s.Attempts() {
		st.reboot(a, survived)
	}
	s.resetTimers()
	st.rearm()
	s.seenAt = st.now
	for _, sched := range s.Schedules() {
		st.ask(sched)
	}
}

// reboot puts the tasks of an attempt back where they can go on: those that
// ran before those that have yet to.
func (st *step) reboot(a *Attempt, survived map[Lease]bool) {
	a.ready, a.queued = nil, false
	switch {
	case a.Waiting && a.Killed: // the end of the batch was lost
		st.attemptOver(a)
	case a.Waiting:
		st.queued(a)
	}
	var ready []uint64
	for t := range a.Tasks {
		switch {
		case t.state == Running && t.Canceling():
			st.move(a, t, TaskMoved{By: Killed, To: Canceled})
		case t.state == Running && survived[leaseOf(a, t)]:
			// Its lease goes on, with the slot that it has.
		case t.state == Running:
			st.emit(&TaskMoved{At: st.now, Attempt: a.ID, Task: t.ID(), By: Lost, To: Ready})
			a.ready = append(a.ready, t.ID())
		case t.state == Ready && !t.Node().Group:
			ready = append(ready, t.ID())
		}
	}
	a.ready = append(a.ready, ready...)
	st.s.enqueue(a)
}

// resetTimers works out all reminders afresh.
func (s *State) resetTimers() {
	s.timers = s.timers[:0]
	for _, a := range s.attempts {
		if !a.Done && !a.SLAMissed && !a.SLA.At.IsZero() {
			s.timers.add(stampOf(a.SLA.At), timerSLA, a.ID, 0)
		}
		s.armTTL(a)
		for t := range a.Tasks {
			if waiting(t.state) {
				s.timers.add(t.due, timerTask, a.ID, t.ID())
			}
		}
	}
	for _, sched := range s.schedule {
		s.armSchedule(sched)
	}
	for id, p := range s.alerts {
		p.waiting = s.incidents[p.Alert.Incident][0] != id
		if !p.waiting && !p.Due.IsZero() {
			s.timers.add(stampOf(p.Due), timerAlert, id, 0)
		}
	}
}

// Leases calls yield with what ran when the process ended, tasks that are being
// killed excepted. It is asked before [Boot].
func (s *State) Leases(yield func(Lease) bool) {
	for _, a := range s.Attempts() {
		for t := range a.Tasks {
			if t.state == Running && !t.Canceling() && !yield(leaseOf(a, t)) {
				return
			}
		}
	}
}

// Pending returns what a restarted process still owes the world. It is asked
// once, after [Boot].
func (s *State) Pending() []Effect {
	var owed []Effect
	for _, a := range s.Attempts() {
		if a.Done {
			owed = append(owed, &ArchiveAttempt{Attempt: a.ID})
			continue
		}
		for t := range a.Tasks {
			switch {
			case t.state == Running:
				owed = append(owed, s.dispatch(a, t, t.updated))
			case t.state == Ready && t.Node().Group:
				owed = append(owed, s.evaluate(a, t))
			}
		}
	}
	for _, sched := range s.Schedules() {
		if sched.asked != nil {
			owed = append(owed, sched.asked)
		}
	}
	for _, p := range s.Alerts() {
		if !p.waiting && p.Due.IsZero() {
			owed = append(owed, s.deliver(p))
		}
	}
	return owed
}
