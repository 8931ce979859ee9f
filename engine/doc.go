// Package engine is the shell around the core in engine/flow: it gives inputs
// to one state, makes the events durable, and then does what they call for.
//
// One goroutine owns the state. It steps it, collects the events of the inputs
// that arrive while a batch is being synced, and never evaluates, compiles,
// reads a file or waits for one. A second goroutine writes batches to the
// journal, and a third applies durable batches to a follower, a second state
// that readers and snapshots see. So the owner's state may be ahead of the
// disk, and nobody sees it: nothing of a batch is answered, shown or performed
// before the batch is durable. The one exception is preparation: a task whose
// lease is being synced may be evaluated, and run if its operator touches
// nothing outside.
//
// The package decides nothing about tasks, retries, schedules or alerts. It
// knows neither Git nor HTTP nor Slack: what is deployed comes in through
// [Engine.Deploy], what is to be told goes out through [Options.Deliver].
package engine
