package params

import (
	"slices"
	"strings"
)

// Stores is what the tasks so far have stored, as one immutable value that the next task's store extends: a change to
// the parameters below it, whatever those are. The zero value changes nothing. Extending costs time for the keys that
// change and shares the rest; storing a key again replaces, so that a loop does not grow it.
//
// Merging is not associative when an object meets something else, so that each key remembers whether what lies below
// still counts (effect.cut), and the position of a new key is where it was first set (effect.born).
type Stores struct{ changes patch }

// Put returns s followed by one task's store: first the reset keys, dotted paths, go, then the object is merged. A
// reset through something that is not an object does nothing.
func (s Stores) Put(store *Map, reset []string) Stores {
	changes := s.changes
	for _, path := range reset {
		changes = changes.then(resetting(strings.Split(path, ".")))
	}
	if store.Len() > 0 {
		changes = changes.then(storing(store))
	}
	return Stores{changes}
}

// Append returns s followed by everything that t does.
func (s Stores) Append(t Stores) Stores { return Stores{s.changes.then(t.changes)} }

// ApplyTo returns base as the stores change it: what putting each of them into base in order would give, the order of
// keys included. base stays as it is.
func (s Stores) ApplyTo(base *Map) *Map { return s.changes.apply(base) }

// A patch is what happens to the keys of one object.
type patch struct {
	root *node
	next int64 // above the born of every effect in root
}

// An effect is what happens to one key.
type effect struct {
	key   string
	born  int64 // order in which new keys are appended; 0 while nothing is set, only removed
	value any   // what is set; an object is still as it was stored, merged when it is needed
	inner patch // with object: what happens inside
	cut   bool  // what lies below does not count
	moved bool  // nor does its position: the key was removed
	tree  bool  // inner is in use, not value
}

func resetting(path []string) patch {
	e := &effect{key: path[0], cut: true, moved: true}
	if len(path) > 1 {
		e = &effect{key: path[0], tree: true, inner: resetting(path[1:])}
	}
	return patch{(*node)(nil).with(e), 1}
}

func storing(store *Map) patch {
	p := patch{next: 1}
	for key, value := range store.All() {
		_, object := value.(*Map)
		p.root = p.root.with(&effect{key: key, born: p.next, value: value, cut: !object})
		p.next++
	}
	return p
}

// then returns p followed by q. It takes as long as q is large.
func (p patch) then(q patch) patch {
	if p.root == nil {
		return q
	}
	out := patch{p.root, p.next + q.next}
	for above := range q.root.all() {
		below := p.root.find(above.key)
		if e := below.then(above, p.next); e != below {
			out.root = out.root.with(e)
		}
	}
	return out
}

// then returns e (nil for none) followed by the effect next on the same key, whose born counts from shift on.
func (e *effect) then(next *effect, shift int64) *effect {
	out := *next
	if out.born > 0 {
		out.born += shift
	}
	if e == nil || next.moved {
		return &out
	}
	setsObject := !next.cut
	switch {
	case setsObject && e.isObject():
		out.value, out.tree, out.inner = nil, true, e.patch().then(next.patch())
	case next.born == 0:
		return e // a reset inside what is no object
	}
	out.moved = e.moved
	if setsObject {
		out.cut = e.cut
	}
	if e.born > 0 {
		out.born = e.born
	}
	return &out
}

// isObject tells whether e makes or changes an object, rather than removing the key or setting something else.
func (e *effect) isObject() bool {
	_, stored := e.value.(*Map)
	return e.tree || stored
}

// patch is what happens inside the object that e makes or changes.
func (e *effect) patch() patch {
	if e.tree {
		return e.inner
	}
	return storing(e.value.(*Map))
}

func (p patch) apply(base *Map) *Map {
	out := base.Clone()
	var added []*effect
	removed := false
	for e := range p.root.all() {
		at := out.find(e.key)
		if e.born > 0 && (at < 0 || e.moved) {
			added = append(added, e)
		}
		if at < 0 {
			continue
		}
		out.entries[at].value = e.over(out.entries[at].value)
		removed = removed || e.moved
	}
	if removed {
		out = out.without(func(key string) bool {
			e := p.root.find(key)
			return e != nil && e.moved
		})
	}
	slices.SortFunc(added, func(a, b *effect) int { return int(a.born - b.born) })
	out.entries = slices.Grow(out.entries, len(added))
	for _, e := range added {
		out.add(e.key, e.over(nil))
	}
	return out
}

// without returns a copy that lacks the keys which drop names.
func (m *Map) without(drop func(key string) bool) *Map {
	out := NewMap(m.Len())
	for key, value := range m.All() {
		if !drop(key) {
			out.add(key, value)
		}
	}
	return out
}

// over is what e makes of the value below it.
func (e *effect) over(below any) any {
	lower, object := below.(*Map)
	if e.cut {
		lower = nil
	}
	switch {
	case e.tree && e.born == 0 && !object:
		return below
	case e.tree:
		return e.inner.apply(lower)
	case e.cut:
		return e.value
	}
	return mergeValue(below, e.value)
}

// Empty tells that s changes nothing.
func (s Stores) Empty() bool { return s.changes.root == nil }
