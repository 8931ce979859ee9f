package tasklog

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// lane is a file to which one running log at a time is written past us.
type lane struct {
	file *os.File // nil while free
	last int      // number of the log that used it last
	// kept counts how often it could not be used again because somebody had it
	// open; after maxKept it is no longer asked about.
	kept int
}

const maxKept = 4

func (l *lane) close() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}

func (l *live) lanePath(n int) string { return filepath.Join(l.dir, strconv.Itoa(n)+".out") }

// enterLane gives the log a lane. The record is written at once: a command's
// output must be found after a crash.
func (l *live) enterLane(log int) error {
	n, f, err := l.freeLane()
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return fmt.Errorf("open log file: %w", err)
	}
	start := info.Size()
	var head [3 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(head[:0], uint64(log))
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(start))
	l.record(recordLane, b, nil)
	l.place(log, n, start)
	l.lanes[n].file = f
	l.busy++
	return l.flush() // after an error the log is in its lane all the same
}

// place puts a log into a lane, which ends the one that was there before.
func (l *live) place(log, n int, start int64) {
	if n == len(l.lanes) {
		l.lanes = append(l.lanes, lane{})
	} else if before := &l.logs[l.lanes[n].last]; before.end < 0 {
		before.end = start
	}
	l.lanes[n].last = log
	e := &l.logs[log]
	e.lane, e.start, e.end = n, start, -1
}

// freeLane opens a lane that nobody uses.
func (l *live) freeLane() (int, *os.File, error) {
	const mode = os.O_WRONLY | os.O_APPEND
	for n := range l.lanes {
		if l.lanes[n].file != nil || l.lanes[n].kept >= maxKept {
			continue
		}
		if !unwritten(l.lanePath(n)) {
			l.lanes[n].kept++
			continue
		}
		if f, err := os.OpenFile(l.lanePath(n), mode, 0); err == nil {
			l.lanes[n].kept = 0
			return n, f, nil
		}
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return 0, nil, err
	}
	n := len(l.lanes)
	f, err := os.OpenFile(l.lanePath(n), mode|os.O_CREATE, 0o600)
	return n, f, err
}

// writeLane appends to a log in its lane. One byte beyond the limit is written:
// by it the log is known to be cut.
func (l *live) writeLane(e *entry, p []byte) error {
	n, cut := l.laneSize(e)
	if cut {
		return nil
	}
	if room := l.limit() - e.head - n; int64(len(p)) > room {
		p = p[:room+1]
	}
	if _, err := l.lanes[e.lane].file.Write(p); err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// laneSize returns how many bytes of the log are in its lane, and whether there
// are more than the limit allows.
func (l *live) laneSize(e *entry) (n int64, cut bool) {
	if !e.inLane() {
		return 0, false
	}
	if e.end >= 0 {
		return e.end - e.start, false
	}
	var info os.FileInfo
	var err error
	if f := l.lanes[e.lane].file; f != nil {
		info, err = f.Stat()
	} else {
		info, err = os.Stat(l.lanePath(e.lane))
	}
	if err != nil {
		return 0, false // removed by somebody: nothing is left to show
	}
	n = max(0, info.Size()-e.start)
	if room := l.limit() - e.head; n > room {
		return room, true
	}
	return n, false
}

// cutLanes gives the disk back what exceeds the limit.
func (l *live) cutLanes() {
	for i := range l.lanes {
		if l.lanes[i].file == nil {
			continue
		}
		e := &l.logs[l.lanes[i].last]
		if n, cut := l.laneSize(e); cut {
			_ = l.lanes[i].file.Truncate(e.start + n + 1) // tried again in a second
		}
	}
}

// leaveLane ends a log that is in a lane.
func (l *live) leaveLane(e *entry) error {
	lane := &l.lanes[e.lane]
	defer lane.close()
	l.busy--
	n, cut := l.laneSize(e)
	if cut {
		// From here on the last line is in the file.
		if err := lane.file.Truncate(e.start + n); err != nil {
			return fmt.Errorf("cut log: %w", err)
		}
		written, err := lane.file.WriteString(l.notice())
		if err != nil {
			return fmt.Errorf("cut log: %w", err)
		}
		n += int64(written)
	}
	e.end = e.start + n
	return nil
}
