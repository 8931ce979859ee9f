// Package local runs one workflow of a project directory, once: `gitdag run`.
// It is the engine without a journal, in the project's own directory. What
// outlives the process are the state files, one for each task that succeeded,
// from which a later run of the same session goes on.
//
// It knows neither flags nor exit codes, and decides nothing about tasks or
// retries: it only decides, before an operator runs, whether its task is left
// out or has been done by an earlier run. Its invariant: a state file says that
// a task succeeded in its session, never more, and is whole.
package local
