package journaltest

import (
	"errors"
	"io"
	"io/fs"
	"slices"
)

// file is an open file.
type file struct {
	fs       *FS
	node     *inode
	name     string
	readOnly bool
	closed   bool
}

// check is called with the lock held.
func (f *file) check(op string) error {
	if f.closed {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	}
	if f.readOnly && op != "read" {
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrPermission}
	}
	return nil
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.stopped {
		return 0, ErrCrash
	}
	if err := f.check("read"); err != nil {
		return 0, err
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.stopped {
		return 0, ErrCrash
	}
	return int64(len(f.node.data)), f.check("read")
}

func (f *file) WriteAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("write"); err != nil {
		return 0, err
	}
	perform, err := f.fs.begin("write", f.name)
	if f.fs.stopped && !perform {
		return 0, err
	}
	n := len(p)
	if !perform {
		n /= 2
	}
	f.node.change(change{off, slices.Clone(p[:n])})
	return n, err
}

func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("truncate"); err != nil {
		return err
	}
	perform, err := f.fs.begin("truncate", f.name)
	if perform {
		f.node.change(change{at: size})
	}
	return err
}

func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check("sync"); err != nil {
		return err
	}
	_, err := f.fs.begin("sync", f.name)
	if err == nil {
		for _, c := range f.node.pending {
			f.node.durable = c.apply(f.node.durable)
		}
	}
	if !errors.Is(err, ErrCrash) {
		f.node.pending = nil // after a failure too: the kernel does not try again
	}
	return err
}

func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return fs.ErrClosed
	}
	f.closed = true
	return nil
}

func (n *inode) change(c change) {
	n.data = c.apply(n.data)
	n.pending = append(n.pending, c)
}

// apply returns data as the change leaves it, in a new slice when it is written to.
func (c change) apply(data []byte) []byte {
	if c.data == nil {
		if c.at <= int64(len(data)) {
			return slices.Clone(data[:c.at])
		}
		return append(slices.Clone(data), make([]byte, c.at-int64(len(data)))...)
	}
	result := slices.Clone(data)
	if grow := c.at + int64(len(c.data)) - int64(len(data)); grow > 0 {
		result = append(result, make([]byte, grow)...)
	}
	copy(result[c.at:], c.data)
	return result
}
