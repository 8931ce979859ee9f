package flow

import (
	"maps"
	"slices"
	"time"
)

// An operator that asks to be run again, and then finds nothing new, leaves no
// event: its task stays in the wait that is journaled, and when it is asked
// next is worked out anew by every process. Such a poll takes a slot and has a
// lease like any execution, with the next execution's number and a count of
// its own. Whatever else comes of it makes it that execution: the events of
// its lease are decided then, together with those of its result.

// leastPoll is the shortest wait of an operator that has found nothing new.
const leastPoll = 100 * time.Millisecond

// polls is what a process knows of a task whose operator asked to be run
// again. It is not part of the state's value, and no event tells of it.
type polls struct {
	next  stamp // when the wait ends, where that is not the task's due
	wait  int64 // length of that wait in milliseconds
	count int32 // polls since the task moved
	stage pollStage
	// awaits is the attempt whose end cuts the wait short; 0 for none.
	awaits uint64
}

type pollStage uint8

const (
	pollRests  pollStage = iota // until its time has come
	pollQueued                  // stands among the tasks that are ready
	pollRuns                    // a worker has it
)

// Armed tells when a task is polled next after a poll that changed nothing.
// Followers are told for those who look at them; it is never written down.
type Armed struct {
	Attempt, Task uint64
	Due           time.Time
}

// Arm takes over when a task is polled next.
func (s *State) Arm(w Armed) {
	if _, t := s.find(w.Attempt, w.Task); t != nil && t.polled() {
		t.more.poll.next = stampOf(w.Due)
	}
}

// polled tells whether t waits because its operator asked to be run again.
func (t *Task) polled() bool { return t.state == RetryWaiting && t.more != nil && t.more.poll != nil }

// pollIs tells whether t is polled and has come so far with it.
func (t *Task) pollIs(stage pollStage) bool { return t.polled() && t.more.poll.stage == stage }

// foldPoll keeps of the polls what outlives a move.
func (t *Task) foldPoll(e *TaskMoved) {
	m := t.more
	switch {
	case e.By == Postponed && e.Retries == t.retries:
		t.ownMore().poll = &polls{}
	case m == nil || m.poll == nil:
	case e.By == Waited || e.By == Leased:
		// The lease of a poll that becomes an execution stays in force.
		m.poll = &polls{count: m.poll.count}
	default:
		m.poll = nil
	}
}

// ends returns when the wait of t is over, and how long it is as a whole.
func (t *Task) ends() (due stamp, wait int64) {
	switch m := t.more; {
	case m == nil:
		return t.due, 0
	case m.poll != nil && m.poll.next != 0:
		return m.poll.next, m.poll.wait
	default:
		return t.due, m.wait
	}
}

// queuePoll has a task polled as soon as there is a slot.
func (st *step) queuePoll(a *Attempt, t *Task) {
	t.more.poll.stage = pollQueued
	a.ready = append(a.ready, t.ID())
	st.s.enqueue(a)
}

// poll hands a task to a worker that asks its operator once more.
func (st *step) poll(a *Attempt, t *Task) {
	p := t.more.poll
	p.stage = pollRuns
	p.count++
	st.s.running++
	st.effect(st.s.dispatch(a, t, st.now))
}

// admit makes a poll an execution like any other.
func (st *step) admit(a *Attempt, t *Task) {
	st.s.running--
	st.emit(&TaskMoved{At: st.now, Attempt: a.ID, Task: t.ID(), By: Waited, To: Ready})
	st.emit(&TaskMoved{At: st.now, Attempt: a.ID, Task: t.ID(), By: Leased, To: Running})
}

// rest puts a task whose poll has found nothing new back to its wait.
func (st *step) rest(a *Attempt, t *Task, in *TaskPostponed) {
	p := t.more.poll
	st.s.running--
	p.stage = pollRests
	st.await(a, t, in.Awaits)
	if p.stage == pollRests {
		st.arm(a, t, max(in.After, leastPoll))
	}
}

// arm sets when a task is polled next.
func (st *step) arm(a *Attempt, t *Task, after time.Duration) {
	p := t.more.poll
	p.wait = after.Milliseconds()
	p.next = st.now + stamp(p.wait)
	st.s.timers.add(p.next, timerTask, a.ID, t.ID())
	st.out.Armed = append(st.out.Armed, Armed{Attempt: a.ID, Task: t.ID(), Due: p.next.time()})
}

// await has the end of an attempt cut the wait of a task short. It is a favor
// to impatient people: who crashes forgets it, and the task is polled when its
// wait is over.
func (st *step) await(a *Attempt, t *Task, attempt uint64) {
	if attempt == 0 || !t.pollIs(pollRests) {
		return
	}
	s := st.s
	if other := s.attempts[attempt]; other == nil || other.Done {
		st.queuePoll(a, t)
		return
	}
	t.more.poll.awaits = attempt
	if s.awaiting[attempt] == nil {
		s.awaiting[attempt] = map[uint64]*Attempt{}
	}
	s.awaiting[attempt][t.ID()] = a
}

// awaken has the tasks polled that wait for the end of an attempt.
func (st *step) awaken(attempt uint64) {
	list := st.s.awaiting[attempt]
	delete(st.s.awaiting, attempt)
	for _, id := range slices.Sorted(maps.Keys(list)) {
		a := list[id]
		if t := a.task(id); t.pollIs(pollRests) && t.more.poll.awaits == attempt {
			st.queuePoll(a, t)
		}
	}
}
