package tasklog

import (
	"errors"
	"io/fs"
	"os"
)

// errPacked is what a writer gets that is still at it when the logs are packed,
// and the sign to a reader to look into the pack.
var errPacked = errors.New("the attempt has ended and its logs are packed")

// Writer is the log of one execution, for one goroutine at a time and the
// command that has its file.
type Writer struct {
	live   *live
	run    Run
	log    int // number in live.logs; -1 before the first byte
	closed bool
}

// Write appends to the log. What exceeds the limit is dropped without an error:
// a task does not fail because it talks too much.
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	l := w.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := w.begin(); err != nil {
		return 0, err
	}
	e := &l.logs[w.log]
	if !e.inLane() && (e.head+int64(len(p)) > min(headBytes, l.limit()) || len(e.more) >= headChunks) {
		if err := l.enterLane(w.log); err != nil {
			return 0, err
		}
	}
	if e.inLane() {
		return len(p), l.writeLane(e, p)
	}
	return len(p), l.writeHead(w.log, p)
}

// File returns the file to which a command may write directly, in append mode;
// what was written to the log before comes first. The file belongs to the
// Writer.
func (w *Writer) File() (*os.File, error) {
	l := w.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := w.begin(); err != nil {
		return nil, err
	}
	if !l.logs[w.log].inLane() {
		if err := l.enterLane(w.log); err != nil {
			return nil, err
		}
	}
	return l.lanes[l.logs[w.log].lane].file, nil
}

// Close ends the log.
func (w *Writer) Close() error {
	l := w.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.closed {
		return nil
	}
	w.closed = true
	if w.log < 0 || l.stopped != nil || !l.logs[w.log].inLane() {
		return nil
	}
	return l.leaveLane(&l.logs[w.log])
}

func (w *Writer) begin() error {
	l := w.live
	if w.closed {
		return fs.ErrClosed
	}
	if l.stopped != nil {
		return l.stopped
	}
	if w.log >= 0 {
		return nil
	}
	err := l.load()
	if err == nil {
		w.log, err = l.begin(w.run)
	}
	return err
}
