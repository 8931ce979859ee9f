package flow

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"gitdag/engine/params"
)

// Decode reads a state that [State.Encode] wrote. What follows from the rows
// (gates, counters, the stores that tasks see) is worked out afresh.
func Decode(r io.Reader, config Config, objects Objects) (*State, error) {
	s := New(config)
	d := json.NewDecoder(bufio.NewReaderSize(r, 1<<16))
	d.DisallowUnknownFields()
	d2 := &stateDecoder{s: s, objects: objects}
	for line := 1; ; line++ {
		var l wireLine
		if err := d.Decode(&l); err == io.EOF && line > 1 {
			break
		} else if err != nil {
			return nil, fmt.Errorf("decode state: line %d: %w", line, err)
		}
		if line == 1 && l.Version != snapshotVersion {
			return nil, fmt.Errorf("decode state: format %d is not known, only %d", l.Version, snapshotVersion)
		}
		if err := d2.line(&l); err != nil {
			return nil, fmt.Errorf("decode state: line %d: %w", line, err)
		}
	}
	for _, a := range s.attempts {
		if len(a.blocks) == 0 && !a.Waiting && !(a.Done && a.Killed) {
			return nil, fmt.Errorf("decode state: attempt %d has no tasks", a.ID)
		}
		a.rebuild()
	}
	s.running = s.countRunning()
	s.resetTimers()
	return s, nil
}

type stateDecoder struct {
	s       *State
	objects Objects
	attempt *Attempt // of the last attempt line
}

func (d *stateDecoder) line(l *wireLine) error {
	switch {
	case l.Last != nil:
		d.s.last = *l.Last
	case l.Repo != nil:
		d.s.repos[l.Repo.Name] = l.Repo
	case l.Project != nil:
		d.project(l.Project)
	case l.Schedule != nil:
		return d.schedule(l.Schedule)
	case l.Session != nil:
		x := &Session{SessionFacts: *l.Session}
		d.s.sessions[x.ID] = x
		d.s.ofSessions.add(x)
		d.s.bySession[sessionKey{workflowKey{x.Project, x.Workflow}, x.Time.Unix()}] = x
	case l.Attempt != nil:
		return d.attemptLine(l.Attempt)
	case l.Block != nil:
		return d.block(l.Block)
	case l.Alert != nil:
		d.s.hold(l.Alert)
	case l.Health != nil:
		h := l.Health.Health
		d.s.health[workflowKey{l.Health.Project, l.Health.Workflow}] = &h
	}
	return nil
}

func (d *stateDecoder) project(w *wireProject) {
	p := &Project{
		ID: w.ID, Name: w.Name, Repo: w.Repo, Path: w.Path, Tree: w.Tree, Checkout: w.Checkout,
		Revision: w.Revision, Commit: w.Commit, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
		DeletedAt: w.DeletedAt, schedules: map[string]*Schedule{},
	}
	live := wireRevision{
		ID: w.RevisionID, Name: w.Revision, Tree: w.Tree, Checkout: w.Checkout, Commit: w.Commit,
		CreatedAt: w.UpdatedAt, Archive: w.Archive, Workflows: w.Workflows,
	}
	if live.ID == 0 { // from when revisions had none
		d.s.last.Revision++
		live.ID = d.s.last.Revision
	}
	// The live one comes last, as it did.
	for i := len(w.Older) - 1; i >= 0; i-- {
		d.s.adopt(p, d.revision(p, &w.Older[i]), len(w.Older)+1)
	}
	d.s.adopt(p, d.revision(p, &live), len(w.Older)+1)
	if !p.DeletedAt.IsZero() {
		d.s.bury(p)
		return
	}
	d.s.projects[p.ID] = p
	d.s.byProject[p.Name] = p
}

func (d *stateDecoder) revision(p *Project, w *wireRevision) *Revision {
	r := &Revision{
		ID: w.ID, Name: w.Name, Tree: w.Tree, Checkout: w.Checkout, Commit: w.Commit,
		CreatedAt: w.CreatedAt, Archive: w.Archive,
	}
	for _, f := range w.Workflows {
		r.Workflows = append(r.Workflows, &Workflow{
			ID: f.ID, Project: p, Name: f.Name, Revision: r.Name, Timezone: f.Timezone, Ref: f.Ref, Tasks: f.Tasks, revision: r,
		})
	}
	return r
}

func (d *stateDecoder) schedule(w *wireSchedule) error {
	p := d.s.projects[w.Project]
	if p == nil {
		return fmt.Errorf("schedule %d: no project %d", w.ID, w.Project)
	}
	x := &Schedule{
		ID: w.ID, Project: p, Workflow: w.Workflow, Timezone: w.Timezone, Hash: w.Hash,
		CatchUp: w.CatchUp, SkipOvertime: w.SkipOvertime, SkipDelay: w.SkipDelay,
		Next: w.Next.tick(), Last: w.Last, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt, Disabled: w.Disabled,
		Tries: w.Tries,
	}
	for i := range w.Backlog {
		x.Backlog = append(x.Backlog, w.Backlog[i].tick())
	}
	d.s.schedule[x.ID] = x
	p.schedules[x.Workflow] = x
	return nil
}

func (d *stateDecoder) attemptLine(w *wireAttempt) error {
	x := d.s.sessions[w.Session]
	if x == nil || w.Facts == nil {
		return fmt.Errorf("attempt without its session %d", w.Session)
	}
	facts, err := w.Facts.facts(d.objects)
	if err != nil {
		return err
	}
	a := &Attempt{
		AttemptFacts: facts, Session: x, CreatedAt: time.UnixMilli(w.CreatedAt).UTC(),
		FinishedAt: stamp(w.FinishedAt).time(), Killed: w.Killed, Done: w.Done,
		Succeeded: w.Succeeded, SLAMissed: w.SLAMissed, After: w.After, restoring: true,
	}
	if a.tree, err = w.Tree.tree(d.objects); err != nil {
		return err
	}
	a.Waiting = a.tree != nil
	x.attempts = append(x.attempts, a)
	d.s.attempts[a.ID] = a
	d.s.ofAttempts.add(a)
	d.s.enter(a)
	d.attempt = a
	return nil
}

func (d *stateDecoder) block(w *wireBlock) error {
	a := d.attempt
	kind := slices.Index(blockNames[:], w.Kind)
	if a == nil || kind < 0 || a.Waiting {
		return fmt.Errorf("block %q without its attempt", w.Kind)
	}
	t, err := w.Tree.tree(d.objects)
	if err != nil {
		return err
	}
	in := Insert{Base: w.Base, Kind: BlockKind(kind), Name: w.Name, Tree: t}
	b, err := d.place(a, &in, w)
	if err != nil {
		return fmt.Errorf("block %d: %w", w.Base, err)
	}
	for i := range w.Rows {
		if err := d.row(b, &w.Rows[i]); err != nil {
			return fmt.Errorf("block %d: %w", w.Base, err)
		}
	}
	return nil
}

// place adds a block to its attempt: the static one first, the others in the
// order of their ids.
func (d *stateDecoder) place(a *Attempt, in *Insert, w *wireBlock) (*Block, error) {
	static := in.Kind == StaticBlock
	if static != (len(a.blocks) == 0) || in.Base == 0 || in.Base > maxID {
		return nil, fmt.Errorf("a %s block is out of place", w.Kind)
	}
	if static {
		if in.Tree == nil {
			return nil, fmt.Errorf("without a tree")
		}
		b := newBlock(in, nil)
		a.blocks, a.size, b.at0 = []*Block{b}, len(b.tasks), stamp(w.At)
		for i := range b.tasks {
			b.tasks[i].updated = b.at0
		}
		return b, nil
	}
	owner := a.task(w.Owner)
	if owner == nil {
		return nil, fmt.Errorf("no task %d", w.Owner)
	}
	if last := a.blocks[len(a.blocks)-1]; in.Base < last.end() {
		return nil, fmt.Errorf("its tasks are taken")
	}
	if a.grown(owner, in) == nil {
		return nil, fmt.Errorf("without a tree")
	}
	b := d.s.insert(a, owner, in, stamp(w.At))
	if w.Behind == 0 {
		return b, nil
	}
	sub := a.task(w.Behind)
	if sub == nil {
		return nil, fmt.Errorf("no task %d", w.Behind)
	}
	b.behind = sub.block
	return b, nil
}

// maxID is above any id that a state can come to give out.
const maxID = 1 << 62

func (d *stateDecoder) row(b *Block, w *wireRow) error {
	if w.Node < b.from || int(w.Node-b.from) >= len(b.tasks) {
		return fmt.Errorf("no node %d", w.Node)
	}
	if w.State > Canceled {
		return fmt.Errorf("state %d of node %d is not known", w.State, w.Node)
	}
	t := b.at(w.Node)
	t.state, t.flags, t.execution, t.retries = w.State, w.Flags, w.Execution, w.Retries
	t.started, t.updated, t.due = stamp(w.Started), stamp(w.Updated), stamp(w.Due)
	if t.state == RetryWaiting && t.retries == 0 {
		// With repetitions it may wait for another one; then its next poll is an
		// execution.
		t.ownMore().poll = &polls{}
	}
	if w.More == nil {
		return nil
	}
	m := t.ownMore()
	m.wait, m.note = w.More.Wait, w.More.Note
	var err error
	if m.state, err = w.More.State.value(d.objects); err != nil {
		return err
	}
	if m.failed, err = w.More.Failed.value(d.objects); err != nil {
		return err
	}
	if w.More.Parallel != nil {
		m.parallel = w.More.Parallel.parallel()
	}
	if w.More.Retry != nil {
		m.retry = w.More.Retry.retry()
	}
	r, err := w.More.Result.result(d.objects)
	if r != nil {
		m.result = *r
	}
	return err
}

func (s *State) countRunning() int {
	n := 0
	for _, a := range s.attempts {
		for t := range a.Tasks {
			if t.state == Running {
				n++
			}
		}
	}
	return n
}

// rebuild works out what the rows of an attempt imply. Children have higher
// ids than their parents, so what goes up the tree is done from the last task
// to the first, and what goes down from the first to the last.
func (a *Attempt) rebuild() {
	for _, b := range a.blocks {
		a.resume(b)
	}
	a.restoring = false
	rounds := map[*Task][]*Block{}
	for _, b := range a.blocks {
		if b.Kind == RoundBlock {
			rounds[b.owner] = append(rounds[b.owner], b)
		}
	}
	for i := len(a.blocks) - 1; i >= 0; i-- {
		for j := len(a.blocks[i].tasks) - 1; j >= 0; j-- {
			a.blocks[i].tasks[j].rebuildUp(rounds)
		}
	}
	for t := range a.Tasks {
		if t.state.Final() {
			if t.more != nil {
				t.more.seen, t.more.past, t.more.before = params.Stores{}, params.Stores{}, params.Stores{}
			}
			continue
		}
		if t.state == Blocked {
			continue
		}
		if before := t.visible(); !before.Empty() {
			t.ownMore().before = before
		}
	}
}

// rebuildUp works out the counters, gates and stores of t from its children.
func (t *Task) rebuildUp(rounds map[*Task][]*Block) {
	n := t.Node()
	if n.Group && len(n.kids) > 0 && t.state != Blocked && t.state != Ready {
		t.rebuildRounds(rounds[t])
	}
	if t.more != nil {
		for _, g := range t.more.generated {
			t.recount(&g.tasks[0])
		}
	}
	if t.state.Final() {
		finish(t)
	}
}

// rebuildRounds goes through the rounds of a group as they went.
func (t *Task) rebuildRounds(later []*Block) {
	kids := t.Node().kids
	rounds := append([]*Block{t.block}, later...)
	for i, b := range rounds {
		if i > 0 {
			t.closeRound()
			t.more.round = b
		} else if len(later) > 0 {
			t.ownMore().round = nil
		}
		begin(t)
		for _, k := range kids {
			c := b.at(k)
			t.recount(c)
			if c.state == Success {
				countDown(c, t)
			}
		}
	}
	if t.state == GroupRetryWaiting {
		t.closeRound()
	}
}

// recount counts a child in.
func (t *Task) recount(c *Task) {
	if c.state.Progressing() {
		t.progressing++
	}
	if c.state.Failed() {
		m := t.ownMore()
		m.broken = append(m.broken, c)
	}
}
