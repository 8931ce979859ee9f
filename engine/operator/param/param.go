// Package param holds the operators `param_set>` and `param_get>`: values that outlive the
// attempts that write them and are read by all projects (operators.md 8).
//
// It knows where such values are kept: on a PostgreSQL or Redis server, in the forms that
// Digdag has there, so that the two can share one, or in a file of our own. It knows
// nothing of the engine but the contract of operators. Its one invariant: what one task
// sets is written as a whole or not at all, and to write it once more changes nothing but
// the time from which it is kept.
package param

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// keep is how long a value can be read after it was last written.
const keep = 90 * 24 * time.Hour

// site is the namespace of all keys: Digdag's for who has a server alone.
const site = 0

// store keeps values by their keys. Many tasks use it at a time.
type store interface {
	// set writes all values or none.
	set(ctx context.Context, values map[string]string) error
	// get returns the values that there are, without those that are too old.
	get(ctx context.Context, keys []string) (map[string]string, error)
}

// Operators returns `param_set>` and `param_get>`. Values are on the server; without one
// in the directory dir, which is made when it is needed.
func Operators(s Server, dir string) map[string]operator.Entry {
	kept := s.store(dir)
	entry := func(run func(context.Context, *operator.Task, store) (*operator.Result, error)) operator.Entry {
		return operator.Entry{Retries: true, Operator: operator.Func(
			func(ctx context.Context, t *operator.Task) (*operator.Result, error) { return run(ctx, t, kept) },
		)}
	}
	return map[string]operator.Entry{"param_set": entry(set), "param_get": entry(get)}
}

// Local is the directory for the values of a project that is run in its own.
func Local(project string) string { return filepath.Join(project, ".digdag", "params") }

// set writes each of the task's own keys, whatever it is called (O23).
func set(ctx context.Context, t *operator.Task, kept store) (*operator.Result, error) {
	values, err := own(t)
	if err != nil || len(values) == 0 {
		return &operator.Result{}, err
	}
	if err := kept.set(ctx, values); err != nil {
		return nil, fmt.Errorf("set %d values: %w", len(values), err)
	}
	return &operator.Result{}, nil
}

// get stores, for each of the task's own keys, its value under the name that the task
// gives: the empty text if there is none (O23).
func get(ctx context.Context, t *operator.Task, kept store) (*operator.Result, error) {
	names, err := own(t)
	if err != nil || len(names) == 0 {
		return &operator.Result{}, err
	}
	values, err := kept.get(ctx, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return nil, fmt.Errorf("get %d values: %w", len(names), err)
	}
	found := params.NewMap(len(names))
	for key := range t.Local.All() { // in the author's order, of which the last of a name counts
		if name, ok := names[key]; ok {
			found.Set(name, values[key])
		}
	}
	return &operator.Result{Store: found}, nil
}

// own returns the task's own keys with their texts, without the two that Digdag does not
// have and that any task may carry here.
func own(t *operator.Task) (map[string]string, error) {
	texts := make(map[string]string, t.Local.Len())
	for key := range t.Local.All() {
		if key == "_timeout" || key == "_labels" {
			continue
		}
		text, err := params.Required(t.Local, key, params.String)
		if err != nil {
			return nil, err
		}
		texts[key] = text
	}
	return texts, nil
}

// unwrap reads the text out of the JSON objects that a server has around it, depth of them.
func unwrap(text []byte, depth int) (string, error) {
	v, err := params.Parse(text)
	if err != nil {
		return "", err
	}
	for range depth {
		object, _ := v.(*params.Map)
		v, _ = object.Lookup("value")
	}
	found, wrong := params.String(v)
	if wrong != "" {
		return "", errors.New("it is not what Digdag writes")
	}
	return found, nil
}
