// Package history keeps finished attempts: an archive file for each, in
// folders by day, and an index of them for queries.
//
// The archive is the truth. A file holds all that is known of an attempt and
// needs nothing beside it. The index is an SQLite database that may be lost,
// torn or out of date at any time: [Open] makes it agree with the archive
// again. docs/history.md describes both on disk.
//
// The package knows the engine's records and nothing of live attempts: whoever
// shows both puts them together. It gives out no ids and decides nothing; that
// an attempt is over is somebody else's word.
//
// Its one invariant: a row of the index, and a session's name that counts as
// taken, has a durable file in the archive. So files are written before rows,
// removed before rows, and what has to outlive a removed file is in the
// folder's list of expired attempts before the file goes.
package history
