package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// catchUpLimit is how many missed ticks a workflow catches up with (L45).
	catchUpLimit = 100
	// tickRetry is how long a tick waits that could not be started
	// (language.md 7.5).
	tickRetry = time.Hour
)

// isDue tells whether a tick's run time has come.
func isDue(t TickFacts, now stamp) bool { return !t.Run.IsZero() && stampOf(t.Run) <= now }

// armSchedule sets the reminder for a schedule's next tick.
func (s *State) armSchedule(sched *Schedule) {
	if sched.Disabled.IsZero() && sched.asked == nil && !sched.Next.Run.IsZero() {
		s.timers.add(stampOf(sched.Next.Run), timerSchedule, sched.ID, 0)
	}
}

// scheduleDue looks at a schedule whose next tick may have come.
func (st *step) scheduleDue(id uint64) {
	if sched := st.s.schedule[id]; sched != nil {
		st.ask(sched)
	}
}

// ask requests what is needed for the tick that is due, if there is one and it
// has not been asked for.
func (st *step) ask(sched *Schedule) {
	if sched.asked != nil || !sched.Disabled.IsZero() {
		return
	}
	if st.s.config.idle() {
		// What falls due meanwhile is missed, as in a downtime.
		sched.missed = sched.missed || isDue(sched.Next, st.now)
		return
	}
	if len(sched.Backlog) > 0 && !isDue(sched.Backlog[0], st.now) {
		st.s.timers.add(stampOf(sched.Backlog[0].Run), timerSchedule, sched.ID, 0)
	}
	if q := st.s.question(sched, st.now); q != nil {
		sched.asked = q
		st.effect(q)
	}
}

// dueTick returns the tick that a schedule is to start now. Missed ones come
// first, one after another; a tick that comes due while the agent runs waits
// for nothing.
func (s *State) dueTick(sched *Schedule, now stamp) (TickFacts, bool) {
	if len(sched.Backlog) > 0 && isDue(sched.Backlog[0], now) && sched.catching == 0 {
		return sched.Backlog[0], true
	}
	return sched.Next, isDue(sched.Next, now)
}

// question is the effect that asks about a schedule's due tick; nil if none is
// due.
func (s *State) question(sched *Schedule, now stamp) Effect {
	if sched.missed {
		limit := s.config.CatchUpLimit
		if limit == 0 {
			limit = catchUpLimit
		}
		switch sched.CatchUp {
		case CatchUpLast:
			limit = 1
		case CatchUpNone:
			limit = 0
		}
		return &CatchUpDue{Schedule: sched.ID, From: sched.Next, Limit: limit}
	}
	tick, ok := s.dueTick(sched, now)
	if !ok {
		return nil
	}
	return &TickDue{Schedule: sched.ID, Session: tick.Session, Run: tick.Run, Executed: sched.Last}
}

// tickReady starts the attempt of a due tick, unless the session has one
// already or the schedule's own options drop it (language.md 7.5).
func (st *step) tickReady(in *TickReady) error {
	sched := st.s.schedule[in.Schedule]
	if sched == nil {
		return ErrNoSchedule
	}
	tick, fromBacklog := sched.Next, false
	if len(sched.Backlog) > 0 && sched.Backlog[0].Session.Equal(in.Session) {
		tick, fromBacklog = sched.Backlog[0], true
	}
	w := sched.Project.Workflow(sched.Workflow)
	if sched.asked == nil || !tick.Session.Equal(in.Session) || w == nil {
		return ErrStaleTick
	}
	if in.Definition != 0 && w.ID != in.Definition {
		return ErrRedeployed
	}
	moved := &ScheduleMoved{At: st.now, Schedule: sched.ID, Next: sched.Next}
	if fromBacklog {
		moved.Backlog = append([]TickFacts{}, sched.Backlog[1:]...)
	} else {
		moved.Next = in.Next
	}
	if st.skips(sched, w, tick, fromBacklog) {
		st.emit(moved)
		st.rearmSchedule(sched)
		return nil
	}
	starts := st.s.conflict(w, in.Session, "", in.Past) == nil
	if starts {
		if err := st.s.admit(1, len(in.Tree.Nodes)); err != nil {
			st.putOff(sched, in.Session, limitRetry, err.Error())
			return nil
		}
	}
	if moved.Last = stampOf(tick.Session); fromBacklog {
		// Behind a tick that came due meanwhile it is not the last session.
		moved.Last = max(moved.Last, stampOf(sched.Last))
	}
	st.emit(moved)
	if starts {
		facts := st.s.facts(w)
		facts.Params, facts.SLA, facts.Scheduled, facts.CaughtUp = in.Params, in.SLA, sched.ID, fromBacklog
		st.begin(w, &Start{Session: in.Session, UUID: in.UUID, Past: in.Past, Tree: in.Tree}, facts)
	}
	st.rearmSchedule(sched)
	return nil
}

// skips tells whether a tick is dropped: for being late, or because an earlier
// run goes on.
func (st *step) skips(sched *Schedule, w *Workflow, tick TickFacts, fromBacklog bool) bool {
	if sched.SkipDelay > 0 && st.now.time().Sub(tick.Run) > sched.SkipDelay {
		return true
	}
	if !sched.SkipOvertime || fromBacklog {
		return false
	}
	for _, a := range st.s.unfinished[workflowKey{w.Project.ID, w.Name}] {
		if x := a.Session; !a.Killed && x.attempts[len(x.attempts)-1] == a {
			return true
		}
	}
	return false
}

// rearmSchedule goes on with a schedule after its tick was answered.
func (st *step) rearmSchedule(sched *Schedule) {
	st.s.armSchedule(sched)
	st.ask(sched)
}

// ticksMissed queues the ticks that are to be caught up.
func (st *step) ticksMissed(in *TicksMissed) error {
	sched := st.s.schedule[in.Schedule]
	if sched == nil {
		return ErrNoSchedule
	}
	if sched.asked == nil || !sched.missed {
		return ErrStaleTick
	}
	policy := sched.CatchUp
	backlog := append(append([]TickFacts{}, sched.Backlog...), in.Ticks...)
	st.emit(&ScheduleMoved{At: st.now, Schedule: sched.ID, Next: in.Next, Backlog: backlog})
	if in.Skipped > 0 && policy == CatchUpAll {
		st.raise(st.aboutSchedule(sched, AlertSkipped, leftOut(sched, in)))
	}
	st.rearmSchedule(sched)
	return nil
}

// leftOut says how many missed ticks are not run, and by which command they
// are.
func leftOut(sched *Schedule, in *TicksMissed) string {
	which, n := "them", in.Skipped
	if n > MaxBackfill {
		n = MaxBackfill
		which = fmt.Sprintf("the first %d", n)
	}
	return fmt.Sprintf("%d older missed runs were left out; run %s with: gitdag backfill %s %s --from '%s' --count %d",
		in.Skipped, which, shellWord(sched.Project.Name), shellWord(sched.Workflow), in.From.Format("2006-01-02 15:04:05"), n)
}

// shellWord quotes a word for a shell where that is needed.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || r == '/' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// tickFailed keeps a tick that could not be started and tries it again later.
func (st *step) tickFailed(in *TickFailed) error {
	sched := st.s.schedule[in.Schedule]
	if sched == nil {
		return ErrNoSchedule
	}
	if sched.asked == nil {
		return ErrStaleTick
	}
	st.putOff(sched, in.Session, tickRetry, in.Why)
	return nil
}

// putOff has a tick that cannot be started tried again later. That a limit
// stands in its way is told once a tick.
func (st *step) putOff(sched *Schedule, session time.Time, wait time.Duration, why string) {
	next, backlog := sched.Next, []TickFacts(nil)
	again := st.now.time().Add(wait)
	if len(sched.Backlog) > 0 && sched.Backlog[0].Session.Equal(session) {
		backlog = slices.Clone(sched.Backlog)
		backlog[0].Run = again
	} else {
		next.Run = again
	}
	told := wait == limitRetry && sched.Tries > 0
	st.emit(&ScheduleMoved{At: st.now, Schedule: sched.ID, Next: next, Backlog: backlog, Tries: sched.Tries + 1})
	if !told {
		st.raise(st.aboutSchedule(sched, AlertSchedule, why))
	}
	st.rearmSchedule(sched)
}

func (st *step) aboutSchedule(sched *Schedule, kind, message string) Alert {
	p := sched.Project
	return Alert{
		Kind: kind, Incident: "schedule/" + p.Name + "/" + sched.Workflow,
		Repo: p.Repo, Project: p.Name, Workflow: sched.Workflow, Timezone: sched.Timezone,
		Message: message, Revision: p.Revision, Commit: p.Commit, Next: sched.Next.Run,
	}
}
