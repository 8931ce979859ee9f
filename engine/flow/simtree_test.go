package flow

import (
	"fmt"
	"slices"
	"time"

	"gitdag/engine/params"
)

// tree makes a random tree.
func (w *world) tree(name string, depth int) *Tree {
	t := &Tree{}
	w.grow(t, name, -1, depth, Parallel{}, nil)
	if err := t.Link(); err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (w *world) grow(t *Tree, name string, parent int32, depth int, order Parallel, siblings []int32) {
	i := int32(len(t.Nodes))
	n := Node{Name: name, Parent: parent, Config: params.Of("k", len(t.Nodes))}
	if parent >= 0 && !order.On {
		n.Background = w.rng.IntN(6) == 0
	}
	if order.On && len(siblings) > 0 && w.rng.IntN(3) == 0 {
		n.After = []int32{siblings[w.rng.IntN(min(2, len(siblings)))]}
	}
	if w.rng.IntN(5) == 0 && depth > 0 {
		n.Error = w.tree("^error", depth-1)
	}
	if w.rng.IntN(4) == 0 {
		n.Retry = Retry{Limit: w.rng.IntN(3), Interval: time.Duration(w.rng.IntN(3)) * time.Second}
	}
	if depth > 0 && w.rng.IntN(3) > 0 || parent < 0 && name[0] == '+' {
		n.Group = true
		switch w.rng.IntN(3) {
		case 0:
			n.Parallel = Parallel{On: true, Limit: w.rng.IntN(4)}
		case 1:
			if w.rng.IntN(3) == 0 {
				n.Options = params.Of("_parallel", params.Template("${p}"))
			}
		}
	}
	t.Nodes = append(t.Nodes, n)
	if !n.Group {
		return
	}
	if n.Options == nil && w.rng.IntN(6) == 0 {
		t.burst(i)
		return
	}
	var kids []int32
	for c := range w.rng.IntN(5) * min(1, w.rng.IntN(3)) { // a third are empty: they end in the step that opens them
		order := n.Parallel
		kid := int32(len(t.Nodes))
		w.grow(t, fmt.Sprintf("+%c", 'a'+c), i, depth-1, order, kids)
		kids = append(kids, kid)
	}
}

// burst gives a group two tasks and two empty groups that end together in the
// step in which the second task succeeds.
func (t *Tree) burst(group int32) {
	t.Nodes[group].Parallel = Parallel{On: true}
	t.Nodes = append(t.Nodes, Node{Name: "+p", Parent: group}, Node{Name: "+q", Parent: group})
	for _, name := range []string{"+r", "+s"} {
		t.Nodes = append(t.Nodes, Node{Name: name, Parent: group, Group: true, After: []int32{group + 2}})
	}
}

// visibleTo merges the stores of a view.
func visibleTo(v *View) *params.Map {
	p := params.NewMap(0)
	for i := range v.Levels {
		l := &v.Levels[i]
		p = l.Before.ApplyTo(p)
		if l.Store != nil {
			p = params.Merge(p, l.Store)
		}
	}
	return p
}

// naiveVisible follows language.md 5.2 word for word.
func naiveVisible(a *Attempt, t *Task) *params.Map {
	p := params.NewMap(0)
	var path []*Task
	for x := t; x != nil; x = x.Parent() {
		path = append([]*Task{x}, path...)
	}
	for _, x := range path {
		for _, u := range upstreamsOf(a, x, map[uint64]bool{}) {
			p = applyAll(a, u, p)
		}
		if x != t && x.more != nil && x.more.result.Store.Map != nil {
			p = params.Merge(p, x.more.result.Store.Map)
		}
	}
	return p
}

func upstreamsOf(a *Attempt, t *Task, seen map[uint64]bool) []*Task {
	for _, id := range t.upstreams() {
		if !seen[id] {
			seen[id] = true
			upstreamsOf(a, a.task(id), seen)
		}
	}
	var ids []uint64
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var list []*Task
	for _, id := range ids {
		list = append(list, a.task(id))
	}
	return list
}

func applyAll(a *Attempt, t *Task, p *params.Map) *params.Map {
	if t.more != nil && t.more.result.Store.Map != nil {
		p = params.Merge(p, t.more.result.Store.Map)
	}
	if t.execution == 0 && t.state == Success && !t.Node().Group {
		p = storesBelow(mapOf(a.Resume.Map, t.FullName())).ApplyTo(p)
	}
	for c := range a.Tasks {
		if c.Parent() == t {
			p = applyAll(a, c, p)
		}
	}
	return p
}
