package operator

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// scratchFile is a file that lives as long as one run of an operator.
//
// Making a file costs some file systems as much as half a shell, more so right
// after others were removed. So a reusable file is not removed but left to the
// next one of its directory, under one name that two takers cannot both rename.
type scratchFile struct {
	path string
	// private is for the agent's account only, and leaves nothing behind. Any
	// other file can be read by the account to which a shell like `sudo -u`
	// changes.
	private bool
	// reusable promises that nobody reads the file any more at the end.
	reusable bool
}

func (s scratchFile) spare() string { return filepath.Join(filepath.Dir(s.path), "spare") }

func (s scratchFile) recycles() bool { return s.reusable && !s.private }

// write puts text into the file. What a crashed run left under its name is
// replaced.
func (s scratchFile) write(text string) error {
	f, err := s.open()
	if err != nil {
		return fmt.Errorf("write a scratch file: %w", err)
	}
	// Not truncated to nothing first: file systems take that for a file about
	// to be replaced, and write the new one to the disk at once.
	_, err = f.WriteAt([]byte(text), 0)
	if err == nil {
		err = f.Truncate(int64(len(text)))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write a scratch file: %w", err)
	}
	return nil
}

func (s scratchFile) open() (*os.File, error) {
	if s.recycles() && os.Rename(s.spare(), s.path) == nil {
		f, err := os.OpenFile(s.path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err == nil && isOurs(f) {
			return f, nil
		}
		if err == nil {
			f.Close()
		}
	}
	if err := os.Remove(s.path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	mode := os.FileMode(0o644)
	if s.private {
		mode = 0o600
	}
	return os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

// isOurs tells whether the file is what it was when it was made: a task may
// have linked it elsewhere, or put another thing in its place.
func isOurs(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 1
}

// discard ends the use of the file. The directory goes with the workspace, so
// what stays is no harm.
func (s scratchFile) discard() {
	if s.recycles() && os.Rename(s.path, s.spare()) == nil {
		return
	}
	_ = os.Remove(s.path)
}
