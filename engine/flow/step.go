package flow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Errors with which Step refuses an input.
var (
	// ErrStaleLease refuses a report under a lease that is no longer in force.
	ErrStaleLease = errors.New("the lease is no longer in force")
	// ErrStaleTick refuses an answer about a tick that is no longer due.
	ErrStaleTick = errors.New("the tick is no longer due")
	// ErrNoAttempt refuses an input about an attempt that is not live.
	ErrNoAttempt = errors.New("no such attempt is live")
	// ErrNoWorkflow refuses the start of a workflow that is not live.
	ErrNoWorkflow = errors.New("no such workflow is live")
	// ErrNoProject refuses an input about a project that is not live.
	ErrNoProject = errors.New("no such project is live")
	// ErrNoSchedule refuses an input about a schedule that does not exist.
	ErrNoSchedule = errors.New("no such schedule")
	// ErrFinished refuses to kill an attempt that is over.
	ErrFinished = errors.New("the attempt has finished already")
)

// Conflict is the error of a start whose session has an attempt of that name.
type Conflict struct{ Attempt uint64 }

func (e *Conflict) Error() string {
	return fmt.Sprintf("the session has attempt %d already", e.Attempt)
}

// step is one call of Step: it decides by the state, which each event changes
// at once.
type step struct {
	s   *State
	now stamp
	out Output
	// moved holds the tasks that have moved, whose dependants are to be opened;
	// unsettled those that may be over.
	moved, unsettled []followUp
}

// followUp is a task that is to be looked at.
type followUp struct {
	a *Attempt
	t *Task
}

// Step decides what an input means at a time, folds the events of the
// decision, and returns them with the effects they call for. An error leaves
// the state as it was.
func (s *State) Step(now time.Time, in Input) (Output, error) {
	st := &step{s: s, now: stampOf(now)}
	if err := st.take(in); err != nil {
		st.wake()
		return Output{Wake: st.out.Wake}, err
	}
	st.settleAll()
	st.beginWaiting()
	st.lease()
	st.wake()
	s.seenAt = max(s.seenAt, st.now)
	return st.out, nil
}

func (st *step) take(in Input) error {
	switch in := in.(type) {
	case *Boot:
		st.boot(in.Survived)
		return nil
	case *Tick:
		st.tick()
		return nil
	case *Deploy:
		return st.deploy(in)
	case *Start:
		return st.start(in)
	case *TaskSucceeded:
		return st.taskSucceeded(in)
	case *TaskFailed:
		return st.taskFailed(in)
	case *TaskPostponed:
		return st.taskPostponed(in)
	case *PollLasts:
		_, _, err := st.leased(in.Lease)
		return err
	case *GroupEvaluated:
		return st.groupEvaluated(in)
	case *Kill:
		return st.kill(in.Attempt)
	case *Archived:
		return st.archived(in.Attempt)
	case *Report:
		st.raise(in.Alert)
		return nil
	case *AlertSent:
		return st.alertSent(in)
	case *AlertUndelivered:
		return st.alertUndelivered(in)
	}
	return st.takeSchedule(in)
}

// takeSchedule takes the inputs that are about schedules.
func (st *step) takeSchedule(in Input) error {
	switch in := in.(type) {
	case *TickReady:
		return st.tickReady(in)
	case *TicksMissed:
		return st.ticksMissed(in)
	case *TickFailed:
		return st.tickFailed(in)
	case *SetSchedule:
		return st.setSchedule(in)
	case *Skip:
		return st.skip(in)
	case *Backfill:
		return st.backfill(in)
	}
	panic(fmt.Sprintf("flow: input %T", in))
}

// emit folds an event and notes it.
func (st *step) emit(e Event) {
	st.s.Apply(e)
	st.out.Events = append(st.out.Events, e)
}

func (st *step) effect(e Effect) { st.out.Effects = append(st.out.Effects, e) }

func (st *step) wake() {
	if len(st.s.timers) > 0 {
		st.out.Wake = st.s.timers[0].at.time()
	}
}

// tick handles whatever has fallen due.
func (st *step) tick() {
	if st.now < st.s.seenAt {
		st.rearm()
		st.s.seenAt = st.now
	}
	for {
		t, ok := st.s.timers.due(st.now)
		if !ok {
			return
		}
		switch t.kind {
		case timerTask:
			st.taskDue(t.a, t.b)
		case timerSLA:
			st.slaDue(t.a)
		case timerSchedule:
			st.scheduleDue(t.a)
		case timerTTL:
			st.ttlDue(t.a)
		case timerAlert:
			if p := st.s.alerts[t.a]; p != nil && !p.waiting {
				st.offer(p)
			}
		}
	}
}

// taskDue ends a task's wait.
func (st *step) taskDue(attempt, task uint64) {
	a, t := st.s.find(attempt, task)
	if t == nil || !waiting(t.state) {
		return
	}
	due, _ := t.ends()
	switch {
	case due > st.now:
	case !t.polled():
		st.waited(a, t)
	case t.pollIs(pollRests):
		st.queuePoll(a, t)
	}
}

// rearm shortens waits that a clock which went back has made longer than they
// were meant to be: a wait is re-armed for at most its own length.
func (st *step) rearm() {
	var late []followUp
	for i := range st.s.timers {
		r := &st.s.timers[i]
		a, t := st.s.find(r.a, r.b)
		if r.kind != timerTask || t == nil || t.more == nil || !waiting(t.state) || t.polled() && !t.pollIs(pollRests) {
			continue
		}
		if due, wait := t.ends(); due == r.at && st.now+stamp(wait) < due {
			late = append(late, followUp{a, t})
		}
	}
	slices.SortFunc(late, func(a, b followUp) int { return cmp.Compare(a.t.ID(), b.t.ID()) })
	for _, f := range late {
		if f.t.polled() && f.t.more.poll.next != 0 {
			st.arm(f.a, f.t, time.Duration(f.t.more.poll.wait)*time.Millisecond)
			continue
		}
		due := st.now + stamp(f.t.more.wait)
		st.emit(&WaitRearmed{Attempt: f.a.ID, Task: f.t.ID(), Due: due})
		st.s.timers.add(due, timerTask, f.a.ID, f.t.ID())
	}
}

func waiting(s TaskState) bool { return s == RetryWaiting || s == GroupRetryWaiting }

// lease hands ready tasks to workers: the attempts take turns, oldest first,
// until every slot is taken.
func (st *step) lease() {
	s := st.s
	for !s.config.Draining && !s.config.NoTasks && len(s.turns) > 0 && (s.config.Slots <= 0 || s.running < s.config.Slots) {
		a := s.turns[0]
		s.turns = s.turns[1:]
		a.queued = false
		for len(a.ready) > 0 {
			t := a.task(a.ready[0])
			a.ready = a.ready[1:]
			if t.state == Ready {
				st.leaseTask(a, t)
				break
			}
			if t.pollIs(pollQueued) {
				st.poll(a, t)
				break
			}
		}
		s.enqueue(a)
	}
}

func (st *step) leaseTask(a *Attempt, t *Task) {
	st.emit(&TaskMoved{At: st.now, Attempt: a.ID, Task: t.ID(), By: Leased, To: Running})
	st.effect(st.s.dispatch(a, t, st.now))
}

// enqueue gives an attempt its turn if it has ready tasks and no turn yet.
func (s *State) enqueue(a *Attempt) {
	if len(a.ready) > 0 && !a.queued {
		a.queued = true
		s.turns = append(s.turns, a)
	}
}
