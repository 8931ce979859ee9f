// Package journal is the append-only file journal: the source of truth of a data directory, and the content-addressed objects that it
// names. It keeps bytes, not events: a record is one line of text that its caller wrote and will read.
//
// Its one invariant: what Append has acknowledged is replayed by every later Open, in order, once, and nothing else is. A batch counts
// if and only if its commit line is whole. What a crash may leave (a torn last batch, a temporary file, a segment or a snapshot that a
// newer snapshot covers) is expected and mended silently or with one report; anything else is damage, and damage refuses to open.
//
// The package may not know what a record means, and imports nothing of ours. docs/journal.md is normative for the format, the rules of
// recovery and the answer to every crash.
package journal
