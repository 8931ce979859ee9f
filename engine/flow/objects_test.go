package flow

import (
	"fmt"
	"testing"

	"gitdag/engine/params"
)

// memObjects is an object store in memory.
type memObjects struct {
	trees     map[string]*Tree
	manifests map[string]*Manifest
}

func newMemObjects() *memObjects {
	return &memObjects{trees: map[string]*Tree{}, manifests: map[string]*Manifest{}}
}

func (o *memObjects) Tree(ref string) (*Tree, error) {
	if t := o.trees[ref]; t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("no tree %s", ref)
}

func (o *memObjects) Map(ref string) (*params.Map, error) { return nil, fmt.Errorf("no map %s", ref) }

func (o *memObjects) Manifest(ref string) (*Manifest, error) {
	if m := o.manifests[ref]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("no manifest %s", ref)
}

// keep names a tree as the shell does: by its content, which a reader gets
// decoded afresh.
func (o *memObjects) keep(t testing.TB, tree *Tree) *Tree {
	t.Helper()
	if tree == nil || tree.Ref != "" {
		return tree
	}
	data, err := EncodeTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	again, err := DecodeTree(data)
	if err != nil {
		t.Fatal(err)
	}
	tree.Ref = fmt.Sprintf("tree-%d", len(o.trees)+1)
	again.Ref = tree.Ref
	o.trees[tree.Ref] = again
	return tree
}
