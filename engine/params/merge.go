package params

import "strings"

// Merge lays src over dst: two objects under one key merge, anything else of src replaces what dst has, null and lists
// included. A replaced key keeps its place, a new one is appended. The result is a new map that shares values with
// both arguments, which stay as they are.
func Merge(dst, src *Map) *Map {
	if dst.Len() == 0 {
		return src.Clone()
	}
	out := dst.cloneFor(newKeys(dst, src))
	mergeInto(out, src)
	return out
}

// newKeys bounds how many keys src adds to dst, so that the result is allocated once.
func newKeys(dst, src *Map) int {
	if src.Len() <= 4 {
		return src.Len()
	}
	n := 0
	for key := range src.All() {
		if !dst.Has(key) {
			n++
		}
	}
	return n
}

// mergeInto merges src into out, whose own entries may change but whose values are shared.
func mergeInto(out, src *Map) {
	for key, value := range src.All() {
		i := out.find(key)
		if i < 0 {
			out.add(key, value)
			continue
		}
		out.entries[i].value = mergeValue(out.entries[i].value, value)
	}
}

func mergeValue(below, above any) any {
	upper, ok := above.(*Map)
	if !ok {
		return above
	}
	lower, ok := below.(*Map)
	switch {
	case !ok:
		return upper
	case upper.Len() == 0:
		return lower
	case lower.Len() == 0:
		return upper
	}
	return Merge(lower, upper)
}

// AsData returns v with every Template turned into data. What has none is returned as it is, not copied.
func AsData(v any) any {
	return mapLeaves(v, func(leaf any) any {
		if t, ok := leaf.(Template); ok {
			return string(t)
		}
		return leaf
	})
}

// AsTemplate returns v with every text that has something to evaluate, a dollar sign, turned into a Template. Other
// text stays a string, so that equal parameters have one form.
func AsTemplate(v any) any {
	return mapLeaves(v, func(leaf any) any {
		if s, ok := leaf.(string); ok && strings.Contains(s, "$") {
			return Template(s)
		}
		return leaf
	})
}

// mapLeaves rebuilds v with its leaves converted, copying only the containers in which something changed.
func mapLeaves(v any, convert func(any) any) any {
	switch v := v.(type) {
	case List:
		return mapList(v, convert)
	case *Map:
		return mapMap(v, convert)
	}
	return convert(v)
}

func mapList(list List, convert func(any) any) any {
	var out List
	for i, item := range list {
		changed := mapLeaves(item, convert)
		if out == nil && !same(item, changed) {
			out = append(make(List, 0, len(list)), list[:i]...)
		}
		if out != nil {
			out = append(out, changed)
		}
	}
	if out == nil {
		return list
	}
	return out
}

func mapMap(m *Map, convert func(any) any) any {
	out := m
	for key, value := range m.All() {
		changed := mapLeaves(value, convert)
		if same(value, changed) {
			continue
		}
		if out == m {
			out = m.Clone()
		}
		out.Set(key, changed)
	}
	return out
}

// same tells whether mapLeaves gave its argument back: same kind, and for containers the same container.
func same(before, after any) bool {
	switch before := before.(type) {
	case List:
		after := after.(List)
		return len(before) == 0 || &before[0] == &after[0]
	case *Map:
		return before == after.(*Map)
	}
	return before == after
}
