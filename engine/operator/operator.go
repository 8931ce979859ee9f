// Package operator holds the contract between the engine and the operators
// (`sh>`, `echo>`, `loop>`, …), their registry, and the operators themselves.
//
// An operator sees one task at a time: its evaluated parameters, its log, its
// workspace. It knows nothing of other tasks, of the journal or of the core,
// and it decides nothing about retries: it answers with a result, a failure or
// the wish to be asked again. Its invariant: a task's outcome depends on what
// the [Task] holds and on the outside world, never on state kept in the
// operator between runs.
package operator

import (
	"context"
	"io"
	"os"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

// Operator runs the tasks of one type. It must return soon after ctx is done.
// Many tasks run at a time, each with its own [Task].
type Operator interface {
	Run(ctx context.Context, t *Task) (*Result, error)
}

// Task is one execution of a task as its operator sees it.
type Task struct {
	FullName  string
	ID        uint64
	Execution int
	// Project is the id of the task's project.
	Project uint64
	// Key names this task and no other, here or elsewhere, and is the same in all its
	// executions: what an effect that must happen once is known by.
	Key string
	// Type is the operator's name, Config the evaluated merge of everything
	// visible with `_type` and `_command` filled in, Local the task's own keys
	// with the values that Config has for them.
	Type   string
	Config *params.Map
	Local  *params.Map
	// State is what the operator handed over with its last [Poll]; nil at the
	// first run.
	State *params.Map
	// Polls counts the runs that have come back with that same state since it was
	// new, with this one; a restart of the agent begins anew.
	Polls int

	Zone *time.Location
	// Now is the time at which the execution began.
	Now time.Time

	Log       Log
	Workspace Workspace
	Commands  command.Executor
	// Lines tells how many lines Log has; nil where nothing outlives it.
	Lines func() int
	// Printed opens what agents that are gone have kept of this execution's output;
	// nil where nothing outlives one.
	Printed func() (io.ReadCloser, error)
	// Later has something done once what the operator returns is safe, whatever
	// happens to the agent; nil where nothing outlives it.
	Later func(func())
	// Environ is what a child process inherits, as "NAME=value"; operators add
	// to a copy.
	Environ  []string
	Secrets  Secrets
	Sessions Sessions
	// Unique is a random text of this execution's.
	Unique string
	// Evaluator evaluates the files that are templates.
	Evaluator Evaluator
	// Files reads the workflow files that `call>` embeds.
	Files Loader
	// MaxTasks is the limit of tasks an attempt, for operators that generate
	// them.
	MaxTasks int

	// lasting tells that a program has ended whose container the next agent finds
	// as long as the result is not safe.
	lasting bool
}

// Log takes what a task prints. File gives the file behind it, for a child
// process to write to directly; what was written before comes first. A log
// without one answers [errors.ErrUnsupported].
type Log interface {
	io.Writer
	File() (*os.File, error)
}

// Workspace is the attempt's working directory, made when it is first asked
// for.
type Workspace interface {
	// Project returns the absolute path of the project's root in the workspace.
	Project(ctx context.Context) (string, error)
	// Dir returns the absolute working directory of the task: the project's
	// root joined with the parameter `_workdir`. It never leaves the project.
	Dir(ctx context.Context) (string, error)
	// Scratch returns a directory below `.digdag/tmp` that this attempt shares
	// with no other one, of this process or another; it exists. Operators name
	// their files there after the task's ID and execution.
	Scratch(ctx context.Context) (string, error)
}

// Secrets answers `${secret:key}` and the operator's own look-ups. The error
// for a key that no store has is a [*Error] of kind "secret not found".
type Secrets interface {
	Secret(ctx context.Context, key string) (string, error)
}

// Result is what a successful task hands over; every part may be empty.
type Result struct {
	// Subtasks is compiled into the `^sub` subtree. Its strings are templates
	// where the author wrote them and data where the operator made them.
	Subtasks *params.Map
	// Export is seen by the generated subtasks only.
	Export *params.Map
	// Store is seen by every later task, after the paths in Reset are removed.
	Store *params.Map
	Reset []string
	// Notify is a message for the alert channels; empty for none.
	Notify string
}

// Poll is the error of an operator that wants to be run again: the task waits
// without holding a worker. It is no failure and counts against no retry. One
// that comes back with the state it was given leaves nothing in the journal,
// and waits for a tenth of a second at least.
type Poll struct {
	After time.Duration
	State *params.Map
	// Attempt, where set, is one whose end cuts the wait short. It may do so, and
	// may not: After is what can be relied on.
	Attempt uint64
}

func (p *Poll) Error() string { return "run again after " + p.After.String() }

// Error is a failed task's error object: what an `_error` task sees.
type Error struct {
	// Message is the text, without the kind.
	Message string
	// Kind classes the failure as Digdag words it: "config", "runtime",
	// "secret not found"; empty for one that the operator reports deliberately
	// with a plain text, as `fail>` does.
	Kind string
	// Extra holds further keys of the error object.
	Extra *params.Map
}

// Error returns the message with the kind in brackets.
func (e *Error) Error() string {
	if e.Kind == "" {
		return e.Message
	}
	return e.Message + " (" + e.Kind + ")"
}

// Object returns the `error` parameter of `_error` tasks: data, never
// evaluated (L20).
func (e *Error) Object() *params.Map {
	o := params.NewMap(2)
	o.Set("message", e.Error())
	if e.Kind != "" {
		o.Set("stacktrace", "")
	}
	for k, v := range e.Extra.All() {
		o.Set(k, v)
	}
	return o
}
