package local

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gitdag/engine"
)

// logs are where tasks print: the command's standard output, and with a
// directory a compressed file for each execution too. It implements
// engine.Logs.
type logs struct {
	stdout  io.Writer
	watcher Watcher    // takes what is printed instead of stdout; nil for none
	mu      sync.Mutex // held while stdout is written to
	dir     string     // of the attempt; empty for none
}

// Begin returns the log of an execution. Its file begins with its first byte.
func (l *logs) Begin(_, task uint64, _ int, fullName string, at time.Time) engine.TaskLog {
	return &taskLog{logs: l, task: task, fullName: fullName, at: at}
}

// Pack does nothing: the logs stay files.
func (l *logs) Pack(uint64) error { return nil }

type taskLog struct {
	logs     *logs
	task     uint64
	fullName string
	at       time.Time

	file *os.File
	gzip *gzip.Writer
}

// File gives standard output itself where that is a file and nothing else keeps
// what is printed.
func (t *taskLog) File() (*os.File, error) {
	if f, ok := t.logs.stdout.(*os.File); ok && t.logs.dir == "" && t.logs.watcher == nil {
		return f, nil
	}
	return nil, errors.ErrUnsupported
}

func (t *taskLog) Write(p []byte) (int, error) {
	if err := t.keep(p); err != nil {
		return 0, err
	}
	if t.logs.watcher != nil {
		t.logs.watcher.Output(t.task, t.fullName, p)
		return len(p), nil
	}
	t.logs.mu.Lock()
	defer t.logs.mu.Unlock()
	return t.logs.stdout.Write(p)
}

// keep writes to the log's file. It is named as on a server (server.md 3), so
// that the same tools read both.
func (t *taskLog) keep(p []byte) error {
	if t.logs.dir == "" {
		return nil
	}
	if t.gzip == nil {
		name := fmt.Sprintf("%s@%08x%08x.%d.log.gz", fitted(t.fullName), t.at.Unix(), t.at.Nanosecond(), os.Getpid())
		if err := os.MkdirAll(t.logs.dir, 0o755); err != nil {
			return fmt.Errorf("keep the log of %s: %w", t.fullName, err)
		}
		f, err := os.OpenFile(filepath.Join(t.logs.dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
		if err != nil {
			return fmt.Errorf("keep the log of %s: %w", t.fullName, err)
		}
		t.file, t.gzip = f, gzip.NewWriter(f)
	}
	_, err := t.gzip.Write(p)
	return err
}

// fitted is a task's full name as the beginning of a file's.
func fitted(fullName string) string {
	return strings.TrimSuffix(fileName(fullName), stateSuffix)
}

func (t *taskLog) Close() error {
	if t.gzip == nil {
		return nil
	}
	return errors.Join(t.gzip.Close(), t.file.Close())
}
