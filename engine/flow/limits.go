package flow

import (
	"fmt"
	"time"
)

// DefaultAttempts is how many attempts run where no other limit is set; more
// wait.
const DefaultAttempts = 10_000

// limitRetry is how long a tick waits that a limit keeps from starting
// (language.md 7.5).
const limitRetry = 10 * time.Minute

// TooManyAttempts is the error of a start that would take the attempts which
// are not over beyond their limit.
type TooManyAttempts struct{ Limit, Current int }

func (e *TooManyAttempts) Error() string {
	return fmt.Sprintf("Too many attempts running. Limit: %d, Current: %d", e.Limit, e.Current)
}

// admit returns an error unless n more attempts of so many static tasks may
// start.
func (s *State) admit(n, tasks int) error {
	if limit := s.config.MaxAttempts; limit > 0 && s.active+n > limit {
		return &TooManyAttempts{Limit: limit, Current: s.active}
	}
	return s.room(0, tasks)
}

// crowded tells that an attempt which starts now has to wait for its turn.
func (s *State) crowded() bool {
	limit := s.config.LiveAttempts
	if limit == 0 {
		limit = DefaultAttempts
	}
	return s.active-s.waiting >= limit
}

// Configure replaces the limits. What they let happen now happens with the next
// [Tick].
func (s *State) Configure(config Config) {
	before := s.config
	s.config = config
	if before.AttemptTTL != config.AttemptTTL {
		for _, a := range s.attempts {
			s.armTTL(a)
		}
	}
	if before.idle() && !config.idle() {
		for id := range s.schedule {
			s.timers.add(1, timerSchedule, id, 0) // long past, whatever the clock says
		}
	}
}

// armTTL sets the reminder for when an attempt has run for too long.
func (s *State) armTTL(a *Attempt) {
	if s.config.AttemptTTL > 0 && !a.Done && !a.Killed && !a.Waiting {
		s.timers.add(s.expires(a), timerTTL, a.ID, 0)
	}
}

// expires is when an attempt has run for too long. The time that it has waited
// for its turn does not count.
func (s *State) expires(a *Attempt) stamp {
	return a.blocks[0].at0 + stamp(s.config.AttemptTTL.Milliseconds())
}

// ttlDue ends an attempt that has run for too long, and tells of it.
func (st *step) ttlDue(id uint64) {
	a := st.s.attempts[id]
	if a == nil || a.Done || a.Killed || a.Waiting || st.s.config.AttemptTTL <= 0 || st.s.expires(a) > st.now {
		return
	}
	alert := st.about(a, AlertTimedOut)
	alert.Message = "Workflow execution timeout"
	st.end(a)
	st.raise(alert)
}

// beginWaiting lets the attempts that wait for room begin while there is some,
// oldest first.
func (st *step) beginWaiting() {
	s := st.s
	for len(s.queue) > 0 && !s.crowded() {
		a := s.attempts[s.queue[0]]
		s.queue = s.queue[1:]
		if a == nil || !a.Waiting || a.After != 0 {
			continue
		}
		st.emit(&AttemptBegun{At: st.now, Attempt: a.ID, Base: s.last.Task + 1})
		st.begun(a)
		st.settleAll()
	}
}

// begun sets an attempt going that has its tasks.
func (st *step) begun(a *Attempt) {
	if !a.SLA.At.IsZero() {
		st.s.timers.add(stampOf(a.SLA.At), timerSLA, a.ID, 0)
	}
	st.s.armTTL(a)
	st.moved = append(st.moved, followUp{a, a.root()})
}

// queued makes a waiting attempt stand in the queue unless it waits for another
// one.
func (st *step) queued(a *Attempt) {
	if a.After == 0 {
		st.s.line(a)
	}
}
