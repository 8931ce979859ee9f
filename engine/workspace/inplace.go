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
	"syscall"
	"time"
)

// InPlace has attempts run in the checkout itself: a directory of the user's,
// in which only the scratch files of tasks are ours. The zero value is ready.
// Its methods may be called by many goroutines.
type InPlace struct {
	// Name names the directory of the scratch files, for a process that goes on with
	// what the one before it has begun; empty for one that has no followers.
	Name string

	mu      sync.Mutex
	scratch string // made when a task first needs it
}

// Make returns the checkout.
func (p *InPlace) Make(_ uint64, checkout string) (string, error) { return checkout, nil }

// Scratch returns a directory inside dir that is this process's alone.
func (p *InPlace) Scratch(_ uint64, dir string) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scratch != "" {
		// The user may have cleaned up since.
		if _, err := os.Lstat(p.scratch); !errors.Is(err, fs.ErrNotExist) {
			return p.scratch, nil
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a scratch directory: %w", err)
	}
	removeStale(dir)
	made, err := p.make(dir)
	if err == nil {
		// The account that a shell like `sudo -u` changes to reads scripts here.
		err = os.Chmod(made, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make a scratch directory: %w", err)
	}
	p.scratch = made
	return made, nil
}

func (p *InPlace) make(dir string) (string, error) {
	if p.Name == "" {
		return os.MkdirTemp(dir, scratchPrefix+strconv.Itoa(os.Getpid())+"-")
	}
	made := filepath.Join(dir, p.Name)
	err := os.Mkdir(made, 0o755)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return made, err
}

const scratchPrefix = "run-"

// staleAfter is how old a directory must be before it is taken for a left-over:
// the process that a number names may live where we cannot see it.
const staleAfter = 24 * time.Hour

// removeStale removes what processes that were killed have left.
func removeStale(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), scratchPrefix)
		number, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(number)
		if !ours || err != nil || pid <= 0 || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) < staleAfter {
			continue
		}
		_ = os.RemoveAll(filepath.Join(dir, e.Name())) // the next process tries again
	}
}

// Settled does nothing: the directory is the user's.
func (p *InPlace) Settled(uint64, bool) {}

// Close removes what tasks needed for as long as they ran.
func (p *InPlace) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.scratch == "" {
		return
	}
	_ = os.RemoveAll(p.scratch) // what stays, a later process removes
}
