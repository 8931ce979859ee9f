package flow

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"gitdag/engine/params"
)

// Apply folds one event. It decides nothing; an event that does not fit the
// state is a broken invariant of whoever decided it, and panics.
func (s *State) Apply(e Event) {
	switch e := e.(type) {
	case *AttemptStarted:
		s.add(e, 0)
	case *Backfilled:
		s.applyBackfilled(e)
	case *AttemptBegun:
		s.plant(s.attempts[e.Attempt], e.Base, e.At)
	case *TaskMoved:
		s.applyMoved(e)
	case *SLAMissed:
		s.applySLAMissed(e)
	case *WaitRearmed:
		s.attempts[e.Attempt].task(e.Task).due = e.Due
	case *AttemptKilled:
		s.applyKilled(e)
	case *AttemptSettled:
		s.applySettled(e)
	case *AttemptArchived:
		s.applyArchived(e)
	case *Deployed:
		s.applyDeployed(e)
	case *ScheduleMoved:
		s.applyScheduleMoved(e)
	case *AlertRaised:
		s.applyAlertRaised(e)
	case *AlertDelayed:
		s.applyAlertDelayed(e)
	case *AlertClosed:
		s.applyAlertClosed(e)
	default:
		panic(fmt.Sprintf("flow: event %T", e))
	}
}

// add adds an attempt, which may have to wait for another one, and its session
// if that is new.
func (s *State) add(e *AttemptStarted, after uint64) {
	key := sessionKey{workflowKey{e.Session.Project, e.Session.Workflow}, e.Session.Time.Unix()}
	x := s.bySession[key]
	if x == nil {
		x = &Session{SessionFacts: e.Session}
		s.sessions[x.ID] = x
		s.ofSessions.add(x)
		s.bySession[key] = x
	}
	a := &Attempt{
		AttemptFacts: e.Attempt, Session: x, CreatedAt: e.At.time(),
		Waiting: true, After: after, tree: e.Tree,
	}
	x.attempts = append(x.attempts, a)
	s.attempts[a.ID] = a
	s.ofAttempts.add(a)
	s.last.Session = max(s.last.Session, x.ID)
	s.last.Attempt = max(s.last.Attempt, a.ID)
	s.enter(a)
	if e.Base != 0 {
		s.plant(a, e.Base, e.At)
	}
}

// plant gives an attempt its static tasks.
func (s *State) plant(a *Attempt, base uint64, at stamp) {
	b := newBlock(&Insert{Base: base, Tree: a.tree}, nil)
	a.blocks, a.size = []*Block{b}, len(b.tasks)
	a.Waiting, a.tree = false, nil
	s.waiting--
	b.at0 = at
	for i := range b.tasks {
		b.tasks[i].updated = at
	}
	s.last.Task = max(s.last.Task, b.end()-1)
	a.resume(b)
	root := a.root()
	if root.Node().Options != nil {
		root.state = Ready
		return
	}
	begin(root)
	root.credit()
	root.state = Planned
}

// applyMoved takes a task along a row of the transition table and keeps the
// counts that follow from it.
func (s *State) applyMoved(e *TaskMoved) {
	a, t := s.find(e.Attempt, e.Task)
	if t == nil {
		panic(fmt.Sprintf("flow: attempt %d has no task %d", e.Attempt, e.Task))
	}
	from := t.state
	if !allowed(from, e.By, e.To) {
		panic(fmt.Sprintf("flow: task %d: %v does not take %v to %v", e.Task, e.By, from, e.To))
	}
	t.state, t.updated = e.To, e.At
	if from == Running {
		s.running--
	}
	s.fold(a, t, e)
	s.count(t, from)
}

// fold takes over what a move carries.
func (s *State) fold(a *Attempt, t *Task, e *TaskMoved) {
	t.due = e.Due
	if e.By == Leased {
		s.running++
	}
	if e.Note != "" {
		t.ownMore().note = e.Note
	}
	if e.Retry != nil {
		t.ownMore().retry = *e.Retry
	}
	if e.Failure != nil {
		t.ownMore().failed = *e.Failure
	}
	t.foldPoll(e)
	t.fold(e)
	s.insertAll(a, t, e.Blocks, e.At)
	if e.To == Planned && e.By != Generated && e.By != Failing {
		begin(t)
		if a.Resume.Map.Len() > 0 {
			t.credit()
		}
	}
}

// fold takes over what the trigger means for the task itself.
func (t *Task) fold(e *TaskMoved) {
	switch e.By {
	case Opened:
		if before := t.visible(); !before.Empty() {
			t.ownMore().before = before
		}
	case Leased:
		t.execution++
		t.started = cmp.Or(t.started, e.At)
	case Evaluated:
		if e.Parallel != nil {
			t.ownMore().parallel = *e.Parallel
		}
		if e.Failure != nil {
			t.flags |= DelayedGroupError
		}
	case Succeeded:
		t.take(e.Result)
	case Postponed:
		t.ownMore().wait, t.retries = int64(e.Due-e.At), e.Retries
		t.more.state = e.State
	case Retried:
		t.ownMore().wait, t.retries = int64(e.Due-e.At), e.Retries
		t.closeRound()
	case Generated:
		t.flags |= DelayedGroupError
	case Failing:
		if e.To == Planned {
			t.flags |= DelayedError
		}
	}
}

// take keeps the result of the latest execution; an empty one leaves nothing
// of an earlier one.
func (t *Task) take(r *Result) {
	empty := r == nil || (r.Export.Map.Len() == 0 && r.Store.Map.Len() == 0 && len(r.Reset) == 0)
	switch {
	case !empty:
		t.ownMore().result = *r
	case t.more != nil:
		t.more.result = Result{}
	}
}

// insertAll adds the blocks of one event below t; a ^check stands behind the
// ^sub that came with it.
func (s *State) insertAll(a *Attempt, t *Task, blocks []Insert, at stamp) {
	var sub *Block
	for i := range blocks {
		b := s.insert(a, t, &blocks[i], at)
		switch b.Kind {
		case SubBlock:
			sub = b
		case CheckBlock:
			b.behind = sub
		}
	}
}

func (s *State) insert(a *Attempt, t *Task, in *Insert, at stamp) *Block {
	grown := *in
	grown.Tree = a.grown(t, in)
	b := newBlock(&grown, t)
	b.at0 = at
	for i := range b.tasks {
		b.tasks[i].updated = at
	}
	a.blocks = append(a.blocks, b)
	a.size += len(b.tasks)
	m := t.ownMore()
	if in.Kind == RoundBlock {
		m.round = b
	} else {
		m.generated = append(m.generated, b)
	}
	a.resume(b)
	s.last.Task = max(s.last.Task, b.end()-1)
	return b
}

// begin prepares a task whose children may start: it counts how many siblings
// each gate waits for.
func begin(t *Task) {
	n := t.Node()
	if !n.Group || len(n.kids) == 0 {
		return
	}
	b, order := t.kids(), t.order()
	if order.On {
		beginParallel(b, n, order)
		return
	}
	members := int32(0)
	for _, k := range n.kids {
		if b.Tree.Nodes[k].Background {
			members++
			continue
		}
		b.at(k).gate = members
		members = 1
	}
}

func beginParallel(b *Block, n *Node, order Parallel) {
	if limit := int32(order.Limit); limit > 0 {
		for ord := limit; ord < int32(len(n.kids)); ord += limit {
			b.at(n.kids[ord]).gate = limit
		}
	}
	for _, k := range n.kids {
		b.at(k).after = int32(len(b.Tree.Nodes[k].After))
	}
}

// closeRound sets what the children have stored aside before they are run
// again.
func (t *Task) closeRound() {
	m := t.ownMore()
	m.past, m.pastErrors = t.rounds(), t.childErrors(math.MaxUint64)
	m.seen, m.taken = params.Stores{}, 0
	// What the deadline failed stays failed: no round repeats it.
	m.broken = slices.DeleteFunc(m.broken, func(b *Task) bool { return b.block.Kind != SLABlock })
}

// count keeps the parent's counters after t has moved from a state.
func (s *State) count(t *Task, from TaskState) {
	p := t.Parent()
	was, is := from.Progressing(), t.state.Progressing()
	if p != nil {
		switch {
		case !was && is:
			p.progressing++
		case was && !is:
			p.progressing--
		}
	}
	if !t.state.Final() {
		return
	}
	finish(t)
	if p == nil {
		return
	}
	if t.state.Failed() {
		m := p.ownMore()
		m.broken = append(m.broken, t)
	}
	if t.state == Success {
		countDown(t, p)
	}
}

// finish works out what later tasks see of a task that is over.
func finish(t *Task) {
	c := t.gather()
	if t.more == nil && c.Empty() {
		return
	}
	m := t.ownMore()
	m.contrib = c
	if t.state != Success {
		m.errors = mergeErrors(m.failed.Map, t.childErrors(math.MaxUint64))
	}
	m.seen, m.past, m.before = params.Stores{}, params.Stores{}, params.Stores{}
}

// gather returns what t and its descendants stored: its own store first.
func (t *Task) gather() params.Stores {
	var c params.Stores
	if m := t.more; m != nil && (m.result.Store.Map.Len() > 0 || len(m.result.Reset) > 0) {
		c = c.Put(m.result.Store.Map, m.result.Reset)
	}
	return c.Append(t.below())
}

// below returns what the descendants of t stored: those of each round, then
// what was generated.
func (t *Task) below() params.Stores {
	c := t.rounds()
	if t.more != nil {
		for _, g := range t.more.generated {
			c = c.Append(g.tasks[0].contrib())
		}
	}
	return c
}

// rounds returns what the children stored that the author wrote: in earlier
// rounds, and in the present one in their order.
func (t *Task) rounds() params.Stores {
	var c params.Stores
	n, from := t.Node(), int32(0)
	if !n.Group {
		if t.more != nil {
			c = t.more.past // what was taken over from another attempt
		}
		return c
	}
	if t.more != nil {
		c = t.more.past.Append(t.more.seen)
		from = t.more.taken
	}
	b := t.kids()
	for _, k := range n.kids[from:] {
		c = c.Append(b.at(k).contrib())
	}
	return c
}

// countDown takes a task that succeeded off the gates of the siblings that
// wait for it. Whether a gate is open is read by Step.
func countDown(t, p *Task) {
	if t.generated() {
		return
	}
	n := p.Node()
	if g := gateAfter(t.block.Tree, n, t.Node().ordinal, p.order()); g >= 0 {
		first := t.block.at(n.kids[g])
		first.gate--
		if first.gate == 0 {
			p.advance(g)
		}
	}
	for _, k := range t.Node().followers {
		if p.order().On {
			t.block.at(k).after--
		}
	}
}

// generated tells whether t is the root of a block that its parent generated.
func (t *Task) generated() bool {
	return t.Node().Parent < t.block.from && t.block.Kind != RoundBlock
}

// advance extends what the children see to all those before ordinal g. Where
// tasks were taken over from another attempt, of another revision perhaps, a
// later gate may have opened first; what the earlier ones let in is added then.
func (t *Task) advance(g int32) {
	b, m := t.kids(), t.ownMore()
	from := m.taken
	if g < m.taken {
		m.seen, from, g = params.Stores{}, 0, m.taken
	}
	for _, k := range t.Node().kids[from:g] {
		m.seen = m.seen.Append(b.at(k).contrib())
	}
	m.taken = g
}

// visible returns what t sees of earlier siblings at the moment at which it
// opens (language.md 5.2).
func (t *Task) visible() params.Stores {
	p := t.Parent()
	if p == nil {
		return params.Stores{}
	}
	if t.generated() {
		if sub := t.block.behind; sub != nil {
			return sub.tasks[0].contrib()
		}
		return params.Stores{}
	}
	n, order := t.Node(), p.order()
	if !order.On {
		if n.Background || p.more == nil {
			return params.Stores{}
		}
		return p.more.seen
	}
	seen, from := params.Stores{}, int32(0)
	if order.Limit > 0 && n.ordinal >= int32(order.Limit) && p.more != nil {
		seen, from = p.more.seen, p.more.taken
	}
	for _, k := range t.block.Tree.predecessors(t.node, from) {
		seen = seen.Append(t.block.at(k).contrib())
	}
	return seen
}

// latest returns the newest block of a kind that t generated; nil for none.
func (t *Task) latest(kind BlockKind) *Block {
	if t.more == nil {
		return nil
	}
	for i := len(t.more.generated) - 1; i >= 0; i-- {
		if t.more.generated[i].Kind == kind {
			return t.more.generated[i]
		}
	}
	return nil
}

func (s *State) applySLAMissed(e *SLAMissed) {
	a := s.attempts[e.Attempt]
	a.SLAMissed = true
	s.insertAll(a, a.root(), e.Blocks, e.At)
}

func (s *State) applyKilled(e *AttemptKilled) {
	a := s.attempts[e.Attempt]
	a.Killed = true
	for t := range a.Tasks {
		if !t.state.Final() {
			t.flags |= CancelRequested
		}
	}
}

func (s *State) applySettled(e *AttemptSettled) {
	a := s.attempts[e.Attempt]
	a.Done, a.Succeeded, a.FinishedAt = true, e.Success, e.At.time()
	s.leave(a)
	key := workflowKey{a.Project, a.Workflow}
	h := s.health[key]
	switch {
	case a.Killed && !e.Success:
	case e.Success && h != nil:
		h.Failures = 0
	case !e.Success:
		if h == nil {
			h = &Health{}
			s.health[key] = h
		}
		if h.Failures == 0 {
			h.Since, h.Revision = e.At.time(), a.Revision
		}
		h.Failures++
	}
}

func (s *State) applyArchived(e *AttemptArchived) {
	a := s.attempts[e.Attempt]
	delete(s.attempts, a.ID)
	s.ofAttempts.remove(a)
	x := a.Session
	for i := range x.attempts {
		if x.attempts[i] == a {
			x.attempts = append(x.attempts[:i:i], x.attempts[i+1:]...)
			break
		}
	}
	if len(x.attempts) == 0 {
		delete(s.sessions, x.ID)
		s.ofSessions.remove(x)
		delete(s.bySession, sessionKey{workflowKey{x.Project, x.Workflow}, x.Time.Unix()})
	}
}

func (s *State) applyScheduleMoved(e *ScheduleMoved) {
	sched := s.schedule[e.Schedule]
	sched.UpdatedAt = e.At.time()
	sched.asked, sched.missed = nil, false
	sched.Next, sched.Tries = e.Next, e.Tries
	if e.Last != 0 {
		sched.Last = e.Last.time()
	}
	if e.Backlog != nil {
		sched.Backlog = e.Backlog
		if len(e.Backlog) == 0 {
			sched.Backlog = nil
		}
	}
	switch {
	case e.Disabled == nil:
	case *e.Disabled:
		sched.Disabled = e.At.time()
	default:
		sched.Disabled = time.Time{}
	}
}
