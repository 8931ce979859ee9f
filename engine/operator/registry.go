package operator

import (
	"context"
	"sort"
)

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

// Programs finds operators that are programs, of a task's project or of the machine.
type Programs interface {
	// Find returns the operator of the task's type, and nil if there is none.
	Find(ctx context.Context, t *Task) (Operator, error)
	// Installed tells whether the machine has one, whatever the project.
	Installed(typ string) bool
}

// Registry finds operators by type: those that are built in, then programs. It is
// fixed once made and may be shared.
type Registry struct {
	entries  map[string]Entry
	programs Programs
}

// NewRegistry returns a registry of the given types.
func NewRegistry(entries map[string]Entry) *Registry { return &Registry{entries: entries} }

// WithPrograms is the registry with programs for the types that are not built in.
func (r *Registry) WithPrograms(p Programs) *Registry {
	with := *r
	with.programs = p
	return &with
}

// Lookup returns the operator of a type that is built in.
func (r *Registry) Lookup(typ string) (Entry, bool) {
	e, ok := r.entries[typ]
	return e, ok
}

// Program returns the program that is the operator of a task's type, which is not
// built in; nil if there is none.
func (r *Registry) Program(ctx context.Context, t *Task) (Operator, error) {
	if r.programs == nil {
		return nil, nil
	}
	return r.programs.Find(ctx, t)
}

// Installed tells whether the machine has a program for a type.
func (r *Registry) Installed(typ string) bool {
	return r.programs != nil && r.programs.Installed(typ)
}

// Types returns the types that are built in, in order.
func (r *Registry) Types() []string {
	types := make([]string, 0, len(r.entries))
	for t := range r.entries {
		types = append(types, t)
	}
	sort.Strings(types)
	return types
}
