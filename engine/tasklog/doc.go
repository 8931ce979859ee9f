// Package tasklog keeps what tasks print: one log for each execution of a task,
// begun at its first byte, readable while it is written, limited in size, and
// packed with the other logs of its attempt into one file when the attempt
// ends.
//
// It knows nothing of what writes, of secrets or of the API. What must be
// masked is written through a wrapper around the [Writer], which gives no
// File, so that a command gets a pipe instead of it. Its invariant: the
// name of a log and the bytes in front of its end never change; a log only
// grows.
//
// Logs can be lost with the machine, so nothing here is synced. After the crash
// of the process alone, what commands wrote is there, and of the rest all but
// the last second.
//
// # Live logs
//
// While an attempt lives its logs are in the directory
// LOGS/<attempt / 1000>/<attempt>.live. The file "live" begins with the line
// "gitdag live task logs 1" and goes on with records: a kind byte, the length
// of the payload, the payload. Numbers are varints of encoding/binary, unsigned
// unless noted; logs are numbered by their 'b' records, from 0.
//
//	'a'  name of the agent for the 'b' records that follow
//	'b'  task id, execution, nanoseconds since 1970 (signed), full task name
//	'd'  log, bytes
//	'f'  log, lane, start
//
// A log is the bytes of its 'd' records, and then what stands in its lane from
// its start to the next log's start, or to the end. A lane is a file
// "<lane>.out" that at most one running log uses at a time. Commands write to
// it directly, and so does a log of more than 64 KiB. A file for each command
// would be simpler, but costs the making and the removal of a file each time.
// A lane is used again only if the system says that nobody has it open for
// writing: a command may leave a daemon behind. What a daemon prints after its
// task has ended is kept in the lane's last log, or lost.
//
// A torn record at the end of the file, left by a crash, is cut off.
//
// # The limit
//
// A command writes past us, so its size is looked at once a second, and what
// exceeds the limit is cut off the file then; the disk may hold a second's
// output more than the limit. Readers never see it: to them the log ends at the
// limit, with a last line that says so.
//
// # Packs
//
// LOGS/<attempt / 1000>/<attempt>.pack begins with the line "gitdag task logs
// 1". Then come all logs, one after another, cut into blocks of 64 KiB, each a
// deflate stream of its own; so small logs share a block, and a large one can
// be read from the middle. Then the index, one deflate stream: the number of
// blocks, each block's deflated length and its length; the number of agents,
// each one's name; the number of logs, in the order of their times, each one's
// task id, execution, nanoseconds (signed), agent (from 0), size, full task
// name. Names are a length and bytes. The last 28 bytes are, big-endian, the
// index's offset and length (8 bytes each), its crc32c (4) and "gdlogpk1".
package tasklog
