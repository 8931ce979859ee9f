package tasklog

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	liveName   = "live"
	liveHeader = "gitdag live task logs 1\n"

	// A log beyond either of these goes on in a lane; so the memory that a log
	// takes is bounded.
	headBytes  = 64 << 10
	headChunks = 256

	flushEvery = time.Second
	flushBytes = 64 << 10
	// maxBuffer is how much is kept while the disk takes nothing.
	maxBuffer = 1 << 20
)

// The kinds of records.
const (
	recordAgent = 'a'
	recordBegin = 'b'
	recordData  = 'd'
	recordLane  = 'f'
)

// live holds the logs of an attempt that has not been packed.
type live struct {
	store   *Store
	attempt uint64
	dir     string

	packOne sync.Mutex // one Pack at a time

	mu      sync.Mutex
	loaded  bool
	stopped error // what writers get: the logs are packed, or the store is closed
	packed  bool  // the directory is gone
	logs    []entry
	last    time.Time // of the latest log
	agent   string    // of the latest 'a' record
	lanes   []lane
	busy    int // lanes in use

	file    *os.File // nil while nothing happens
	written int64    // length of the file
	buf     []byte   // what follows; written at the latest after flushEvery
	timer   *time.Timer
}

// entry is one log.
type entry struct {
	name      string
	agent     string
	task      uint64
	execution int
	time      time.Time

	head  int64 // bytes in chunks
	first chunk
	more  []chunk

	lane       int   // -1 without one
	start, end int64 // in the lane; end is -1 while more may come
}

// chunk is where bytes of a log are in the live file.
type chunk struct {
	off int64
	n   int
}

func (e *entry) inLane() bool { return e.lane >= 0 }

func (l *live) limit() int64 { return l.store.maxBytes }

// notice is the last line of a log that is cut.
func (l *live) notice() string {
	return fmt.Sprintf("\n[the log ends here: it has reached its limit of %d bytes]\n", l.limit())
}

// begin adds a log and returns its number.
func (l *live) begin(r Run) (int, error) {
	if len(l.buf) > maxBuffer {
		if err := l.flush(); err != nil {
			return -1, err
		}
	}
	t := r.Time.Round(0).UTC()
	if !t.After(l.last) {
		t = l.last.Add(1)
	}
	l.last = t
	if l.agent != l.store.agent {
		l.agent = l.store.agent
		l.record(recordAgent, []byte(l.agent), nil)
	}
	var head [3 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], r.Task)
	b = binary.AppendUvarint(b, uint64(r.Execution))
	b = binary.AppendVarint(b, t.UnixNano())
	l.record(recordBegin, b, []byte(r.FullName))
	l.logs = append(l.logs, entry{
		name: r.FullName, agent: l.agent, task: r.Task, execution: r.Execution, time: t, lane: -1,
	})
	return len(l.logs) - 1, nil
}

// record appends to the buffer and returns where the payload's second part
// begins in the file.
func (l *live) record(kind byte, head, rest []byte) int64 {
	if l.written == 0 && len(l.buf) == 0 {
		l.buf = append(l.buf, liveHeader...)
	}
	l.buf = append(l.buf, kind)
	l.buf = binary.AppendUvarint(l.buf, uint64(len(head)+len(rest)))
	l.buf = append(l.buf, head...)
	off := l.written + int64(len(l.buf))
	l.buf = append(l.buf, rest...)
	l.arm()
	return off
}

func (l *live) writeHead(log int, p []byte) error {
	if len(l.buf)+len(p) > maxBuffer {
		if err := l.flush(); err != nil {
			return err
		}
	}
	var head [binary.MaxVarintLen64]byte
	c := chunk{off: l.record(recordData, binary.AppendUvarint(head[:0], uint64(log)), p), n: len(p)}
	e := &l.logs[log]
	if e.head == 0 {
		e.first = c
	} else {
		e.more = append(e.more, c)
	}
	e.head += int64(c.n)
	if len(l.buf) >= flushBytes {
		// A disk that takes nothing is found out when the buffer is full.
		_ = l.flush()
	}
	return nil
}

// flush writes the buffer. It writes at an offset, so that it can be repeated
// after an error, whatever part of it the disk has taken.
func (l *live) flush() error {
	if len(l.buf) == 0 {
		return nil
	}
	if l.file == nil {
		if err := os.MkdirAll(l.dir, 0o700); err != nil {
			return fmt.Errorf("write logs: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(l.dir, liveName), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("write logs: %w", err)
		}
		l.file = f
	}
	if _, err := l.file.WriteAt(l.buf, l.written); err != nil {
		return fmt.Errorf("write logs: %w", err)
	}
	l.written += int64(len(l.buf))
	l.buf = l.buf[:0]
	return nil
}

// arm makes tick run within a second, until there is nothing to do for it.
func (l *live) arm() {
	if l.timer == nil {
		l.timer = time.AfterFunc(flushEvery, l.tick)
	}
}

func (l *live) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.timer = nil
	if l.stopped != nil {
		return
	}
	_ = l.flush() // tried again with the next tick
	l.cutLanes()
	if l.busy > 0 || len(l.buf) > 0 {
		l.arm()
		return
	}
	l.rest()
}

// rest gives back what only an active attempt needs: thousands may be waiting.
func (l *live) rest() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	l.buf = nil
}

func (l *live) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped != nil {
		return nil
	}
	return l.stop(fs.ErrClosed)
}

// stop ends all writing; what the disk does not take now is lost. It needs the
// lock.
func (l *live) stop(why error) error {
	l.stopped = why
	err := l.flush()
	for i := range l.lanes {
		l.lanes[i].close()
	}
	l.rest()
	return err
}
