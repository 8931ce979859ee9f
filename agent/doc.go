// Package agent is the daemon: it joins the engine, the syncs, the history,
// the alerts and the HTTP interface to one process that starts, reloads and
// stops as a whole.
//
// It is the only package that knows all of them, and it decides nothing that
// one of them could decide: what it holds is the wiring, and the small adapters
// by which two packages that do not know each other meet. Its invariant: what
// [Agent.Start] has begun, [Agent.Stop] ends, in the opposite order, and Stop
// returns when all is quiet.
package agent
