package params

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Number is a JSON number literal, kept exactly as it was written.
type Number string

// Template is text that is evaluated when a task is dispatched. A plain string is data and never evaluated (L20).
type Template string

// List is a JSON array.
type List []any

// Map is a JSON object whose keys keep their order. A nil *Map reads as an empty one. A Map that has been shared
// must not be changed any more; Clone it first.
type Map struct {
	entries []entry
	index   map[string]int32 // positions in entries; nil while the map is small
}

type entry struct {
	key   string
	value any
}

// indexFrom is the size from which a hash index beats looking at every key.
const indexFrom = 9

// NewMap returns an empty map with room for capacity keys.
func NewMap(capacity int) *Map {
	m := &Map{entries: make([]entry, 0, capacity)}
	if capacity >= indexFrom {
		m.index = make(map[string]int32, capacity)
	}
	return m
}

// Of returns a map of key, value, key, value, …: for tests and small literals. Go integers and floats become Numbers,
// slices become Lists. It panics when a key is not a string or a value has no parameter form.
func Of(pairs ...any) *Map {
	if len(pairs)%2 != 0 {
		panic("params: Of needs a value for every key")
	}
	m := NewMap(len(pairs) / 2)
	for i := 0; i < len(pairs); i += 2 {
		m.Set(pairs[i].(string), fromGo(pairs[i+1]))
	}
	return m
}

func fromGo(v any) any {
	switch v := v.(type) {
	case nil, bool, string, Template, Number, List, *Map:
		return v
	case int:
		return Number(strconv.Itoa(v))
	case int64:
		return Number(strconv.FormatInt(v, 10))
	case float64:
		return Number(strconv.FormatFloat(v, 'g', -1, 64))
	case []string:
		return listOf(v)
	case []any:
		return listOf(v)
	}
	panic(fmt.Sprintf("params: %T has no parameter form", v))
}

func listOf[T any](items []T) List {
	list := make(List, len(items))
	for i, item := range items {
		list[i] = fromGo(item)
	}
	return list
}

// Len returns the number of keys.
func (m *Map) Len() int {
	if m == nil {
		return 0
	}
	return len(m.entries)
}

func (m *Map) find(key string) int {
	if m == nil {
		return -1
	}
	if m.index != nil {
		if i, ok := m.index[key]; ok {
			return int(i)
		}
		return -1
	}
	for i := range m.entries {
		if m.entries[i].key == key {
			return i
		}
	}
	return -1
}

// Lookup returns the value of key, and whether key is there: a key may hold nil, JSON's null.
func (m *Map) Lookup(key string) (any, bool) {
	i := m.find(key)
	if i < 0 {
		return nil, false
	}
	return m.entries[i].value, true
}

// Has tells whether key is there, null or not.
func (m *Map) Has(key string) bool { return m.find(key) >= 0 }

// Set replaces the value of key where it stands, or appends it.
func (m *Map) Set(key string, v any) {
	if i := m.find(key); i >= 0 {
		m.entries[i].value = v
		return
	}
	m.add(key, v)
}

// add appends a key that is known to be absent.
func (m *Map) add(key string, v any) {
	m.entries = append(m.entries, entry{key, v})
	switch {
	case m.index != nil:
		m.index[key] = int32(len(m.entries) - 1)
	case len(m.entries) >= indexFrom:
		m.reindex()
	}
}

func (m *Map) reindex() {
	m.index = make(map[string]int32, cap(m.entries))
	for i := range m.entries {
		m.index[m.entries[i].key] = int32(i)
	}
}

// Delete removes key; the order of the others stays.
func (m *Map) Delete(key string) {
	i := m.find(key)
	if i < 0 {
		return
	}
	m.entries = slices.Delete(m.entries, i, i+1)
	if m.index == nil {
		return
	}
	delete(m.index, key)
	for ; i < len(m.entries); i++ {
		m.index[m.entries[i].key] = int32(i)
	}
}

// All yields keys and values in order.
func (m *Map) All() iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		if m == nil {
			return
		}
		for i := range m.entries {
			if !yield(m.entries[i].key, m.entries[i].value) {
				return
			}
		}
	}
}

// Keys returns the keys in order.
func (m *Map) Keys() []string {
	keys := make([]string, 0, m.Len())
	for key := range m.All() {
		keys = append(keys, key)
	}
	return keys
}

// Clone returns a copy of m that may be changed; the values are shared.
func (m *Map) Clone() *Map { return m.cloneFor(0) }

// cloneFor leaves room for more keys.
func (m *Map) cloneFor(more int) *Map {
	if m == nil {
		return NewMap(more)
	}
	c := &Map{entries: make([]entry, len(m.entries), len(m.entries)+more), index: maps.Clone(m.index)}
	copy(c.entries, m.entries)
	return c
}

// Equal tells whether both maps hold equal values under the same keys in the same order.
func (m *Map) Equal(other *Map) bool {
	if m.Len() != other.Len() {
		return false
	}
	for i := range m.Len() {
		a, b := m.entries[i], other.entries[i]
		if a.key != b.key || !Equal(a.value, b.value) {
			return false
		}
	}
	return true
}

// Equal tells whether two values are the same parameter. Numbers compare by their literal. Text without a dollar sign
// means the same as template and as data, so there the two kinds are equal.
func Equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool, Number:
		return a == b
	case List:
		b, ok := b.(List)
		return ok && slices.EqualFunc(a, b, Equal)
	case *Map:
		b, ok := b.(*Map)
		return ok && a.Equal(b)
	}
	textA, okA := Text(a)
	textB, okB := Text(b)
	return okA && okB && textA == textB && (isTemplate(a) == isTemplate(b))
}

func isTemplate(v any) bool {
	t, ok := v.(Template)
	return ok && strings.Contains(string(t), "$")
}

// Text returns the text of a string or Template.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case Template:
		return string(v), true
	}
	return "", false
}
