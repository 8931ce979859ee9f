package flow

import (
	"fmt"

	"gitdag/engine/params"
)

// DefaultTasks is the limit of rows of an attempt where none is set (L38).
const DefaultTasks = 100_000

// move takes a task along the table and queues a look at its surroundings.
func (st *step) move(a *Attempt, t *Task, e TaskMoved) {
	e.At, e.Attempt, e.Task = st.now, a.ID, t.ID()
	st.emit(&e)
	st.moved = append(st.moved, followUp{a, t})
}

// settleAll follows the moves until nothing moves any more. Whatever may start
// is opened before any task is settled: siblings can end in one step, and their
// parent is not over while one of them has followers, or the parent itself new
// children, that have yet to be opened.
func (st *step) settleAll() {
	defer func() { st.moved, st.unsettled = st.moved[:0], st.unsettled[:0] }()
	for opened, settled := 0, 0; ; {
		switch {
		case opened < len(st.moved):
			opened++
			st.follow(st.moved[opened-1])
		case settled < len(st.unsettled):
			settled++
			st.settle(st.unsettled[settled-1])
		default:
			return
		}
	}
}

// follow opens what waited for a task that has moved.
func (st *step) follow(f followUp) {
	switch {
	case f.t.state == Ready:
		st.becameReady(f.a, f.t)
	case f.t.state == Planned:
		st.openChildren(f.a, f.t)
		st.unsettled = append(st.unsettled, f)
	case f.t.state.Final():
		st.ended(f.a, f.t)
	}
}

// becameReady queues an operator task for a worker, and asks for the options
// of a group.
func (st *step) becameReady(a *Attempt, t *Task) {
	if t.Node().Group {
		st.effect(st.s.evaluate(a, t))
		return
	}
	a.ready = append(a.ready, t.ID())
	st.s.enqueue(a)
}

// open starts a task whose parent runs and whose upstreams have succeeded.
func (st *step) open(a *Attempt, t *Task) {
	if t.state != Blocked || t.Canceling() {
		return
	}
	to := Ready
	if n := t.Node(); n.Group && n.Options == nil {
		to = Planned
	}
	st.move(a, t, TaskMoved{By: Opened, To: to})
}

// openChildren opens what waits for nothing but t.
func (st *step) openChildren(a *Attempt, t *Task) {
	if t.more != nil {
		for _, b := range t.more.generated {
			if b.behind == nil || b.behind.tasks[0].state == Success {
				st.open(a, &b.tasks[0])
			}
		}
	}
	n := t.Node()
	if !n.Group || t.flags&(DelayedError|DelayedGroupError) != 0 {
		return
	}
	b, order := t.kids(), t.order()
	for ord, k := range n.kids {
		gate := int32(ord)
		if order.On {
			gate = gateFirst(gate, order)
		}
		// Later gates may be open where earlier ones are not: their members may
		// have been taken over from another attempt.
		if c := b.at(k); b.at(n.kids[gate]).gate == 0 && c.after == 0 {
			st.open(a, c)
		}
	}
}

// ended opens the siblings of a task that is over and has its parent looked at.
func (st *step) ended(a *Attempt, t *Task) {
	p := t.Parent()
	if p == nil {
		st.attemptOver(a)
		return
	}
	if t.state == Success {
		st.openFollowers(a, t, p)
	}
	st.unsettled = append(st.unsettled, followUp{a, p})
}

// openFollowers opens the siblings that have waited for t alone.
func (st *step) openFollowers(a *Attempt, t, p *Task) {
	if t.generated() {
		if check := p.latest(CheckBlock); check != nil && check.behind == t.block {
			st.open(a, &check.tasks[0])
		}
		return
	}
	n, b, order := p.Node(), t.block, p.order()
	if g := gateAfter(b.Tree, n, t.Node().ordinal, order); g >= 0 && b.at(n.kids[g]).gate == 0 {
		for _, k := range n.kids[g : g+gateSize(n, g, order)] {
			if c := b.at(k); c.after == 0 {
				st.open(a, c)
			}
		}
	}
	if !order.On {
		return
	}
	for _, k := range t.Node().followers {
		c := b.at(k)
		if c.after == 0 && b.at(n.kids[gateFirst(c.Node().ordinal, order)]).gate == 0 {
			st.open(a, c)
		}
	}
}

// gateFirst returns the ordinal that carries the count of the gate at which
// child ord of a parallel group waits.
func gateFirst(ord int32, p Parallel) int32 {
	if p.Limit <= 0 {
		return ord
	}
	return ord / int32(p.Limit) * int32(p.Limit)
}

// settle ends a task whose children can progress no more, or has them run
// again.
func (st *step) settle(f followUp) {
	a, t := f.a, f.t
	if t.state != Planned || t.progressing > 0 {
		return
	}
	switch {
	case t.Canceling():
		st.move(a, t, TaskMoved{By: Settled, To: Canceled})
	case t.flags&DelayedError != 0:
		st.move(a, t, TaskMoved{By: Settled, To: Error})
	case t.flags&DelayedGroupError != 0:
		st.move(a, t, TaskMoved{By: Settled, To: GroupError})
	case t.more == nil || len(t.more.broken) == 0:
		st.move(a, t, TaskMoved{By: Settled, To: Success})
	case st.retryable(t):
		due := st.now + stamp(t.more.retry.Wait(int(t.retries)).Milliseconds())
		st.wait(a, t, TaskMoved{By: Retried, To: GroupRetryWaiting, Due: due, Retries: t.retries + 1})
	default:
		st.childrenFailed(a, t)
	}
}

// retryable tells whether the children of t are to run again: for anything but
// a missed deadline, which no repetition mends.
func (st *step) retryable(t *Task) bool {
	if int(t.retries) >= t.more.retry.Limit {
		return false
	}
	for _, b := range t.more.broken {
		if b.block.Kind != SLABlock {
			return true
		}
	}
	return false
}

// wait moves a task into a wait, and out of it at once if it is over already.
func (st *step) wait(a *Attempt, t *Task, e TaskMoved) {
	e.At, e.Attempt, e.Task = st.now, a.ID, t.ID()
	st.emit(&e)
	if e.Due <= st.now {
		st.waited(a, t)
		return
	}
	st.s.timers.add(e.Due, timerTask, a.ID, t.ID())
}

// waited ends a wait. The children of a group are copied anew and run again;
// an operator runs again and generates its own (language.md 4.7).
func (st *step) waited(a *Attempt, t *Task) {
	if !t.Node().Group {
		st.move(a, t, TaskMoved{By: Waited, To: Ready})
		return
	}
	st.emit(&TaskMoved{At: st.now, Attempt: a.ID, Task: t.ID(), By: Waited, To: Ready})
	from, to := t.block.Tree.Descendants(t.node)
	e := TaskMoved{By: Recopied, To: Planned}
	if from < to {
		e.Blocks = []Insert{{Base: st.s.last.Task + 1, Kind: RoundBlock}}
	}
	st.move(a, t, e)
}

// childrenFailed gives `_error`, and at the root the failure alert, their turn
// before t fails.
func (st *step) childrenFailed(a *Attempt, t *Task) {
	blocks, note := st.failureBlocks(a, t)
	if len(blocks) == 0 {
		st.move(a, t, TaskMoved{By: Settled, To: GroupError, Note: note})
		return
	}
	st.move(a, t, TaskMoved{By: Generated, To: Planned, Blocks: blocks, Note: note})
}

// failureBlocks returns what a group that fails adds: its `_error`, and at the
// root the failure alert.
func (st *step) failureBlocks(a *Attempt, t *Task) (blocks []Insert, note string) {
	blocks, note = st.errorBlock(a, t)
	if t.Parent() != nil {
		return blocks, note
	}
	alert := Insert{Base: st.s.last.Task + 1, Kind: AlertBlock}
	for i := range blocks {
		blocks[i].Base++
	}
	return append([]Insert{alert}, blocks...), note
}

// TooManyTasks is the error of a start, or the reason of a failure, that would
// take an attempt over its limit of tasks.
type TooManyTasks struct{ Limit, Current, Adding int }

func (e *TooManyTasks) Error() string {
	return fmt.Sprintf("Too many tasks. Limit: %d, Current: %d, Adding: %d", e.Limit, e.Current, e.Adding)
}

// room returns an error unless n more tasks fit into an attempt that has some.
func (s *State) room(have, n int) error {
	limit := s.config.TasksPerAttempt
	if limit == 0 {
		limit = DefaultTasks
	}
	if have+n > limit {
		return &TooManyTasks{Limit: limit, Current: have, Adding: n}
	}
	return nil
}

// holder returns the task that a lease is in force for.
func (st *step) holder(l Lease) (*Attempt, *Task, error) {
	a, t := st.s.find(l.Attempt, l.Task)
	if t == nil || t.state != Running && !t.pollIs(pollRuns) || leaseOf(a, t) != l {
		return nil, nil, ErrStaleLease
	}
	return a, t, nil
}

// leased returns the task that a lease is in force for, of which there is more
// to tell than that it waits on.
func (st *step) leased(l Lease) (*Attempt, *Task, error) {
	a, t, err := st.holder(l)
	if err == nil && t.state != Running {
		st.admit(a, t)
	}
	return a, t, err
}

func (st *step) taskSucceeded(in *TaskSucceeded) error {
	a, t, err := st.leased(in.Lease)
	if err != nil {
		return err
	}
	if t.Canceling() {
		st.move(a, t, TaskMoved{By: Killed, To: Canceled})
		return nil
	}
	if in.Broken != nil {
		st.fail(a, t, *in.Broken)
		return nil
	}
	blocks, n := st.subtasks(in)
	if n > 0 {
		if err := st.s.room(a.size, n); err != nil {
			text := err.Error() + " (task limit exceeded)"
			st.fail(a, t, Value{Map: params.Of("message", text, "stacktrace", text+", at "+t.FullName())})
			return nil
		}
	}
	e := TaskMoved{By: Succeeded, To: Success, Result: &in.Result, Blocks: blocks}
	if n > 0 {
		e.To, e.Retry = Planned, &in.Retry
	}
	st.move(a, t, e)
	if in.Message != "" {
		alert := st.about(a, AlertMessage)
		alert.Task, alert.Message = t.FullName(), in.Message
		st.raise(alert)
	}
	return nil
}

func (st *step) subtasks(in *TaskSucceeded) (blocks []Insert, n int) {
	next := st.s.last.Task + 1
	if in.Sub != nil {
		blocks = append(blocks, Insert{Base: next, Kind: SubBlock, Tree: in.Sub})
		n = len(in.Sub.Nodes)
	}
	if in.Check != nil {
		blocks = append(blocks, Insert{Base: next + uint64(n), Kind: CheckBlock, Tree: in.Check})
		n += len(in.Check.Nodes)
	}
	return blocks, n
}

func (st *step) taskFailed(in *TaskFailed) error {
	a, t, err := st.leased(in.Lease)
	if err != nil {
		return err
	}
	switch {
	case t.Canceling():
		st.move(a, t, TaskMoved{By: Killed, To: Canceled})
	case int(t.retries) < in.Retry.Limit:
		st.again(a, t, in.Retry)
	default:
		st.fail(a, t, in.Failure)
	}
	return nil
}

// again has an operator that failed run once more, with the state it was
// started with.
func (st *step) again(a *Attempt, t *Task, r Retry) {
	e := TaskMoved{
		By: Postponed, To: RetryWaiting, Retries: t.retries + 1,
		Due: st.now + stamp(r.Wait(int(t.retries)).Milliseconds()),
	}
	if t.more != nil {
		e.State = t.more.state
	}
	st.wait(a, t, e)
}

// fail ends an operator that failed for good, after its `_error` has run.
func (st *step) fail(a *Attempt, t *Task, failure Value) {
	e := TaskMoved{By: Failing, To: Error, Failure: &failure}
	if e.Blocks, e.Note = st.errorBlock(a, t); len(e.Blocks) > 0 {
		e.To = Planned
	}
	st.move(a, t, e)
}

// errorBlock returns the `_error` subtree of t as a block to add, or a note
// that says why there is none although its author asked for one.
func (st *step) errorBlock(a *Attempt, t *Task) (blocks []Insert, note string) {
	tree := t.Node().Error
	if tree == nil {
		return nil, ""
	}
	if err := st.s.room(a.size, len(tree.Nodes)); err != nil {
		return nil, "_error is not run: " + err.Error()
	}
	return []Insert{{Base: st.s.last.Task + 1, Kind: ErrorBlock}}, ""
}

func (st *step) taskPostponed(in *TaskPostponed) error {
	a, t, err := st.holder(in.Lease)
	if err != nil {
		return err
	}
	switch {
	case t.Canceling():
		st.move(a, t, TaskMoved{By: Killed, To: Canceled})
		return nil
	case t.state != Running && alike(in.State.Map, t.more.state.Map):
		st.rest(a, t, in)
		return nil
	case t.state != Running:
		st.admit(a, t)
	}
	st.wait(a, t, TaskMoved{
		By: Postponed, To: RetryWaiting, Retries: t.retries, State: in.State,
		Due: st.now + stamp(max(in.After, 0).Milliseconds()),
	})
	st.await(a, t, in.Awaits)
	return nil
}

func (st *step) groupEvaluated(in *GroupEvaluated) error {
	a, t := st.s.find(in.Attempt, in.Task)
	if t == nil || t.state != Ready || !t.Node().Group {
		return ErrStaleLease
	}
	if in.Failure == nil {
		st.move(a, t, TaskMoved{By: Evaluated, To: Planned, Parallel: &in.Parallel, Retry: &in.Retry})
		return nil
	}
	e := TaskMoved{By: Evaluated, To: GroupError, Failure: in.Failure}
	if e.Blocks, e.Note = st.failureBlocks(a, t); len(e.Blocks) > 0 {
		e.To = Planned
	}
	st.move(a, t, e)
	return nil
}

// kill marks an attempt and ends what can be ended: waiting tasks at once,
// running ones through their workers.
func (st *step) kill(id uint64) error {
	a := st.s.attempts[id]
	switch {
	case a == nil:
		return ErrNoAttempt
	case a.Done:
		return ErrFinished
	case a.Killed:
		return nil
	}
	st.end(a)
	return nil
}

// end has an attempt end: what waits at once, and what runs through its
// workers.
func (st *step) end(a *Attempt) {
	st.emit(&AttemptKilled{At: st.now, Attempt: a.ID})
	if a.Waiting {
		st.attemptOver(a)
		return
	}
	for t := range a.Tasks {
		if t.pollIs(pollRuns) {
			st.admit(a, t)
		}
		switch t.state {
		case Ready, RetryWaiting, GroupRetryWaiting:
			st.move(a, t, TaskMoved{By: Killed, To: Canceled})
		case Running:
			st.effect(&Revoke{Lease: leaseOf(a, t)})
		}
	}
}

func leaseOf(a *Attempt, t *Task) Lease {
	l := Lease{Attempt: a.ID, Task: t.ID(), Execution: int(t.execution)}
	if t.more != nil && t.more.poll != nil {
		l.Poll = int(t.more.poll.count)
	}
	if t.pollIs(pollRuns) {
		l.Execution++
	}
	return l
}
