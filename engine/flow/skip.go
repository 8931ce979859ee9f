package flow

import "slices"

// ErrSchedulePast refuses to move a schedule to a tick that is not later than
// the one that comes next.
var ErrSchedulePast error = schedulePast{}

type schedulePast struct{}

// Error is Digdag's text, with its capital: it goes over the wire as it is.
func (schedulePast) Error() string { return "Specified time to skip schedules is already past" }

// Upcoming returns the tick that a schedule starts next: a missed one first.
func (x *Schedule) Upcoming() TickFacts {
	if len(x.Backlog) > 0 {
		return x.Backlog[0]
	}
	return x.Next
}

// CheckSkip returns [ErrSchedulePast] unless the schedule can be moved on to a
// tick.
func (x *Schedule) CheckSkip(to TickFacts) error {
	if before(x.Upcoming(), to) {
		return nil
	}
	return ErrSchedulePast
}

// before tells whether a tick comes before another one; none comes last.
func before(a, b TickFacts) bool {
	switch {
	case a.Run.IsZero():
		return false
	case b.Run.IsZero():
		return true
	}
	return a.Session.Before(b.Session)
}

// skip moves a schedule on to a later tick (language.md 7.6).
func (st *step) skip(in *Skip) error {
	sched, _, err := st.s.scheduled(in.Schedule, in.Definition)
	if err != nil {
		return err
	}
	if err := sched.CheckSkip(in.Next); err != nil {
		return err
	}
	st.emit(st.skipped(sched, in.Next))
	st.rearmSchedule(sched)
	return nil
}

// skipped is the move of a schedule to a tick: the missed ones before it are
// not caught up.
func (st *step) skipped(sched *Schedule, to TickFacts) *ScheduleMoved {
	backlog := slices.Clone(sched.Backlog)
	backlog = slices.DeleteFunc(backlog, func(t TickFacts) bool { return before(t, to) })
	moved := &ScheduleMoved{At: st.now, Schedule: sched.ID, Next: sched.Next}
	if len(sched.Backlog) > 0 {
		moved.Backlog = append([]TickFacts{}, backlog...)
	}
	switch {
	case len(backlog) > 0 && backlog[0].Session.Equal(to.Session):
		moved.Backlog[0].Run = to.Run
	case len(backlog) == 0 && !before(to, sched.Next):
		moved.Next = to
	}
	return moved
}

// setSchedule pauses or resumes a schedule. Ticks that fell due while it was
// paused are skipped (L45).
func (st *step) setSchedule(in *SetSchedule) error {
	sched, _, err := st.s.scheduled(in.Schedule, in.Definition)
	if err != nil {
		return err
	}
	disabled := in.Disabled
	moved := &ScheduleMoved{At: st.now, Schedule: sched.ID, Next: sched.Next, Tries: sched.Tries, Disabled: &disabled}
	switch {
	case disabled:
	case in.Skip:
		if err := sched.CheckSkip(in.Next); err != nil {
			return err
		}
		moved = st.skipped(sched, in.Next)
		moved.Disabled = &disabled
	case sched.Disabled.IsZero():
		return nil
	case isDue(sched.Next, st.now):
		moved.Next = in.Next
	}
	st.emit(moved)
	st.rearmSchedule(sched)
	return nil
}
