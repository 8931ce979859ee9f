package flow

import (
	"time"

	"gitdag/engine/params"
)

// View is what an execution sees: an immutable picture of the parameter layers
// at the moment of its lease, to be merged by its worker (language.md 5.2).
type View struct {
	Attempt AttemptFacts
	Session SessionFacts
	// Levels go from the root to the task itself.
	Levels []Level
}

// Level is one task on the way from the root to the task that runs.
type Level struct {
	// Before is what earlier siblings stored.
	Before params.Stores
	// Export is the static `_export`, unevaluated; Returned and Store are what
	// the task's own operator returned, empty for the task that runs.
	Export   *params.Map
	Returned *params.Map
	Store    *params.Map
	Reset    []string
	// Error is the `error` parameter of an ^error subtree's root, with what
	// its owner's descendants stored in Stores; nil elsewhere.
	Error  *params.Map
	Stores params.Stores
}

// dispatch is the effect that runs a task leased at a time.
func (s *State) dispatch(a *Attempt, t *Task, now stamp) *Dispatch {
	d := &Dispatch{
		Lease: leaseOf(a, t), Node: t.Node(), Kind: t.block.Kind,
		View: view(a, t), FullName: t.FullName(), Repeated: t.repeated(), Leased: now.time(),
	}
	if t.more != nil {
		d.State = t.more.state.Map
	}
	ttl := t.Node().Timeout
	if ttl == 0 {
		ttl = s.config.TaskTTL
	}
	if ttl > 0 {
		d.Deadline = d.Leased.Add(ttl)
	}
	return d
}

// repeated tells whether t runs in a retry, its own or one around it.
func (t *Task) repeated() bool {
	for ; t != nil; t = t.Parent() {
		if t.retries > 0 {
			return true
		}
	}
	return false
}

func (s *State) evaluate(a *Attempt, t *Task) *EvaluateGroup {
	return &EvaluateGroup{Attempt: a.ID, Task: t.ID(), Node: t.Node(), View: view(a, t), FullName: t.FullName()}
}

// view takes the picture of the layers above and at t.
func view(a *Attempt, t *Task) *View {
	depth := 0
	for p := t; p != nil; p = p.Parent() {
		depth++
	}
	v := &View{Attempt: a.AttemptFacts, Session: a.Session.SessionFacts, Levels: make([]Level, depth)}
	for p := t; p != nil; p = p.Parent() {
		depth--
		v.Levels[depth] = level(p, p != t)
	}
	return v
}

func level(t *Task, ancestor bool) Level {
	l := Level{Export: t.Node().Export}
	if m := t.more; m != nil {
		l.Before = m.before
		if ancestor {
			l.Returned, l.Store, l.Reset = m.result.Export.Map, m.result.Store.Map, m.result.Reset
		}
	}
	if t.generated() && t.block.Kind == ErrorBlock {
		l.Error, l.Stores = t.block.errorObject(), t.block.owner.below()
	}
	return l
}

// errorObject is the `error` parameter of an ^error block: its owner's failure
// if that failed itself, and those of its descendants, merged. What fails once
// the block is there is no reason for it.
func (b *Block) errorObject() *params.Map {
	m := b.owner.more
	if m == nil {
		return params.NewMap(0)
	}
	e := mergeErrors(m.failed.Map, b.owner.childErrors(b.Base))
	if e == nil {
		e = params.NewMap(0)
	}
	return e
}

// Row is a task as people and the API see it.
type Row struct {
	ID        uint64
	Parent    uint64 // 0 for the root
	FullName  string
	Group     bool
	State     TaskState
	Canceling bool
	Execution int
	Retries   int
	Upstreams []uint64
	Config    *params.Map
	Export    *params.Map // static
	Returned  *params.Map // exported by the operator
	Store     *params.Map
	OpState   *params.Map
	Error     *params.Map
	Note      string
	StartedAt time.Time
	UpdatedAt time.Time
	RetryAt   time.Time
}

// Row returns the task's row.
func (t *Task) Row() Row {
	n := t.Node()
	r := Row{
		ID: t.ID(), FullName: t.FullName(), Group: n.Group, State: t.state, Canceling: t.Canceling(),
		Execution: int(t.execution), Retries: int(t.retries), Upstreams: t.upstreams(),
		Config: n.Config, Export: n.Export,
		UpdatedAt: t.updated.time(),
	}
	if p := t.Parent(); p != nil {
		r.Parent = p.ID()
	}
	if t.generated() && t.block.Kind == ErrorBlock {
		r.Export = params.Merge(n.Export, params.Of("error", t.block.errorObject()))
	}
	if !n.Group {
		r.StartedAt = t.started.time()
	}
	if waiting(t.state) {
		due, _ := t.ends()
		r.RetryAt = due.time()
	}
	if m := t.more; m != nil {
		r.Returned, r.Store, r.OpState = m.result.Export.Map, m.result.Store.Map, m.state.Map
		r.Error, r.Note = m.failed.Map, m.note
		if m.old != nil {
			r.Config, r.Export = mapOf(m.old, resumeConfig), mapOf(m.old, resumeStatic)
		}
	}
	return r
}

// upstreams returns the ids of the siblings that t waits for.
func (t *Task) upstreams() []uint64 {
	p := t.Parent()
	if p == nil {
		return nil
	}
	if t.generated() {
		if sub := t.block.behind; sub != nil {
			return []uint64{sub.Base}
		}
		return nil
	}
	var ids []uint64
	for _, k := range t.block.Tree.Upstreams(t.node, p.order()) {
		ids = append(ids, t.block.at(k).ID())
	}
	return ids
}

// Record is an attempt that is over, whole and free of the state: what the
// history keeps.
type Record struct {
	Session    SessionFacts
	Attempt    AttemptFacts
	Scheduled  bool
	CreatedAt  time.Time
	FinishedAt time.Time
	Killed     bool
	Succeeded  bool
	Tasks      []Row
}

// Record returns the attempt's record.
func (a *Attempt) Record() *Record {
	r := &Record{
		Session: a.Session.SessionFacts, Attempt: a.AttemptFacts, Scheduled: a.Scheduled != 0,
		CreatedAt: a.CreatedAt, FinishedAt: a.FinishedAt, Killed: a.Killed, Succeeded: a.Succeeded,
		Tasks: make([]Row, 0, a.size),
	}
	for t := range a.Tasks {
		r.Tasks = append(r.Tasks, t.Row())
	}
	return r
}
