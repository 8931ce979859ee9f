// Package atomicfile publishes a file under its name whole or not at all. It is for every file that is not part of the journal.
//
// It knows nothing of what is written. Its one invariant: the name shows the old content or the whole new one, at every moment and after
// every crash, and only Commit changes which. A file that was closed without Commit, on an error path or by a crash, never replaces
// anything; what it leaves is a temporary file with a name of its own, which blocks nobody and which CleanTemps removes.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
)

// Options of a publication. The zero value is durable.
type Options struct {
	// NoSync leaves out all syncs: after a power cut the file may be empty, or the old one. For local state, caches and logs.
	NoSync bool
}

// File is a file that is being written and has no name yet. It is not for concurrent use.
type File struct {
	file    *os.File
	path    string
	options Options
	done    bool // committed or discarded
}

// Create begins a durable publication of the file called path.
func Create(path string, mode fs.FileMode) (*File, error) { return Options{}.Create(path, mode) }

// WriteFile publishes data durably as the file called path.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	return Options{}.WriteFile(path, data, mode)
}

// Create begins the publication of the file called path, in whose directory the temporary file lies. mode is subject to the umask, as
// always, and does not depend on the file that is replaced; a symbolic link is replaced, not followed.
func (o Options) Create(path string, mode fs.FileMode) (*File, error) {
	temp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(path), rand.Uint64()))
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return &File{file: f, path: path, options: o}, nil
}

// WriteFile publishes data as the file called path.
func (o Options) WriteFile(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := o.Create(path, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) {
	n, err := f.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", f.path, err)
	}
	return n, nil
}

// Commit publishes what was written, durably unless the options say otherwise, and closes the file. After an error before the rename the
// old file is there and nothing else; after a failed sync of the directory the new one is there, but a power cut may bring back the old
// one. Either way the publication is over, and Close does nothing.
func (f *File) Commit() error {
	if f.done {
		return fmt.Errorf("publish %s: %w", f.path, fs.ErrClosed)
	}
	var err error
	if !f.options.NoSync {
		err = f.file.Sync()
	}
	if err := errors.Join(err, f.file.Close()); err != nil {
		return fmt.Errorf("publish %s: %w", f.path, errors.Join(err, f.discard()))
	}
	if err := os.Rename(f.file.Name(), f.path); err != nil {
		return fmt.Errorf("publish %s: %w", f.path, errors.Join(err, f.discard()))
	}
	f.done = true
	if f.options.NoSync {
		return nil
	}
	if err := syncDir(filepath.Dir(f.path)); err != nil {
		return fmt.Errorf("publish %s: %w", f.path, err)
	}
	return nil
}

// Close discards what was written, unless it was committed. It may be called at any time, so that it can be deferred.
func (f *File) Close() error {
	if f.done {
		return nil
	}
	if err := errors.Join(f.file.Close(), f.discard()); err != nil {
		return fmt.Errorf("discard %s: %w", f.path, err)
	}
	return nil
}

func (f *File) discard() error {
	f.done = true
	return os.Remove(f.file.Name())
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// CleanTemps removes what crashes left in dir. Call it where no other process writes: it cannot tell a left-over from a file that is being
// written. A directory that is not there is clean.
func CleanTemps(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean %s: %w", dir, err)
	}
	temp := regexp.MustCompile(`^\..+\.[0-9a-f]{16}\.tmp$`)
	for _, e := range entries {
		if !e.Type().IsRegular() || !temp.MatchString(e.Name()) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clean %s: %w", dir, err)
		}
	}
	return nil
}
