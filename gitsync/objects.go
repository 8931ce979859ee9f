package gitsync

import (
	"bytes"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// objects reads Git objects one by one. Every error but a refusal fails the
// sync: nothing is ever taken for absent because it could not be read.
type objects interface {
	// size is the size of an object's content, found without reading it.
	size(h plumbing.Hash) (int64, error)
	// content is the whole object. Callers ask for the size first.
	content(t plumbing.ObjectType, h plumbing.Hash) ([]byte, error)
	// cut says whether a commit's parents were left out on purpose.
	cut(h plumbing.Hash) (bool, error)
	close()
}

const (
	maxTreeBytes   = 16 << 20
	maxCommitBytes = 4 << 20
)

// load reads an object of bounded size and compares it with its name.
func load(objs objects, t plumbing.ObjectType, h plumbing.Hash, limit int64) ([]byte, error) {
	n, err := objs.size(h)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t, h, err)
	}
	if n > limit {
		return nil, fmt.Errorf("%s %s holds %d bytes, more than %d", t, h, n, limit)
	}
	b, err := objs.content(t, h)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t, h, err)
	}
	if got := plumbing.ComputeHash(t, b); got != h || int64(len(b)) != n {
		return nil, fmt.Errorf("%s %s is corrupt: its content has the hash %s", t, h, got)
	}
	return b, nil
}

func loadTree(objs objects, h plumbing.Hash) ([]object.TreeEntry, error) {
	b, err := load(objs, plumbing.TreeObject, h, maxTreeBytes)
	if err != nil {
		return nil, err
	}
	t, err := object.DecodeTree(nil, memoryObject(plumbing.TreeObject, b))
	if err != nil {
		return nil, fmt.Errorf("tree %s: %w", h, err)
	}
	return t.Entries, nil
}

func loadCommit(objs objects, h plumbing.Hash) (*object.Commit, error) {
	b, err := load(objs, plumbing.CommitObject, h, maxCommitBytes)
	if err != nil {
		return nil, err
	}
	c, err := object.DecodeCommit(nil, memoryObject(plumbing.CommitObject, b))
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", h, err)
	}
	return c, nil
}

const maxTagChain = 5

// peel follows annotated tags to the commit.
func peel(objs objects, name string) (*object.Commit, error) {
	h := plumbing.NewHash(name)
	for range maxTagChain {
		b, err := load(objs, plumbing.TagObject, h, maxCommitBytes)
		if err != nil {
			return loadCommit(objs, h) // whose error is the better one
		}
		t, err := object.DecodeTag(nil, memoryObject(plumbing.TagObject, b))
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", h, err)
		}
		h = t.Target
	}
	return nil, fmt.Errorf("%s is a tag of a tag of a tag …", name)
}

func memoryObject(t plumbing.ObjectType, b []byte) plumbing.EncodedObject {
	o := &plumbing.MemoryObject{}
	o.SetType(t)
	_, _ = o.Write(bytes.Clone(b)) // a write to memory does not fail
	return o
}
