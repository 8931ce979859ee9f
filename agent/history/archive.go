package history

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"gitdag/engine/flow"
	"gitdag/internal/atomicfile"
)

const (
	archiveDir    = "archive"
	attemptSuffix = ".jsonl.gz"
	expiredName   = "expired" + attemptSuffix
	dayLayout     = time.DateOnly
)

// archive is the folder of files. Its methods may be called concurrently.
type archive struct {
	dir string
	// publish is the function of that name, or a test's disk that is full.
	publish func(path string, write func(io.Writer) error) error

	// A compressor is a megabyte, a reader some dozen kilobytes: they are
	// lent, and an idle agent gives them back.
	writers, readers sync.Pool
}

// day is a date in UTC in days since the epoch.
type day int64

const secondsPerDay = 24 * 60 * 60

func dayOf(t time.Time) day { return day(t.Unix() / secondsPerDay) }

func (d day) start() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String is the name of the day's folder.
func (d day) String() string { return d.start().Format(dayLayout) }

func parseDay(name string) (day, bool) {
	t, err := time.Parse(dayLayout, name)
	if err != nil {
		return 0, false
	}
	return dayOf(t), true
}

// parseAttempt tells which attempt a file name stands for.
func parseAttempt(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, attemptSuffix)
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(digits, 10, 63)
	return id, err == nil && id > 0 && strconv.FormatUint(id, 10) == digits
}

func (a *archive) folder(d day) string { return filepath.Join(a.dir, d.String()) }

func (a *archive) file(d day, id uint64) string {
	return filepath.Join(a.folder(d), strconv.FormatUint(id, 10)+attemptSuffix)
}

// modified returns when an entry of the day's folder last came or went.
func (a *archive) modified(d day) (time.Time, error) {
	info, err := os.Stat(a.folder(d))
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// folders returns the days that have a folder.
func (a *archive) folders() ([]day, error) {
	names, err := os.ReadDir(a.dir)
	if err != nil {
		return nil, err
	}
	var days []day
	for _, n := range names {
		if d, ok := parseDay(n.Name()); ok && n.IsDir() {
			days = append(days, d)
		}
	}
	return days, nil
}

// writeAttempt publishes an attempt's file. Only the tasks under way are in
// memory in their written form, not the file.
func (a *archive) writeAttempt(h *wireHead, tasks []flow.Row) error {
	return a.write(a.file(dayOf(h.FinishedAt), h.Attempt.ID), func(lines *json.Encoder) error {
		if err := lines.Encode(h); err != nil {
			return err
		}
		for i := range tasks {
			if err := lines.Encode(taskOf(&tasks[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

// write publishes a file of compressed lines in a folder that it makes if
// there is none.
func (a *archive) write(path string, content func(*json.Encoder) error) error {
	if err := a.makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	return a.publish(path, func(to io.Writer) error {
		z, ok := a.writers.Get().(*gzip.Writer)
		if !ok {
			var err error
			if z, err = gzip.NewWriterLevel(nil, gzip.BestSpeed); err != nil {
				return err
			}
		}
		defer a.writers.Put(z)
		z.Reset(to)
		lines := json.NewEncoder(z)
		lines.SetEscapeHTML(false)
		return errors.Join(content(lines), z.Close())
	})
}

// publish makes a file appear under its name whole and durable, or not at all.
func publish(path string, write func(io.Writer) error) (err error) {
	f, err := atomicfile.Create(path, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (a *archive) makeFolder(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(a.dir)
}

// lines reads a compressed file line by line.
type lines struct {
	*bufio.Reader
	file *os.File
	zip  *gzip.Reader
}

func (a *archive) open(path string) (*lines, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	l, ok := a.readers.Get().(*lines)
	if !ok {
		l = &lines{Reader: bufio.NewReader(nil), zip: new(gzip.Reader)}
	}
	if err := l.zip.Reset(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l.file = f
	l.Reader.Reset(l.zip)
	return l, nil
}

func (a *archive) close(l *lines) {
	_ = l.file.Close()
	l.file = nil
	a.readers.Put(l)
}

// next returns the next line; io.EOF after the last one of a whole file. The
// line is valid until the next call unless it is longer than the buffer.
func (l *lines) next() ([]byte, error) {
	line, err := l.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		start := append([]byte(nil), line...)
		line, err = l.ReadBytes('\n')
		line = append(start, line...)
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return line, err
}

// readHead reads the first line of an attempt's file and nothing else, and
// checks that it stands where it should.
func (a *archive) readHead(d day, id uint64) (*wireHead, error) {
	path := a.file(d, id)
	l, err := a.open(path)
	if err != nil {
		return nil, describe(path, err)
	}
	defer a.close(l)
	h, err := l.head(path)
	if err != nil {
		return nil, err
	}
	if h.Attempt.ID != id || dayOf(h.FinishedAt) != d {
		return nil, fmt.Errorf("%s holds attempt %d, which finished on %s", path, h.Attempt.ID, dayOf(h.FinishedAt))
	}
	return h, nil
}

func (l *lines) head(path string) (*wireHead, error) {
	line, err := l.next()
	if err != nil {
		return nil, describe(path, err)
	}
	return decodeHead(line, path)
}

// readAttempt reads the whole file of an attempt.
func (a *archive) readAttempt(d day, id uint64) (*flow.Record, error) {
	path := a.file(d, id)
	l, err := a.open(path)
	if err != nil {
		return nil, describe(path, err)
	}
	defer a.close(l)
	h, err := l.head(path)
	if err != nil {
		return nil, err
	}
	s, err := h.summary()
	if err != nil {
		return nil, describe(path, err)
	}
	r := &flow.Record{
		Session: s.Session, Attempt: s.Attempt, Scheduled: s.Attempt.Scheduled != 0,
		CreatedAt: s.CreatedAt, FinishedAt: s.FinishedAt, Killed: s.Killed, Succeeded: s.Succeeded,
	}
	if r.Tasks, err = l.tasks(s.Tasks); err != nil {
		return nil, describe(path, err)
	}
	return r, nil
}

// tasks reads the other lines. The number comes from the file, so it is a
// promise to check and no size to trust.
func (l *lines) tasks(number int) ([]flow.Row, error) {
	rows := make([]flow.Row, 0, min(number, 1<<17))
	for {
		line, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var w wireTask
		if err := json.Unmarshal(line, &w); err != nil {
			return nil, err
		}
		row, err := w.row()
		if err != nil {
			return nil, fmt.Errorf("task %d: %w", w.ID, err)
		}
		rows = append(rows, row)
	}
	if len(rows) != number {
		return nil, fmt.Errorf("%d tasks instead of %d", len(rows), number)
	}
	return rows, nil
}

// describe names the file where the error does not.
func describe(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return err
	}
	return fmt.Errorf("read %s: %w", path, err)
}
