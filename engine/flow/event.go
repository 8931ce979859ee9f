package flow

import (
	"gitdag/engine/params"
)

// Value is a parameter object that may be large: where Ref is set the object
// is stored under that name and events carry the name alone.
type Value struct {
	Ref string
	Map *params.Map
}

// Result is what a successful operator handed over.
type Result struct {
	Export Value
	Store  Value
	Reset  []string
}

// Insert describes a block of tasks that an event adds below a task.
type Insert struct {
	Base uint64
	Kind BlockKind
	// Name is the root's name where the kind leaves a choice (SLABlock).
	Name string
	// Tree is set for what an operator generated; the trees of other kinds
	// follow from the task that they are added to.
	Tree *Tree
}

// Event is something that happened. Events are folded by [State.Apply] in the
// order in which Step decided them; nothing else changes a state.
type Event interface{ event() }

// The events of tasks and attempts.
type (
	// AttemptStarted adds a session, where Session is new, and an attempt of it
	// with its static tasks. Where Base is 0 the attempt has to wait, and gets
	// its tasks with AttemptBegun.
	AttemptStarted struct {
		At      stamp
		Session SessionFacts
		Attempt AttemptFacts
		Tree    *Tree
		Base    uint64
	}

	// Backfilled adds attempts that wait, the first for room and each other one
	// for the one before it. They have Attempt in common, whose id is that of the
	// first.
	Backfilled struct {
		At       stamp
		Attempt  AttemptFacts
		Tree     *Tree
		Sessions []BackfilledSession
	}

	// AttemptBegun gives an attempt that has waited its static tasks.
	AttemptBegun struct {
		At      stamp
		Attempt uint64
		Base    uint64
	}

	// TaskMoved takes a task along one row of the transition table.
	TaskMoved struct {
		At      stamp
		Attempt uint64
		Task    uint64
		By      Trigger
		To      TaskState

		// Due is when a wait ends.
		Due stamp
		// State is the operator's state after Postponed; Retries the
		// repetitions used up, after Postponed and Retried.
		State   Value
		Retries int32
		// Result and Retry come with Succeeded, Parallel and Retry with
		// Evaluated.
		Result   *Result
		Retry    *Retry
		Parallel *Parallel
		// Failure is the error object of a failed task.
		Failure *Value
		// Blocks are the tasks that the move adds.
		Blocks []Insert
		// Note says why something that was asked for did not happen.
		Note string
	}

	// SLAMissed tells that an attempt was not over at its deadline.
	SLAMissed struct {
		At      stamp
		Attempt uint64
		Blocks  []Insert
	}

	// WaitRearmed shortens a wait after the clock went back.
	WaitRearmed struct {
		Attempt uint64
		Task    uint64
		Due     stamp
	}

	// AttemptKilled marks the attempt and each task that can still move.
	AttemptKilled struct {
		At      stamp
		Attempt uint64
	}

	// AttemptSettled tells that the root reached a final state.
	AttemptSettled struct {
		At      stamp
		Attempt uint64
		Success bool
	}

	// AttemptArchived drops an attempt whose record is written.
	AttemptArchived struct {
		Attempt uint64
	}
)

// BackfilledSession is what sets an attempt of a backfill apart from the others.
type BackfilledSession struct {
	Session SessionFacts
	Index   int
	Params  Value
}

// The events of what is deployed, when it runs, and of alerts.
type (
	// Deployed replaces what a source has live.
	Deployed struct {
		At       stamp
		Manifest *Manifest
		// Projects, Workflows and Schedules are the first ids of those that the
		// manifest adds; they are numbered in its order.
		Projects, Workflows, Schedules uint64
		// Revisions is the first id of a revision, one for each project listed; 0
		// in what older versions wrote.
		Revisions uint64
	}

	// ScheduleMoved sets a schedule's next tick.
	ScheduleMoved struct {
		At       stamp
		Schedule uint64
		// Last is the session that was started; zero where none was.
		Last stamp
		Next TickFacts
		// Backlog replaces the ticks that are to be caught up where it is not
		// nil.
		Backlog []TickFacts
		// Tries is how often the due tick was put off.
		Tries int
		// Disabled, where set, pauses or resumes the schedule.
		Disabled *bool
	}

	// AlertRaised adds an alert that is to be delivered.
	AlertRaised struct {
		ID    uint64
		At    stamp
		Alert Alert
	}

	// AlertDelayed puts off the next try of an alert.
	AlertDelayed struct {
		ID  uint64
		Due stamp
		// Why is the error of the last try.
		Why string
	}

	// AlertClosed drops an alert: delivered where Why is empty, else given up.
	AlertClosed struct {
		ID uint64
		At stamp
		// Thread is where the incident's messages stand.
		Thread Thread
		Why    string
	}
)

func (*AttemptStarted) event()  {}
func (*Backfilled) event()      {}
func (*AttemptBegun) event()    {}
func (*TaskMoved) event()       {}
func (*SLAMissed) event()       {}
func (*WaitRearmed) event()     {}
func (*AttemptKilled) event()   {}
func (*AttemptSettled) event()  {}
func (*AttemptArchived) event() {}
func (*Deployed) event()        {}
func (*ScheduleMoved) event()   {}
func (*AlertRaised) event()     {}
func (*AlertDelayed) event()    {}
func (*AlertClosed) event()     {}
