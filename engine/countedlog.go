package engine

import (
	"bytes"
	"sync/atomic"
)

// countedLog counts the lines that are written, but not those that a process writes
// to the file: how many an agent has written tells the next one where to go on.
type countedLog struct {
	TaskLog
	lines atomic.Int64
}

func (l *countedLog) Write(p []byte) (int, error) {
	n, err := l.TaskLog.Write(p)
	l.lines.Add(int64(bytes.Count(p[:n], []byte{'\n'})))
	return n, err
}
