package flow

import (
	"cmp"
	"iter"
	"slices"
)

// ordered keeps things in the order of their ids, which mostly come in
// ascending order. It lets lists be read page by page without sorting.
type ordered[T interface{ number() uint64 }] []T

func (a *Attempt) number() uint64 { return a.ID }
func (x *Session) number() uint64 { return x.ID }

// find returns where an id is, or would be.
func (o ordered[T]) find(id uint64) (int, bool) {
	if n := len(o); n == 0 || o[n-1].number() < id {
		return n, false
	}
	return slices.BinarySearchFunc(o, id, func(v T, id uint64) int { return cmp.Compare(v.number(), id) })
}

func (o *ordered[T]) add(v T) {
	i, found := o.find(v.number())
	if found {
		(*o)[i] = v
		return
	}
	*o = slices.Insert(*o, i, v)
}

func (o *ordered[T]) remove(v T) {
	if i, found := o.find(v.number()); found {
		*o = slices.Delete(*o, i, i+1)
	}
}

// before yields what has an id below another one, the newest first; 0 begins
// with the last.
func (o ordered[T]) before(id uint64) iter.Seq[T] {
	n := len(o)
	if id != 0 {
		n, _ = o.find(id)
	}
	return func(yield func(T) bool) {
		for i := n - 1; i >= 0; i-- {
			if !yield(o[i]) {
				return
			}
		}
	}
}
