// Package flow is the core of the engine: which task runs when, what a result
// means, when an attempt is over, which tick is due, whom an alert concerns.
// It is where these rules live, and the only place.
//
// A [State] is a value that changes in one way: [State.Apply] folds an event.
// [State.Step] takes an input, decides, folds every event as it decides it,
// and answers with the events, the effects and the time at which it wants to
// be asked again. The caller makes the events durable, then performs the
// effects. An input that breaks a rule is refused with an error and changes
// nothing.
//
// The same state and the same inputs give the same events, so whole runs can
// be written down and compared, and a state rebuilt from its events equals the
// one that decided them. To keep that true the package has no clock, no disk,
// no randomness, no goroutine and no lock, and knows neither YAML nor
// JavaScript: the time, random numbers, compiled subtrees and evaluated options
// come in with the inputs.
//
// # Tasks
//
// An attempt is made of blocks: each is one [Tree] or a part of one, inserted
// by one event, its tasks numbered in depth-first order from the block's base.
// The static tree is the first block; what a task generates (`^sub`, `^check`,
// `^error`) and each retry round of a group are further blocks. A task is found
// by its id alone, and neither an insertion nor a dependency is ever written
// out task by task.
//
// One Step costs time proportional to the tasks that it moves. A child that
// succeeds counts down the gate of the siblings that wait for it; a child that
// ends counts down its parent; the stores that later siblings see are one
// immutable value that each gate extends.
package flow
