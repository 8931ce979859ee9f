package params

import "iter"

// node is a persistent hash trie of effects: every node holds one, and two bits of the key's hash choose among the
// children. Changing one effect copies the path to it, some eight small nodes among a hundred thousand.
type node struct {
	effect   *effect
	children [fanOut]*node
}

const (
	fanOutBits = 2
	fanOut     = 1 << fanOutBits
)

// find returns the effect on key, nil for none.
func (n *node) find(key string) *effect {
	for hash := hashOf(key); n != nil; hash >>= fanOutBits {
		if n.effect.key == key {
			return n.effect
		}
		n = n.children[hash%fanOut]
	}
	return nil
}

// with returns a trie in which e is the effect on its key. Keys whose hashes are equal end up as a chain.
func (n *node) with(e *effect) *node {
	var root *node
	slot := &root
	for hash := hashOf(e.key); ; hash >>= fanOutBits {
		if n == nil {
			*slot = &node{effect: e}
			return root
		}
		same := *n
		*slot = &same
		if same.effect.key == e.key {
			same.effect = e
			return root
		}
		slot = &same.children[hash%fanOut]
		n = *slot
	}
}

// all yields every effect, in no order that means anything.
func (n *node) all() iter.Seq[*effect] {
	return func(yield func(*effect) bool) { n.each(yield) }
}

func (n *node) each(yield func(*effect) bool) bool {
	if n == nil {
		return true
	}
	if !yield(n.effect) {
		return false
	}
	for _, child := range n.children {
		if !child.each(yield) {
			return false
		}
	}
	return true
}

// hashOf is FNV-1a with its low bits mixed, which choose the first children.
func hashOf(key string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(key) {
		hash = (hash ^ uint64(key[i])) * 1099511628211
	}
	return hash ^ hash>>32
}
