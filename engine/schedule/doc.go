// Package schedule says when a workflow is due: it reads the `schedule:` and
// `sla:` mappings of a workflow and computes ticks. A tick has a session time,
// which names the session, and a run time, at which it starts.
//
// It consists of pure functions of time. It may not know the current time,
// files, randomness or any other package of gitdag; every instant comes in as
// an argument and a Schedule never changes after Parse.
//
// Its one invariant: the ticks of a schedule are one fixed, strictly increasing
// series. Next of a tick is the tick after it, Last of any instant is the tick
// before it, and a walk forward and a walk back see the same ticks, clock
// changes included.
package schedule
