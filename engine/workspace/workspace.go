// Package workspace keeps the working directories of attempts: each a private
// copy of the checkout of the attempt's commit, in which its tasks run.
//
// It knows nothing of Git, tasks or the journal. Its invariant: a directory
// that bears an attempt's number is a whole copy; what is half made or half
// removed has another name, whatever crashed meanwhile.
package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// The names of what is not a workspace yet, or no longer.
const (
	halfMade    = ".part"
	halfRemoved = ".gone"
)

// Store is the directory that holds the workspaces, one process at a time.
// Its methods may be called by many goroutines.
type Store struct {
	dir string
	// noClone remembers that the file system cannot share blocks.
	noClone atomic.Bool

	mu   sync.Mutex
	busy map[uint64]chan struct{} // closed when an attempt's workspace has been made or removed
}

// NewStore returns the store in dir, which is made at the first workspace.
func NewStore(dir string) *Store {
	return &Store{dir: dir, busy: map[uint64]chan struct{}{}}
}

// Path returns where the attempt's workspace is, or would be.
func (s *Store) Path(attempt uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(attempt, 10))
}

// Make returns the path of the attempt's workspace. It is copied from the
// checkout unless it exists; the copy shares disk blocks with the checkout
// where the file system can, and nothing else. Tasks of one attempt may ask at
// the same time.
func (s *Store) Make(attempt uint64, checkout string) (string, error) {
	defer s.lock(attempt)()
	path := s.Path(attempt)
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("find workspace: %w", err)
	}
	part := path + halfMade
	err := removeAll(part)
	if err == nil {
		err = os.MkdirAll(s.dir, 0o700)
	}
	if err == nil {
		err = s.copyTree(checkout, part)
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return "", fmt.Errorf("make workspace of attempt %d from %s: %w", attempt, checkout, err)
	}
	return path, nil
}

// Remove removes the attempt's workspace, if there is one.
func (s *Store) Remove(attempt uint64) error {
	defer s.lock(attempt)()
	path := s.Path(attempt)
	gone := path + halfRemoved
	err := removeAll(gone)
	if err == nil {
		// Under its own name it would be found again, with half its files.
		err = os.Rename(path, gone)
	}
	if err == nil {
		err = removeAll(gone)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove workspace of attempt %d: %w", attempt, err)
	}
	return nil
}

// Sweep removes the workspaces whose attempt keep does not name, and what
// crashes have left half made or half removed. One that fails does not spare
// the others.
func (s *Store) Sweep(keep func(attempt uint64) bool) error {
	entries, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep workspaces: %w", err)
	}
	var errs []error
	for _, e := range entries {
		number, state, leftOver := strings.Cut(e.Name(), ".")
		attempt, err := strconv.ParseUint(number, 10, 64)
		switch {
		case err != nil:
		case leftOver:
			errs = append(errs, s.sweepLeftOver(attempt, "."+state))
		case !keep(attempt):
			errs = append(errs, s.Remove(attempt))
		}
	}
	return errors.Join(errs...)
}

// sweepLeftOver removes under the attempt's lock: under it, what bears such a
// name is nobody's.
func (s *Store) sweepLeftOver(attempt uint64, state string) error {
	if state != halfMade && state != halfRemoved {
		return nil
	}
	defer s.lock(attempt)()
	if err := removeAll(s.Path(attempt) + state); err != nil {
		return fmt.Errorf("sweep workspace of attempt %d: %w", attempt, err)
	}
	return nil
}

// lock serialises the work on one attempt and returns what unlocks it.
func (s *Store) lock(attempt uint64) (unlock func()) {
	for {
		s.mu.Lock()
		other := s.busy[attempt]
		if other == nil {
			done := make(chan struct{})
			s.busy[attempt] = done
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.busy, attempt)
				s.mu.Unlock()
				close(done)
			}
		}
		s.mu.Unlock()
		<-other // then ask again
	}
}

// removeAll is os.RemoveAll that also enters directories which a task has
// closed to their owner.
func removeAll(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	root, openErr := os.OpenRoot(path)
	if openErr != nil {
		if chmodErr := os.Chmod(path, 0o700); chmodErr != nil {
			return err
		}
		if root, openErr = os.OpenRoot(path); openErr != nil {
			return err
		}
	}
	defer root.Close()
	// Through the root, because a link that a task puts in place of a
	// directory must not lead the change of mode elsewhere.
	_ = root.Chmod(".", 0o700)
	_ = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && err == nil {
			_ = root.Chmod(name, 0o700) // before its entries are read
		}
		return nil // what cannot be opened fails the removal below
	})
	return os.RemoveAll(path)
}
