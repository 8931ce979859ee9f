package flow

import "fmt"

// TaskState is the state of a task (language.md 4.2).
type TaskState uint8

// The states, with Digdag's codes.
const (
	Blocked TaskState = iota
	Ready
	RetryWaiting
	GroupRetryWaiting
	Running
	Planned
	GroupError
	Success
	Error
	Canceled
)

var stateNames = [...]string{
	"blocked", "ready", "retry_waiting", "group_retry_waiting", "running",
	"planned", "group_error", "success", "error", "canceled",
}

// String returns the state's name on the wire.
func (s TaskState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Final tells that the task will not move again.
func (s TaskState) Final() bool { return s >= GroupError }

// Progressing tells that the task's parent has to wait for it.
func (s TaskState) Progressing() bool { return s >= Ready && s <= Planned }

// Failed tells that the task's parent fails because of it.
func (s TaskState) Failed() bool { return s == GroupError || s == Error }

// Trigger is what moves a task.
type Trigger uint8

// The triggers of the transition table.
const (
	Opened    Trigger = iota + 1 // the parent runs and all upstreams succeeded
	Evaluated                    // a group's templated options are known, or cannot be
	Recopied                     // a retry round's tasks are in place
	Leased                       // handed to a worker
	Succeeded                    // the worker reports success
	Failing                      // the worker reports a failure, or the lease ran out of time
	Postponed                    // the operator polls, or will be retried
	Waited                       // the wait has elapsed
	Settled                      // no child can progress any more
	Retried                      // children failed and are to run again
	Generated                    // children failed and `_error` or the alert runs
	Killed                       // the attempt was killed
	Lost                         // the worker is gone and its result with it
)

var triggerNames = [...]string{
	"", "opened", "evaluated", "recopied", "leased", "succeeded", "failed", "postponed",
	"waited", "settled", "retried", "generated", "killed", "lost",
}

// String returns the trigger's name, as the journal has it.
func (t Trigger) String() string {
	if int(t) < len(triggerNames) {
		return triggerNames[t]
	}
	return fmt.Sprintf("trigger %d", uint8(t))
}

// transition is a row of the table: where a trigger may lead. Which of several
// ways a task takes is decided in Step; that no other is taken is checked in
// Apply.
type transition struct {
	from TaskState
	by   Trigger
	to   []TaskState
}

// transitions is the table of language.md 4.3 with the decisions of compat.md.
// ARCHITECTURE.md shows the same rows, and a test compares the two.
var transitions = [...]transition{
	{Blocked, Opened, []TaskState{Ready, Planned}},
	{Ready, Leased, []TaskState{Running}},
	{Ready, Evaluated, []TaskState{Planned, GroupError}},
	{Ready, Recopied, []TaskState{Planned}},
	{Ready, Killed, []TaskState{Canceled}},
	{Running, Succeeded, []TaskState{Planned, Success}},
	{Running, Failing, []TaskState{Planned, Error}},
	{Running, Postponed, []TaskState{RetryWaiting}},
	{Running, Killed, []TaskState{Canceled}},
	{Running, Lost, []TaskState{Ready}},
	{RetryWaiting, Waited, []TaskState{Ready}},
	{RetryWaiting, Killed, []TaskState{Canceled}},
	{GroupRetryWaiting, Waited, []TaskState{Ready}},
	{GroupRetryWaiting, Killed, []TaskState{Canceled}},
	{Planned, Settled, []TaskState{Success, Error, GroupError, Canceled}},
	{Planned, Retried, []TaskState{GroupRetryWaiting}},
	{Planned, Generated, []TaskState{Planned}},
}

// allowed tells whether the table has the transition.
func allowed(from TaskState, by Trigger, to TaskState) bool {
	for i := range transitions {
		row := &transitions[i]
		if row.from != from || row.by != by {
			continue
		}
		for _, t := range row.to {
			if t == to {
				return true
			}
		}
	}
	return false
}
