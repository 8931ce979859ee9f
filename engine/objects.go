package engine

import (
	"encoding/json"
	"fmt"
	"sync"
	"weak"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// inlineBytes is how large a value may be to stand in the event that brings it.
const inlineBytes = 1 << 10

// objects finds and keeps what events name. Trees that somebody still uses are
// found without reading them again. It implements [flow.Objects].
type objects struct {
	store ObjectStore
	// inline leaves values and generated trees in the events whatever their
	// size: no journal takes them.
	inline bool

	mu    sync.Mutex
	trees map[string]weak.Pointer[flow.Tree]
}

func newObjects(store ObjectStore, inline bool) *objects {
	return &objects{store: store, inline: inline, trees: map[string]weak.Pointer[flow.Tree]{}}
}

// Objects returns the reader with which a journal's events are decoded.
func Objects(store ObjectStore) flow.Objects { return newObjects(store, false) }

// Tree returns the tree of a name.
func (o *objects) Tree(ref string) (*flow.Tree, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.trees[ref].Value(); t != nil {
		return t, nil
	}
	data, err := o.store.Read(ref)
	if err != nil {
		return nil, fmt.Errorf("read task tree: %w", err)
	}
	t, err := flow.DecodeTree(data)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	t.Ref = ref
	o.remember(t)
	return t, nil
}

// remember notes a named tree; the map is swept of trees that are gone when it
// has grown.
func (o *objects) remember(t *flow.Tree) {
	if len(o.trees) > 1024 {
		for ref, p := range o.trees {
			if p.Value() == nil {
				delete(o.trees, ref)
			}
		}
	}
	o.trees[t.Ref] = weak.Make(t)
}

// Map returns the parameter object of a name.
func (o *objects) Map(ref string) (*params.Map, error) {
	data, err := o.store.Read(ref)
	if err != nil {
		return nil, fmt.Errorf("read parameters: %w", err)
	}
	v, err := params.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	m, ok := v.(*params.Map)
	if !ok {
		return nil, fmt.Errorf("object %s holds no parameters", ref)
	}
	return m, nil
}

// Manifest returns the manifest of a name.
func (o *objects) Manifest(ref string) (*flow.Manifest, error) {
	data, err := o.store.Read(ref)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m := &flow.Manifest{}
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("object %s: %w", ref, err)
	}
	m.Ref = ref
	return m, nil
}

// value wraps a parameter object for an input; a large one is written first.
func (o *objects) value(m *params.Map) (flow.Value, error) {
	if o.inline || m.Len() == 0 {
		return flow.Value{Map: m}, nil
	}
	data := params.Encode(m)
	if len(data) <= inlineBytes {
		return flow.Value{Map: m}, nil
	}
	ref, err := o.store.Put(data)
	if err != nil {
		return flow.Value{}, fmt.Errorf("keep parameters: %w", err)
	}
	return flow.Value{Ref: ref, Map: m}, nil
}

// tree names a large tree before it enters an input.
func (o *objects) tree(t *flow.Tree) (*flow.Tree, error) {
	if o.inline || t == nil || t.Ref != "" {
		return t, nil
	}
	data, err := flow.EncodeTree(t)
	if err != nil {
		return nil, fmt.Errorf("keep task tree: %w", err)
	}
	if len(data) <= inlineBytes {
		return t, nil
	}
	ref, err := o.store.Put(data)
	if err != nil {
		return nil, fmt.Errorf("keep task tree: %w", err)
	}
	named := *t
	named.Ref = ref
	o.mu.Lock()
	o.remember(&named)
	o.mu.Unlock()
	return &named, nil
}
