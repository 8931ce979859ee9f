package flow

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gitdag/engine/params"
)

// The keys of a task in a resume set: see [ResumeFailed].
const (
	resumeStore   = "store"
	resumeExport  = "export"
	resumeBelow   = "below"
	resumeUpdated = "updated" // milliseconds
	// What its author had written, where the new attempt has something else.
	resumeConfig = "config"
	resumeStatic = "static"
)

// ResumeFailed returns what a new attempt may take over from an old one that
// did not succeed: each task that did, by its full name, with what it stored
// and exported and what its generated tasks stored. The alert, `_error` and SLA
// tasks are never taken over (server.md Q31). Of several rows of a name the
// latest counts (L40). A task goes on to show the configuration that it ran
// with; the set names it where it is not the one of into, the tree that the new
// attempt begins with.
func ResumeFailed(r *Record, into *Tree) (*params.Map, error) {
	rows := newRowTree(r, into)
	if root := rows.latest["+"+r.Attempt.Workflow]; root != nil && root.State == Success {
		return nil, fmt.Errorf("attempt %d succeeded: there is nothing to resume", r.Attempt.ID)
	}
	set := params.NewMap(len(r.Tasks))
	for i := range r.Tasks {
		row := &r.Tasks[i]
		if rows.latest[row.FullName] == row && row.State == Success && !neverResumed(row.FullName) {
			set.Set(row.FullName, rows.taken(row))
		}
	}
	return set, nil
}

// ResumeFrom returns what stands in front of the one task whose full name ends
// with pattern: its upstream siblings and those of its ancestors, with their
// descendants. All of them must have succeeded.
func ResumeFrom(r *Record, into *Tree, pattern string) (*params.Map, error) {
	rows := newRowTree(r, into)
	target, err := rows.match(pattern)
	if err != nil {
		return nil, err
	}
	set := params.NewMap(len(r.Tasks))
	for t := target; t != nil; t = rows.byID[t.Parent] {
		for _, up := range rows.before(t) {
			if err := rows.take(up, set); err != nil {
				return nil, err
			}
		}
	}
	return set, nil
}

func neverResumed(fullName string) bool {
	for _, mark := range []string{"^failure-alert", "^error", "^sla"} {
		if strings.Contains(fullName, mark) {
			return true
		}
	}
	return false
}

// rowTree finds its way among the rows of a record.
type rowTree struct {
	rows   []Row
	byID   map[uint64]*Row
	kids   map[uint64][]*Row
	latest map[string]*Row
	now    map[string]*Node // what the new attempt begins with, by full name
}

func newRowTree(r *Record, into *Tree) *rowTree {
	t := &rowTree{
		rows: r.Tasks, byID: map[uint64]*Row{}, kids: map[uint64][]*Row{}, latest: map[string]*Row{},
		now: into.named(),
	}
	for i := range r.Tasks {
		row := &r.Tasks[i]
		t.byID[row.ID] = row
		t.latest[row.FullName] = row
		if row.Parent != 0 {
			t.kids[row.Parent] = append(t.kids[row.Parent], row)
		}
	}
	return t
}

// named returns the nodes of a tree by their full names.
func (t *Tree) named() map[string]*Node {
	if t == nil {
		return nil
	}
	m := make(map[string]*Node, len(t.Nodes))
	names := make([]string, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		names[i] = n.Name
		if n.Parent >= 0 {
			names[i] = names[n.Parent] + n.Name
		}
		m[names[i]] = n
	}
	return m
}

// match returns the task that a pattern means.
func (t *rowTree) match(pattern string) (*Row, error) {
	var found []string
	for name := range t.latest {
		if strings.HasSuffix(name, pattern) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no task's name ends with %q", pattern)
	case 1:
		return t.latest[found[0]], nil
	}
	return nil, fmt.Errorf("%q is ambiguous: it may mean %s", pattern, strings.Join(found, ", "))
}

// before returns the siblings that a task waits for, directly or through
// others, in the order of their ids.
func (t *rowTree) before(row *Row) []*Row {
	seen := map[uint64]bool{}
	todo := slices.Clone(row.Upstreams)
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if up := t.byID[id]; up != nil && !seen[id] {
			seen[id] = true
			todo = append(todo, up.Upstreams...)
		}
	}
	var list []*Row
	for i := range t.rows {
		if seen[t.rows[i].ID] {
			list = append(list, &t.rows[i])
		}
	}
	return list
}

// take adds a task and its descendants to a set.
func (t *rowTree) take(row *Row, set *params.Map) error {
	if t.latest[row.FullName] != row || neverResumed(row.FullName) {
		return nil
	}
	if row.State != Success {
		return fmt.Errorf("task %s is %v: only what succeeded can be skipped", row.FullName, row.State)
	}
	set.Set(row.FullName, t.taken(row))
	for _, kid := range t.kids[row.ID] {
		if err := t.take(kid, set); err != nil {
			return err
		}
	}
	return nil
}

// taken is what a new attempt takes over of a task. What an operator generated
// is not shown again, so that what it stored goes with the operator.
func (t *rowTree) taken(row *Row) *params.Map {
	m := params.NewMap(4)
	if !row.UpdatedAt.IsZero() {
		m.Set(resumeUpdated, params.Number(strconv.FormatInt(row.UpdatedAt.UnixMilli(), 10)))
	}
	if n := t.now[row.FullName]; n == nil || !alike(n.Config, row.Config) || !alike(n.Export, row.Export) {
		m.Set(resumeConfig, notNil(row.Config))
		m.Set(resumeStatic, notNil(row.Export))
	}
	if row.Store.Len() > 0 {
		m.Set(resumeStore, row.Store)
	}
	if row.Returned.Len() > 0 {
		m.Set(resumeExport, row.Returned)
	}
	if row.Group {
		return m
	}
	var below params.List
	t.collect(row, &below)
	if len(below) > 0 {
		m.Set(resumeBelow, below)
	}
	return m
}

// alike tells whether two objects are written alike.
func alike(a, b *params.Map) bool {
	return a == b || a.Len() == b.Len() && bytes.Equal(params.Encode(notNil(a)), params.Encode(notNil(b)))
}

func notNil(m *params.Map) *params.Map {
	if m == nil {
		return params.NewMap(0)
	}
	return m
}

func (t *rowTree) collect(row *Row, below *params.List) {
	for _, kid := range t.kids[row.ID] {
		if kid.Store.Len() > 0 {
			*below = append(*below, kid.Store)
		}
		t.collect(kid, below)
	}
}

// resume marks the tasks of a block that the attempt takes over from another.
// A group is taken over if all that is in it now is: a task that a later
// revision has added runs. A retry round does everything anew.
//
// In a state that is being restored the rows already tell what was taken over:
// it succeeded and never ran. What they do not hold is looked up again.
func (a *Attempt) resume(b *Block) {
	if a.Resume.Map.Len() == 0 || b.Kind == RoundBlock {
		return
	}
	names := make([]string, len(b.tasks))
	names[0] = b.tasks[0].FullName()
	for i := 1; i < len(b.tasks); i++ {
		n := b.tasks[i].Node()
		names[i] = names[n.Parent-b.from] + n.Name
	}
	taken := make([]bool, len(b.tasks))
	for i := len(b.tasks) - 1; i >= 0; i-- {
		t := &b.tasks[i]
		v, ok := a.Resume.Map.Lookup(names[i])
		if !ok || t.Parent() == nil || !b.allTaken(t, taken) || a.restoring && (t.state != Success || t.execution > 0) {
			continue
		}
		taken[i] = true
		old, _ := v.(*params.Map)
		t.recall(old)
		if !a.restoring {
			t.takeOver(old)
			t.rebuildUp(nil)
		}
	}
}

// allTaken tells whether all children of t that the author wrote are taken over.
func (b *Block) allTaken(t *Task, taken []bool) bool {
	for _, k := range t.Node().kids {
		if !taken[k-b.from] {
			return false
		}
	}
	return true
}

// takeOver gives a task the result that it had in another attempt, and the time
// of its end.
func (t *Task) takeOver(old *params.Map) {
	t.state = Success
	if v, ok := old.Lookup(resumeUpdated); ok {
		if ms, expected := params.Long(v); expected == "" {
			t.updated = stamp(ms)
		}
	}
	if old.Has(resumeStore) || old.Has(resumeExport) {
		m := t.ownMore()
		m.result.Store.Map = mapOf(old, resumeStore)
		m.result.Export.Map = mapOf(old, resumeExport)
	}
}

// recall gives a task that was taken over what its row does not hold: what it
// had generated is kept nowhere else, nor is what its author had written then.
func (t *Task) recall(old *params.Map) {
	if below := storesBelow(old); !below.Empty() {
		t.ownMore().past = below
	}
	if old.Has(resumeConfig) {
		t.ownMore().old = old
	}
}

func storesBelow(taken *params.Map) params.Stores {
	var s params.Stores
	v, _ := taken.Lookup(resumeBelow)
	list, _ := v.(params.List)
	for _, e := range list {
		store, _ := e.(*params.Map)
		s = s.Put(store, nil)
	}
	return s
}

func mapOf(m *params.Map, key string) *params.Map {
	v, _ := m.Lookup(key)
	sub, _ := v.(*params.Map)
	return sub
}

// credit counts the children that were taken over as done when their parent
// begins.
func (t *Task) credit() {
	b := t.kids()
	for _, k := range t.Node().kids {
		if c := b.at(k); c.state == Success {
			countDown(c, t)
		}
	}
}
