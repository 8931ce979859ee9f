package tasklog

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (l *live) list() ([]Info, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(); err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(l.logs))
	for i := range l.logs {
		if info := l.info(&l.logs[i]); info.Size > 0 {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

func (l *live) info(e *entry) Info {
	n, cut := l.laneSize(e)
	size := e.head + n
	if cut {
		size += int64(len(l.notice()))
	}
	return Info{
		Name: wireName(e.name, e.time, e.agent), FullName: e.name, Task: e.task, Execution: e.execution,
		Time: e.time, Agent: e.agent, Size: size,
	}
}

func (l *live) open(name string, t time.Time, offset int64) (io.ReadCloser, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(); err != nil {
		return nil, err
	}
	i, ok := slices.BinarySearchFunc(l.logs, t, func(e entry, t time.Time) int { return e.time.Compare(t) })
	if !ok || l.info(&l.logs[i]).Name != name {
		return nil, fs.ErrNotExist
	}
	files := fileSet{}
	r, err := l.read(&l.logs[i], files.open)
	if err == nil {
		err = r.skip(offset)
	}
	if err != nil {
		return nil, errors.Join(err, files.Close())
	}
	return fileReader{r, files}, nil
}

// read returns a reader of what the log has now, from files that open opens and
// somebody else closes. It needs the lock, or that nobody writes any more; the
// reader needs neither.
func (l *live) read(e *entry, open func(path string) (*os.File, error)) (*reader, error) {
	if err := l.flush(); err != nil {
		return nil, err
	}
	r := &reader{}
	if e.head > 0 {
		f, err := open(filepath.Join(l.dir, liveName))
		if err != nil {
			return nil, err
		}
		r.parts = append(r.parts, io.NewSectionReader(f, e.first.off, int64(e.first.n)))
		for _, c := range e.more {
			r.parts = append(r.parts, io.NewSectionReader(f, c.off, int64(c.n)))
		}
	}
	n, cut := l.laneSize(e)
	if n > 0 {
		f, err := open(l.lanePath(e.lane))
		if err != nil {
			return nil, err
		}
		r.parts = append(r.parts, io.NewSectionReader(f, e.start, n))
	}
	if cut {
		text := l.notice()
		r.parts = append(r.parts, io.NewSectionReader(strings.NewReader(text), 0, int64(len(text))))
	}
	return r, nil
}

// fileSet opens files once and closes them together.
type fileSet map[string]*os.File

func (s fileSet) open(path string) (*os.File, error) {
	if f := s[path]; f != nil {
		return f, nil
	}
	f, err := os.Open(path)
	if err == nil {
		s[path] = f
	}
	return f, err
}

// Close closes all.
func (s fileSet) Close() error {
	var errs []error
	for _, f := range s {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// fileReader is a reader that owns its files.
type fileReader struct {
	*reader
	fileSet
}

// reader reads the parts of a live log.
type reader struct {
	parts []*io.SectionReader
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.parts) > 0 {
		n, err := r.parts[0].Read(p)
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if err != io.EOF {
			return 0, err
		}
		r.parts = r.parts[1:]
	}
	return 0, io.EOF
}

func (r *reader) skip(n int64) error {
	for len(r.parts) > 0 && n >= r.parts[0].Size() {
		n -= r.parts[0].Size()
		r.parts = r.parts[1:]
	}
	if len(r.parts) == 0 {
		return nil
	}
	_, err := r.parts[0].Seek(n, io.SeekStart)
	return err
}
