// Package gitsync turns a remote Git reference into an immutable, validated
// checkout per project tree and tells the engine, in one call per commit, what
// is live now.
//
// A sync lists the remote reference (cheap, most polls end here), fetches one
// reference into a throw-away store in a re-executed child whose memory is
// limited, exports the project trees that changed into content-addressed
// directories, has each of them checked and hands the whole commit to the
// Target. Polls, webhooks and users only mark a repository as due.
//
// The package knows Git, files and projects. It does not know workflows: what a
// Checker compiled passes through it as an opaque value. It keeps no state of
// its own that matters: the Target says what is live, the checkouts can be
// rebuilt from the remote, left-overs of a killed process are removed at start.
//
// Its one invariant: nothing is deployed that was not read whole. An object
// that is missing, unreadable or does not have the hash that names it fails the
// sync, whatever else could be read. Content that may not be deployed refuses
// the project that holds it, and only that one.
package gitsync
