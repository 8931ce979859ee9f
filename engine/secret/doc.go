// Package secret keeps secrets and keeps them from being seen: the store of each
// project's secrets at rest, the sources that a task's look-up goes through, a
// text that does not print, and a filter that masks values in what tasks write.
//
// It knows nothing of operators, of the engine or of HTTP. Its one invariant: a
// value leaves it only to whoever looks that key up. None is in an error, in a
// log or, outside an encrypted file, on disk.
package secret
