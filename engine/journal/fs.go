package journal

import (
	"errors"
	"io"
	"syscall"
)

// FS is a data directory as the journal sees it. Names are relative to it and slash-separated; "." is the directory itself. A new entry,
// a rename and a removal are durable once SyncDir of their directory has returned, a file's bytes once its Sync has. Missing files are
// reported as fs.ErrNotExist, a full disk as ENOSPC or EDQUOT. All methods may be called from several goroutines.
type FS interface {
	// Create makes a file that must not exist yet, for reading and writing.
	Create(name string) (File, error)
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// Edit opens an existing file for reading and writing.
	Edit(name string) (File, error)
	// Rename replaces to by from, atomically.
	Rename(from, to string) error
	Remove(name string) error
	// List returns the sorted names of the files in dir, none if dir does not exist.
	List(dir string) ([]string, error)
	// Mkdir makes dir, unless it exists.
	Mkdir(dir string) error
	SyncDir(dir string) error
	// Lock takes the exclusive lock of the named file until it is closed or the process ends. It does not wait: a lock that is held is a
	// *LockedError.
	Lock(name string) (io.Closer, error)
}

// File is an open file of an FS.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the bytes and the size durable. After it has failed, nothing is known about the bytes that were not durable before.
	Sync() error
}

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// readFile returns the content of a file, in buf if that is large enough. A file that shrinks meanwhile gives what is left of it.
func readFile(fsys FS, name string, buf []byte) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	n, err := f.ReadAt(buf[:size], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return buf[:n], nil
}
