package flow

import (
	"fmt"
	"slices"
	"time"

	"gitdag/engine/params"
)

// Tree is a compiled task tree: a workflow, or a subtree that a task
// generated. It is immutable once [Tree.Link] has returned nil, and shared by
// every state and worker that needs it.
type Tree struct {
	// Ref names the object that holds the encoded tree; empty while the tree
	// has not been written. The shell sets it before the tree enters an input.
	Ref string
	// Nodes stand in depth-first file order, the root at index 0.
	Nodes []Node

	kids []int32 // children of all nodes, grouped by parent; Node.kids point into it
}

// Node is one task of a [Tree] as its author wrote it.
type Node struct {
	// Name is the task's own part of the full name: "+load", "^sub".
	Name string
	// Parent is the index of the parent node; -1 for the root.
	Parent int32
	// Group tells a task that only contains children from an operator task.
	Group bool
	// Background, in a sequential parent, starts the task with its parent (L6).
	Background bool
	// After lists node indices of earlier siblings that must succeed first,
	// beyond what the parent's order asks for (L8).
	After []int32
	// Parallel is how the children are ordered; meaningful on groups.
	Parallel Parallel
	// Retry is how often the children are run again; zero for none.
	Retry Retry
	// Options holds the raw `_retry` and `_parallel` of a group where one of
	// them has a template: they are evaluated when the group becomes ready
	// (L31). Nil where both are plain.
	Options *params.Map
	// Config holds the task's own keys, unevaluated, without `_export`,
	// `_background`, `_after` and children.
	Config *params.Map
	// Export is the task's `_export`, unevaluated; nil for none.
	Export *params.Map
	// Error is the compiled `_error` subtree, rooted at "^error"; nil for none.
	Error *Tree
	// Timeout bounds the running time of one execution of an operator task;
	// zero leaves it to the limits of the agent.
	Timeout time.Duration

	end     int32   // index after the last descendant
	ordinal int32   // position among the siblings
	kids    []int32 // node indices of the children, in order
	// next is the ordinal of the next foreground sibling, -1 for none, and
	// followers the siblings whose After names this node.
	next      int32
	followers []int32
}

// Parallel is the order of a group's children. The zero value is sequential.
type Parallel struct {
	On bool
	// Limit cuts the children into consecutive batches of that size (L7);
	// 0 means one batch.
	Limit int
}

// Retry says how often failed work is done again.
type Retry struct {
	// Limit counts repetitions after the first run.
	Limit int
	// Interval is the wait before the first repetition.
	Interval time.Duration
	// Exponential doubles the wait with each repetition, up to Max where Max
	// is positive.
	Exponential bool
	Max         time.Duration
}

// Wait returns the pause before repetition n, counted from 0.
func (r Retry) Wait(n int) time.Duration {
	if !r.Exponential {
		return r.Interval
	}
	wait := r.Interval
	for range n {
		if wait >= maxRetryWait || (r.Max > 0 && wait >= r.Max) {
			break
		}
		wait *= 2
	}
	if r.Max > 0 {
		wait = min(wait, r.Max)
	}
	return min(wait, maxRetryWait)
}

// maxRetryWait keeps a doubled interval from overflowing.
const maxRetryWait = 100 * 365 * 24 * time.Hour

// Link checks that the nodes form one tree in depth-first order and prepares
// it for use. It must be called once, before the tree is shared.
func (t *Tree) Link() error {
	if len(t.Nodes) == 0 || t.Nodes[0].Parent != -1 {
		return fmt.Errorf("task tree without a root")
	}
	counts := make([]int32, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		n.end = int32(i) + 1
		n.kids = nil
		if i == 0 {
			continue
		}
		if n.Parent < 0 || n.Parent >= int32(i) {
			return fmt.Errorf("task %q stands before its parent", n.Name)
		}
		n.ordinal = counts[n.Parent]
		counts[n.Parent]++
	}
	// Children are later than their parents, so one backward pass carries the
	// extents up.
	for i := len(t.Nodes) - 1; i > 0; i-- {
		p := &t.Nodes[t.Nodes[i].Parent]
		p.end = max(p.end, t.Nodes[i].end)
	}
	t.kids = make([]int32, 0, len(t.Nodes)-1)
	for i := range t.Nodes {
		if counts[i] == 0 {
			continue
		}
		from := len(t.kids)
		for c := int32(i) + 1; c < t.Nodes[i].end; c = t.Nodes[c].end {
			if t.Nodes[c].Parent != int32(i) {
				return fmt.Errorf("task %q is not in depth-first order", t.Nodes[c].Name)
			}
			t.kids = append(t.kids, c)
		}
		t.Nodes[i].kids = t.kids[from:len(t.kids):len(t.kids)]
		t.linkForeground(t.Nodes[i].kids)
	}
	return t.linkAfter()
}

// linkForeground notes for each child the next foreground one.
func (t *Tree) linkForeground(kids []int32) {
	next := int32(-1)
	for ord := len(kids) - 1; ord >= 0; ord-- {
		n := &t.Nodes[kids[ord]]
		n.next = next
		if !n.Background {
			next = int32(ord)
		}
	}
}

func (t *Tree) linkAfter() error {
	for i := range t.Nodes {
		t.Nodes[i].followers = nil
	}
	for i := range t.Nodes {
		for _, a := range t.Nodes[i].After {
			if a < 0 || a >= int32(i) || t.Nodes[a].Parent != t.Nodes[i].Parent {
				return fmt.Errorf("task %q waits for a task that is no earlier sibling", t.Nodes[i].Name)
			}
			t.Nodes[a].followers = append(t.Nodes[a].followers, int32(i))
		}
	}
	return nil
}

// Root returns the node that the tree hangs from.
func (t *Tree) Root() *Node { return &t.Nodes[0] }

// Descendants returns the half-open range of node indices below node i.
func (t *Tree) Descendants(i int32) (from, to int32) { return i + 1, t.Nodes[i].end }

// Children returns the node indices of the children of node i, in order.
func (t *Tree) Children(i int32) []int32 { return t.Nodes[i].kids }

// Upstreams returns the node indices of the siblings that node i waits for
// when its parent orders its children by p.
func (t *Tree) Upstreams(i int32, p Parallel) []int32 {
	n := &t.Nodes[i]
	if n.Parent < 0 {
		return nil
	}
	kids := t.Nodes[n.Parent].kids
	from, to := gateMembers(t, kids, n.ordinal, p)
	ups := append([]int32(nil), kids[from:to]...)
	if p.On {
		ups = append(ups, n.After...)
	}
	return ups
}

// gateMembers returns the half-open range of ordinals that child ord waits
// for. Sequential children wait for the last foreground sibling and every
// background one since (language.md 3.1); children of a limited parallel group
// wait for the whole batch before theirs (3.2).
func gateMembers(t *Tree, kids []int32, ord int32, p Parallel) (from, to int32) {
	if p.On {
		if p.Limit <= 0 || ord < int32(p.Limit) {
			return 0, 0
		}
		batch := ord / int32(p.Limit)
		return (batch - 1) * int32(p.Limit), batch * int32(p.Limit)
	}
	if t.Nodes[kids[ord]].Background {
		return 0, 0
	}
	for from = ord; from > 0; from-- {
		if !t.Nodes[kids[from-1]].Background {
			return from - 1, ord
		}
	}
	return 0, ord
}

// gateAfter returns the ordinal of the first sibling of the gate that child
// ord of n is a member of; -1 if nobody waits for it.
func gateAfter(t *Tree, n *Node, ord int32, p Parallel) int32 {
	if !p.On {
		return t.Nodes[n.kids[ord]].next
	}
	if p.Limit <= 0 {
		return -1
	}
	g := (ord/int32(p.Limit) + 1) * int32(p.Limit)
	if g >= int32(len(n.kids)) {
		return -1
	}
	return g
}

// gateSize returns how many siblings from ordinal g on wait at one gate.
func gateSize(n *Node, g int32, p Parallel) int32 {
	if !p.On {
		return 1
	}
	return min(int32(p.Limit), int32(len(n.kids))-g)
}

// predecessors returns, in order, the siblings from ordinal from on that node
// i waits for by its After lists, directly or through others.
func (t *Tree) predecessors(i, from int32) []int32 {
	var found []int32
	todo := t.Nodes[i].After
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if t.Nodes[k].ordinal < from || slices.Contains(found, k) {
			continue
		}
		found = append(found, k)
		todo = append(todo[:len(todo):len(todo)], t.Nodes[k].After...)
	}
	slices.Sort(found)
	return found
}
