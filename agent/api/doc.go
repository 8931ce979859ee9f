// Package api is the HTTP interface of the agent: the endpoints that Digdag's
// client and our own commands use, with the wire types that both sides share.
//
// It shows live attempts and archived ones alike and decides nothing: what
// happens to a request is the engine's word. It may not know the agent, the
// shell of the engine, Git or how history is kept; it declares what it needs of
// them. Its one invariant: nothing is shown or answered that is not durable,
// and no input of a client makes it fail with anything but a JSON error.
package api
