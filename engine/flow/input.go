package flow

import (
	"time"

	"gitdag/engine/params"
)

// Input is something that the shell asks of the core or reports to it.
type Input interface{ input() }

// Lease names one execution of a task. A report under any but the task's
// present lease is refused.
type Lease struct {
	Attempt   uint64
	Task      uint64
	Execution int
	// Poll counts the polls that have changed nothing since the last execution,
	// with the one that has the lease; 0 for an execution that is none.
	Poll int
}

type (
	// Boot is the first input after the state was rebuilt: whatever ran is
	// lost, and ticks that fell due meanwhile are missed.
	Boot struct {
		// Survived are leases of [State.Leases] that are not lost: what they
		// started goes on, and they are dispatched once more.
		Survived map[Lease]bool
	}

	// Tick says that time has passed.
	Tick struct{}

	// Deploy makes a manifest live.
	Deploy struct {
		Manifest *Manifest
		// Project, where set, has to be live, of the manifest's source.
		Project uint64
	}

	// Start asks for a new attempt.
	Start struct {
		Definition uint64
		// Project and Workflow, where Definition is 0, name the workflow whose
		// live definition is meant.
		Project  string
		Workflow string
		Tree     *Tree
		// Former is what an attempt tells of a definition that is not kept any
		// more: it runs once more as it was. Its project must be live.
		Former *AttemptFacts
		// UUID is used if the session is new.
		UUID      string
		Session   time.Time
		RetryName string
		Params    Value
		// Resume is a set of [ResumeFailed] or [ResumeFrom].
		Resume Value
		SLA    SLA
		// Past is what the history knows of the session.
		Past *Past
	}

	// TickReady answers [TickDue] with what an attempt for the tick needs.
	TickReady struct {
		Schedule uint64
		Session  time.Time
		// Definition is what Tree is of; 0 where that is known to be live.
		Definition uint64
		Tree       *Tree
		UUID       string
		Params     Value
		SLA        SLA
		Past       *Past
		// Next follows the tick; zero when the schedule has ended.
		Next TickFacts
	}

	// TicksMissed answers [CatchUpDue].
	TicksMissed struct {
		Schedule uint64
		// Ticks are those to run, oldest first, Skipped how many older ones were
		// left out, Next the first one that was not missed.
		Ticks   []TickFacts
		Skipped int
		Next    TickFacts
		// From is when the oldest one that was left out was due, in the
		// workflow's zone.
		From time.Time
	}

	// TickFailed answers [TickDue] when the tick cannot be started now.
	TickFailed struct {
		Schedule uint64
		Session  time.Time
		Why      string
	}

	// TaskSucceeded reports an operator's success. Sub and Check are the
	// compiled subtrees of what it generated, with SubErr in place of one that
	// does not compile.
	TaskSucceeded struct {
		Lease  Lease
		Result Result
		Sub    *Tree
		Check  *Tree
		// Retry is the evaluated `_retry`, used when the subtasks fail.
		Retry Retry
		// Broken is the error object of a subtree that does not compile; the
		// task fails with it.
		Broken *Value
		// Message is to be sent to the alert channels; empty for none.
		Message string
	}

	// TaskFailed reports an operator's failure.
	TaskFailed struct {
		Lease   Lease
		Failure Value
		// Retry is the evaluated `_retry` if it covers this failure.
		Retry Retry
	}

	// TaskPostponed reports that the operator wants to run again.
	TaskPostponed struct {
		Lease Lease
		After time.Duration
		State Value
		// Awaits is the attempt whose end cuts the wait short; 0 for none.
		Awaits uint64
	}

	// PollLasts reports that a poll takes its time: from now on it is an
	// execution like any other.
	PollLasts struct{ Lease Lease }

	// GroupEvaluated answers [EvaluateGroup].
	GroupEvaluated struct {
		Attempt  uint64
		Task     uint64
		Parallel Parallel
		Retry    Retry
		// Failure is the error object if the options cannot be evaluated.
		Failure *Value
	}

	// Kill asks for the end of an attempt.
	Kill struct{ Attempt uint64 }

	// Archived reports that an attempt's record is written.
	Archived struct{ Attempt uint64 }

	// Report raises an alert that no task or schedule causes.
	Report struct{ Alert Alert }

	// AlertSent answers [Deliver].
	AlertSent struct {
		ID     uint64
		Thread Thread
	}

	// AlertUndelivered answers [Deliver] when it is to be tried again at Retry, or
	// never if that is zero.
	AlertUndelivered struct {
		ID    uint64
		Retry time.Time
		Why   string
	}

	// SetSchedule pauses or resumes a schedule.
	SetSchedule struct {
		Schedule uint64
		Disabled bool
		// Definition is what Next was worked out by; 0 where that is known to be
		// live.
		Definition uint64
		// Next is the first tick from now on, needed to resume: what fell due
		// during the pause is skipped (L45). With Skip it is what to go on with in
		// any case, and has to be later than what comes next.
		Next TickFacts
		Skip bool
	}

	// Skip moves a schedule on to a later tick, with whatever run time that has.
	Skip struct {
		Schedule   uint64
		Definition uint64 // that Next was worked out by
		Next       TickFacts
	}

	// Backfill asks for an attempt of a schedule's workflow for each of some
	// times, which are in order, to run one after another.
	Backfill struct {
		Schedule   uint64
		Definition uint64 // what Tree is of
		Tree       *Tree
		// Name is the retry name of all of them.
		Name  string
		Times []BackfillTime
		// DryRun only asks whether the names are free.
		DryRun bool
	}
)

// Past is what the history knows of a session: its identity and its attempts.
type Past struct {
	Session SessionFacts
	// LastAttempt is the newest attempt and Index its number.
	LastAttempt uint64
	Index       int
	// Names maps the retry names that are taken to their attempts.
	Names map[string]uint64
}

func (*Boot) input()             {}
func (*Tick) input()             {}
func (*Deploy) input()           {}
func (*Start) input()            {}
func (*TickReady) input()        {}
func (*TicksMissed) input()      {}
func (*TickFailed) input()       {}
func (*TaskSucceeded) input()    {}
func (*TaskFailed) input()       {}
func (*TaskPostponed) input()    {}
func (*PollLasts) input()        {}
func (*GroupEvaluated) input()   {}
func (*Kill) input()             {}
func (*Archived) input()         {}
func (*Report) input()           {}
func (*AlertSent) input()        {}
func (*AlertUndelivered) input() {}
func (*SetSchedule) input()      {}
func (*Skip) input()             {}
func (*Backfill) input()         {}

// Effect is something that the shell owes the world. Effects are performed at
// least once: Key tells repetitions of one apart from another.
type Effect interface{ Key() EffectKey }

// EffectKey identifies an effect.
type EffectKey struct {
	Kind string
	A, B uint64
	N    int64
}

type (
	// Dispatch runs a task under its lease.
	Dispatch struct {
		Lease Lease
		Node  *Node
		Kind  BlockKind
		View  *View
		// State is what the operator asked to get back.
		State *params.Map
		// FullName is the task's name from the root down.
		FullName string
		// Repeated tells that the task, or one above it, runs again after a
		// failure, by its `_retry`.
		Repeated bool
		// Leased is when the execution began; Deadline ends it, zero for none.
		Leased   time.Time
		Deadline time.Time
	}

	// Revoke ends a running execution whose result nobody waits for.
	Revoke struct{ Lease Lease }

	// EvaluateGroup evaluates a group's templated options.
	EvaluateGroup struct {
		Attempt uint64
		Task    uint64
		Node    *Node
		View    *View
		// FullName is the group's name from the root down.
		FullName string
	}

	// TickDue asks for what an attempt for a due tick needs.
	TickDue struct {
		Schedule uint64
		Session  time.Time
		// Run is when it was due, Executed the session of the last tick that
		// was started.
		Run      time.Time
		Executed time.Time
	}

	// CatchUpDue asks for the ticks from From on that were missed.
	CatchUpDue struct {
		Schedule uint64
		From     TickFacts
		// Limit is how many of the newest are to run.
		Limit int
	}

	// ArchiveAttempt writes the record of an attempt that is over.
	ArchiveAttempt struct{ Attempt uint64 }

	// Deliver sends an alert.
	Deliver struct {
		ID    uint64
		Alert Alert
		Tries int
		// Thread is where earlier messages of the incident stand.
		Thread Thread
	}
)

// Key identifies the execution.
func (e *Dispatch) Key() EffectKey {
	return EffectKey{"dispatch", e.Lease.Attempt, e.Lease.Task, e.Lease.number()}
}

// Key identifies the execution.
func (e *Revoke) Key() EffectKey {
	return EffectKey{"revoke", e.Lease.Attempt, e.Lease.Task, e.Lease.number()}
}

// number tells the leases of a task apart.
func (l Lease) number() int64 { return int64(l.Poll)<<32 | int64(l.Execution) }

// Key identifies the group.
func (e *EvaluateGroup) Key() EffectKey {
	return EffectKey{"evaluate", e.Attempt, e.Task, 0}
}

// Key identifies the tick.
func (e *TickDue) Key() EffectKey {
	return EffectKey{"tick", e.Schedule, 0, e.Session.Unix()}
}

// Key identifies the schedule and where it stands.
func (e *CatchUpDue) Key() EffectKey {
	return EffectKey{"catch-up", e.Schedule, 0, e.From.Session.Unix()}
}

// Key identifies the attempt.
func (e *ArchiveAttempt) Key() EffectKey { return EffectKey{"archive", e.Attempt, 0, 0} }

// Key identifies the try.
func (e *Deliver) Key() EffectKey { return EffectKey{"deliver", e.ID, 0, int64(e.Tries)} }

// Output is what an input led to.
type Output struct {
	Events  []Event
	Effects []Effect
	// Armed is what followers are to be told of polls that changed nothing.
	Armed []Armed
	// Wake is when Step wants a [Tick] at the latest; zero for never.
	Wake time.Time
	// Attempt is the one that an accepted [Start] or [TickReady] made, Attempts
	// those of a [Backfill].
	Attempt  uint64
	Attempts []uint64
}

// With returns what is known once an attempt of the session is known, too; p
// may be nil.
func (p *Past) With(r *Record) *Past {
	if p == nil {
		p = &Past{Session: r.Session, Names: map[string]uint64{}}
	}
	p.Names[r.Attempt.RetryName] = r.Attempt.ID
	p.LastAttempt = max(p.LastAttempt, r.Attempt.ID)
	p.Index = max(p.Index, r.Attempt.Index)
	return p
}
