package flow

import "container/heap"

// timerKind is what falls due.
type timerKind uint8

const (
	timerTask timerKind = iota
	timerSLA
	timerSchedule
	timerAlert
	timerTTL
)

// timer is a reminder to look at something. It may be out of date: whoever
// handles it checks what it is about.
type timer struct {
	at   stamp
	kind timerKind
	a, b uint64
}

// timers is a heap by time.
type timers []timer

func (q timers) Len() int { return len(q) }

func (q timers) Less(i, j int) bool {
	if q[i].at != q[j].at {
		return q[i].at < q[j].at
	}
	if q[i].kind != q[j].kind {
		return q[i].kind < q[j].kind
	}
	if q[i].a != q[j].a {
		return q[i].a < q[j].a
	}
	return q[i].b < q[j].b
}

func (q timers) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is for [heap.Push] alone.
func (q *timers) Push(x any) { *q = append(*q, x.(timer)) }

// Pop is for [heap.Pop] alone.
func (q *timers) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (q *timers) add(at stamp, kind timerKind, a, b uint64) {
	heap.Push(q, timer{at, kind, a, b})
}

// due removes and returns the first timer that is not later than now.
func (q *timers) due(now stamp) (timer, bool) {
	if len(*q) == 0 || (*q)[0].at > now {
		return timer{}, false
	}
	return heap.Pop(q).(timer), true
}
