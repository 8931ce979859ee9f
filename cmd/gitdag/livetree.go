package main

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"gitdag/engine/flow"
	"gitdag/engine/local"
)

// liveTask is a task as the live tree knows it. Tasks that have yet to begin are
// not there.
type liveTask struct {
	id     uint64
	parent *liveTask
	name   string
	group  bool
	state  flow.TaskState
	kids   []*liveTask // by id
	kept   int         // kids that succeeded
	ended  int         // kids that succeeded and are not there any more
	node   int32       // in the static tree; -1 for what is not in it

	began, over time.Time
	rounds      int    // repetitions so far
	what        string // what it does, as it is shown
	failure     string
	output      []byte // the end of what it has printed
}

// What is kept of a run is bounded, however many tasks it has.
const (
	keptKids   = 50      // that have succeeded, of one task
	keptTasks  = 2000    // in all, before the kids of what has succeeded are let go
	keptOutput = 4 << 10 // bytes of a running task
)

// liveModel is the state of a run as far as it is shown. It is not safe for
// concurrent use.
type liveModel struct {
	tree  *flow.Tree // of the workflow; nil before it starts
	roots []*liveTask
	tasks map[uint64]*liveTask
	early map[uint64]string // what tasks are about to do that are not there yet

	started              time.Time
	stopped              bool // nothing runs any more, whatever its state
	done, running, wrong int  // operator tasks
}

func newLiveModel(now time.Time) *liveModel {
	return &liveModel{tasks: map[uint64]*liveTask{}, early: map[uint64]string{}, started: now}
}

// move folds a change of state.
func (m *liveModel) move(mv local.Move, now time.Time) {
	t := m.tasks[mv.Task]
	if t == nil {
		if mv.State == flow.Ready {
			return // a hundred thousand may wait for their turn
		}
		if t = m.add(mv); t == nil {
			return
		}
	}
	before := t.state
	t.state = mv.State
	m.count(t, before)
	switch {
	case mv.State == flow.Running, mv.State == flow.Planned:
		if t.began.IsZero() {
			t.began = now
		}
		if before == flow.Ready && t.rounds > 0 && t.group {
			m.forgetKids(t)
		}
	case mv.State == flow.GroupRetryWaiting:
		t.rounds++
	case mv.State == flow.RetryWaiting && t.failure != "":
		t.rounds++
	case mv.State.Final():
		t.over = now
		if t.state == flow.Success {
			m.succeeded(t)
		}
	}
}

func (m *liveModel) add(mv local.Move) *liveTask {
	what := m.early[mv.Task]
	delete(m.early, mv.Task)
	parent := m.tasks[mv.Parent]
	if mv.Parent != 0 && parent == nil {
		return nil // below what is let go
	}
	t := &liveTask{id: mv.Task, parent: parent, name: mv.Name, group: mv.Group, node: -1, what: what}
	m.tasks[t.id] = t
	list := &m.roots
	if parent != nil {
		list = &parent.kids
	}
	at, _ := slices.BinarySearchFunc(*list, t.id, func(t *liveTask, id uint64) int { return cmp.Compare(t.id, id) })
	*list = slices.Insert(*list, at, t)
	m.place(t)
	return t
}

// place finds a task in the workflow's tree: the static tasks are numbered as
// its nodes are.
func (m *liveModel) place(t *liveTask) {
	if m.tree == nil || len(m.roots) == 0 || t.id < m.roots[0].id {
		return
	}
	if i := t.id - m.roots[0].id; i < uint64(len(m.tree.Nodes)) && m.tree.Nodes[i].Name == t.name {
		t.node = int32(i)
	}
}

// count keeps the numbers of operator tasks.
func (m *liveModel) count(t *liveTask, before flow.TaskState) {
	if t.group {
		return
	}
	add := func(s flow.TaskState, n int) {
		switch s {
		case flow.Running:
			m.running += n
		case flow.Success:
			m.done += n
		case flow.Error, flow.GroupError:
			m.wrong += n
		}
	}
	add(before, -1)
	add(t.state, 1)
}

// succeeded lets go what nobody will ask for.
func (m *liveModel) succeeded(t *liveTask) {
	t.output, t.failure = nil, ""
	if len(m.tasks) > keptTasks {
		m.forgetKids(t)
	}
	p := t.parent
	if p == nil {
		return
	}
	if p.kept++; p.kept <= keptKids {
		return
	}
	i := slices.IndexFunc(p.kids, func(kid *liveTask) bool { return kid.state == flow.Success })
	m.forget(p.kids[i])
	p.kids = slices.Delete(p.kids, i, i+1)
	p.kept--
	p.ended++
}

// forgetKids lets the kids of a task go: it is over, or a new round begins.
func (m *liveModel) forgetKids(t *liveTask) {
	for _, kid := range t.kids {
		m.forget(kid)
	}
	if t.ended += t.kept; t.state != flow.Success {
		t.ended = 0
	}
	t.kids, t.kept = nil, 0
}

func (m *liveModel) forget(t *liveTask) {
	delete(m.tasks, t.id)
	for _, kid := range t.kids {
		m.forget(kid)
	}
}

// begin notes what a task is about to do. Some begin before their move is told.
func (m *liveModel) begin(id uint64, what string) {
	what = printable(what)
	if t := m.tasks[id]; t != nil {
		t.what, t.failure = what, ""
	} else {
		m.early[id] = what
	}
}

// fail notes why a task failed.
func (m *liveModel) fail(id uint64, message string) {
	if t := m.tasks[id]; t != nil {
		t.failure = message
	}
}

// print keeps the end of what a task prints.
func (m *liveModel) print(id uint64, p []byte) {
	t := m.tasks[id]
	if t == nil {
		return
	}
	t.output = append(t.output, p[max(0, len(p)-keptOutput):]...)
	if over := len(t.output) - keptOutput; over > keptOutput {
		t.output = append(t.output[:0], t.output[over:]...)
	}
}

// lastLines are the last lines that a task has printed.
func (t *liveTask) lastLines(n int) []string {
	text := bytes.TrimRight(t.output[max(0, len(t.output)-keptOutput):], "\r\n")
	if len(text) == 0 {
		return nil
	}
	lines := bytes.Split(text, []byte("\n"))
	lines = lines[max(0, len(lines)-n):]
	list := make([]string, len(lines))
	for i, line := range lines {
		list[i] = printable(string(line))
	}
	return list
}

// next are the names of kids of a static group that have yet to begin, at most
// n of them, and how many more there are.
func (m *liveModel) next(t *liveTask, n int) (names []string, more int) {
	if t.node < 0 || !t.group || t.state.Final() || t.rounds > 0 {
		return nil, 0
	}
	nodes := m.tree.Children(t.node)
	begun, last := map[int32]bool{}, int32(-1)
	for _, kid := range t.kids {
		if kid.node >= 0 {
			begun[kid.node] = true
			last = kid.node
		}
	}
	for _, node := range nodes {
		if len(names) == n {
			break
		}
		if !begun[node] && (t.ended == 0 || node > last) {
			names = append(names, m.tree.Nodes[node].Name)
		}
	}
	return names, max(0, len(nodes)-len(begun)-t.ended-len(names))
}
