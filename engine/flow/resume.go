package flow

import (
	"fmt"
	"slices"
	"strings"

	"gitdag/engine/params"
)

// The keys of a task in a resume set: see [ResumeFailed].
const (
	resumeStore  = "store"
	resumeExport = "export"
	resumeBelow  = "below"
)

// ResumeFailed returns what a new attempt may take over from an old one that
// did not succeed: each task that did, by its full name, with what it stored
// and exported and what its generated tasks stored. The alert, `_error` and SLA
// tasks are never taken over (server.md Q31). Of several rows of a name the
// latest counts (L40).
func ResumeFailed(r *Record) (*params.Map, error) {
	rows := newRowTree(r)
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
func ResumeFrom(r *Record, pattern string) (*params.Map, error) {
	rows := newRowTree(r)
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
}

func newRowTree(r *Record) *rowTree {
	t := &rowTree{rows: r.Tasks, byID: map[uint64]*Row{}, kids: map[uint64][]*Row{}, latest: map[string]*Row{}}
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
	m := params.NewMap(3)
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
func (a *Attempt) resume(b *Block) {
	if a.restoring || a.Resume.Map.Len() == 0 || b.Kind == RoundBlock {
		return
	}
	names := make([]string, len(b.tasks))
	names[0] = b.tasks[0].FullName()
	for i := 1; i < len(b.tasks); i++ {
		n := b.tasks[i].Node()
		names[i] = names[n.Parent-b.from] + n.Name
	}
	for i := len(b.tasks) - 1; i >= 0; i-- {
		t := &b.tasks[i]
		v, ok := a.Resume.Map.Lookup(names[i])
		if !ok || t.Parent() == nil || !t.kidsSucceeded() {
			continue
		}
		taken, _ := v.(*params.Map)
		t.state = Success
		t.takeOver(taken)
		t.rebuildUp(nil)
	}
}

// kidsSucceeded tells whether all children that the author wrote have.
func (t *Task) kidsSucceeded() bool {
	b := t.kids()
	for _, k := range t.Node().kids {
		if b.at(k).state != Success {
			return false
		}
	}
	return true
}

// takeOver gives a task the result that it had in another attempt.
func (t *Task) takeOver(taken *params.Map) {
	if taken.Len() == 0 {
		return
	}
	m := t.ownMore()
	m.result.Store.Map = mapOf(taken, resumeStore)
	m.result.Export.Map = mapOf(taken, resumeExport)
	m.past = storesBelow(taken)
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
