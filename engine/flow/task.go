package flow

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"gitdag/engine/params"
)

// TaskFlags mark a task beyond its state (language.md 4.2).
type TaskFlags uint8

// The flags.
const (
	CancelRequested TaskFlags = 1 << iota
	DelayedError
	DelayedGroupError
)

// BlockKind tells why a block of tasks was inserted.
type BlockKind uint8

// The kinds of blocks.
const (
	StaticBlock BlockKind = iota // the workflow as its author wrote it
	SubBlock                     // ^sub
	CheckBlock                   // ^check
	ErrorBlock                   // ^error
	AlertBlock                   // ^failure-alert
	SLABlock                     // ^sla, ^sla^alert, ^sla^fail
	RoundBlock                   // a retry round of a static group
)

// Block is a run of tasks inserted by one event: the nodes of a tree from an
// index on, numbered without gaps.
type Block struct {
	Base uint64 // id of the first task
	Kind BlockKind
	Tree *Tree

	from  int32 // node index of the first task
	owner *Task // the task that generated it; nil for the static block
	// behind is the ^sub that must succeed before this ^check may start.
	behind *Block
	at0    stamp // when it was inserted
	tasks  []Task
}

// newBlock makes the block that in describes: the whole of its tree, or, for a
// retry round, what lies below the node of its owner.
func newBlock(in *Insert, owner *Task) *Block {
	from, to := int32(0), int32(len(in.Tree.Nodes))
	if in.Kind == RoundBlock {
		from, to = in.Tree.Descendants(owner.node)
	}
	b := &Block{Base: in.Base, Kind: in.Kind, Tree: in.Tree, from: from, owner: owner, tasks: make([]Task, to-from)}
	for i := range b.tasks {
		b.tasks[i].block = b
		b.tasks[i].node = from + int32(i)
	}
	return b
}

// end returns the id after the block's last task.
func (b *Block) end() uint64 { return b.Base + uint64(len(b.tasks)) }

func (b *Block) at(node int32) *Task { return &b.tasks[node-b.from] }

// Task is one row of an attempt. What only few tasks have is kept apart, since
// a hundred thousand of them are a normal attempt.
type Task struct {
	block *Block
	more  *taskMore

	node      int32
	execution int32 // executions leased so far; the last one is the lease
	retries   int32 // repetitions used up
	// progressing counts the children that can still move. gate, on the first
	// of the siblings that wait for the same ones, counts those that have yet
	// to succeed, and after those of `_after`.
	progressing, gate, after int32

	state TaskState
	flags TaskFlags

	started, updated, due stamp
}

// taskMore is what a task has beyond its place and state.
type taskMore struct {
	wait   int64  // length of the current wait in milliseconds
	state  Value  // the operator's own state
	poll   *polls // while the operator asks to be run again
	result Result
	failed Value  // the error object
	note   string // why something that was asked for did not happen
	// old is what a task that was taken over is in the resume set, where its
	// author had written something else.
	old *params.Map

	parallel Parallel // the order in force, on groups
	retry    Retry    // the repetitions in force

	// round holds the children of the current retry round; nil for those of
	// the task's own block. generated holds what the task added, oldest first.
	round     *Block
	generated []*Block
	broken    []*Task // children of this round that failed

	// before is what the task sees of earlier siblings, seen what the children
	// reached so far by the gates see, taken how many children that covers.
	// past is what earlier rounds stored, contrib all that a later task sees of
	// this one and its descendants.
	before, seen, past, contrib params.Stores
	taken                       int32
	// errors are the error objects of the task and its descendants, merged;
	// pastErrors those of earlier rounds.
	errors, pastErrors *params.Map
}

// stamp is a time in milliseconds since the epoch; 0 for none.
type stamp int64

// ID returns the task's id.
func (t *Task) ID() uint64 { return t.block.Base + uint64(t.node-t.block.from) }

// Node returns what the author wrote.
func (t *Task) Node() *Node { return &t.block.Tree.Nodes[t.node] }

// State returns the state.
func (t *Task) State() TaskState { return t.state }

// Canceling tells whether the task's attempt was killed while it could still
// move.
func (t *Task) Canceling() bool { return t.flags&CancelRequested != 0 }

// Parent returns the task that this one hangs below; nil for the root.
func (t *Task) Parent() *Task {
	if p := t.Node().Parent; p >= t.block.from {
		return t.block.at(p)
	}
	return t.block.owner
}

// FullName returns the names from the root down, put together.
func (t *Task) FullName() string {
	var parts []string
	for ; t != nil; t = t.Parent() {
		parts = append(parts, t.Node().Name)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return b.String()
}

// ownMore returns the rare part of t, made with the order and the repetitions
// that the author wrote.
func (t *Task) ownMore() *taskMore {
	if t.more == nil {
		n := t.Node()
		t.more = &taskMore{parallel: n.Parallel, retry: n.Retry}
	}
	return t.more
}

// kids returns the block that holds the children which the author wrote, as
// copied by the latest retry round.
func (t *Task) kids() *Block {
	if t.more != nil && t.more.round != nil {
		return t.more.round
	}
	return t.block
}

// order returns the order in force among the children.
func (t *Task) order() Parallel {
	if t.more == nil {
		return t.Node().Parallel
	}
	return t.more.parallel
}

// contrib is what a later task sees of t and its descendants.
func (t *Task) contrib() params.Stores {
	if t.more == nil {
		return params.Stores{}
	}
	return t.more.contrib
}

// task finds a task of the attempt by its id.
func (a *Attempt) task(id uint64) *Task {
	i := sort.Search(len(a.blocks), func(i int) bool { return a.blocks[i].end() > id })
	if i == len(a.blocks) || a.blocks[i].Base > id {
		return nil
	}
	return &a.blocks[i].tasks[id-a.blocks[i].Base]
}

// root returns the attempt's first task; nil for one that has not begun.
func (a *Attempt) root() *Task {
	if len(a.blocks) == 0 {
		return nil
	}
	return &a.blocks[0].tasks[0]
}

// childErrors merges the error objects of the descendants in the order of
// their rows: later ones win (language.md 4.5). Children that were added with
// an id of before or above do not count.
func (t *Task) childErrors(before uint64) *params.Map {
	if t.more == nil {
		return nil
	}
	errs := t.more.pastErrors
	broken := slices.Clone(t.more.broken)
	slices.SortFunc(broken, func(a, b *Task) int { return cmp.Compare(a.ID(), b.ID()) })
	for _, b := range broken {
		if b.more != nil && b.ID() < before {
			errs = mergeErrors(errs, b.more.errors)
		}
	}
	return errs
}

// FailedTask returns the task that made t fail: the first of the failed
// children, and so on down; t itself if it has none.
func (t *Task) FailedTask() *Task {
	for t.more != nil && len(t.more.broken) > 0 {
		t = slices.MinFunc(t.more.broken, func(a, b *Task) int { return cmp.Compare(a.ID(), b.ID()) })
	}
	return t
}
