package operator

import "sort"

// Entry is an operator with what the engine must know of its type.
type Entry struct {
	Operator Operator
	// Retries tells that `_retry` covers the operator's own failure, not only
	// that of its children (language.md 4.7).
	Retries bool
	// Pure tells that the operator touches nothing outside the attempt and its
	// log: it may run before its lease is durable.
	Pure bool
	// Options are all the keys of its own tasks that the operator reads, for
	// [Entry.Unused]; nil if it may read any.
	Options []string
}

// Registry finds operators by type. It is fixed once made and may be shared.
type Registry struct{ entries map[string]Entry }

// NewRegistry returns a registry of the given types.
func NewRegistry(entries map[string]Entry) *Registry { return &Registry{entries: entries} }

// Lookup returns the operator of a type.
func (r *Registry) Lookup(typ string) (Entry, bool) {
	e, ok := r.entries[typ]
	return e, ok
}

// Types returns the known types in order.
func (r *Registry) Types() []string {
	types := make([]string, 0, len(r.entries))
	for t := range r.entries {
		types = append(types, t)
	}
	sort.Strings(types)
	return types
}
