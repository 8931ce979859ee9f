package local

import (
	"gitdag/engine/flow"
)

// Watcher shows a run while it goes on. Its methods return soon: the run waits
// for them. Moved is called in order from one goroutine, the others from many.
type Watcher interface {
	// Start tells the tree of the workflow that is about to run.
	Start(tree *flow.Tree)
	// Moved tells that a task has changed its state.
	Moved(m Move)
	// Began tells in one line what an execution of a task is about to do, or why
	// it does nothing.
	Began(task uint64, what string)
	// Failed tells why an execution failed. The task may run again.
	Failed(task uint64, message string)
	// Output takes what a task prints, as it comes.
	Output(task uint64, fullName string, p []byte)
}

// Move is a task's change of state. Its parent is 0 for the root of a workflow,
// of which there are more than one where others are required.
type Move struct {
	Task, Parent uint64
	Name         string // its own part of the full name
	Group        bool
	State        flow.TaskState
}

// failureAlert is the row that only stands for an alert.
const failureAlert = "^failure-alert"

// watch tells the watcher, if there is one, of a task that has moved.
func (r *runner) watch(t *flow.Task, to flow.TaskState) {
	if r.options.Watcher == nil || t.Node().Name == failureAlert {
		return
	}
	m := Move{Task: t.ID(), Name: t.Node().Name, Group: t.Node().Group, State: to}
	if p := t.Parent(); p != nil {
		m.Parent = p.ID()
	}
	r.options.Watcher.Moved(m)
}

// began tells what a task is about to do, or why it does nothing.
func (r *runner) began(d *flow.Dispatch, what string) {
	if r.options.Watcher != nil && d.Node.Name != failureAlert {
		r.options.Watcher.Began(d.Lease.Task, what)
	}
}
