package local

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// directory is the project's own directory as every task's workspace. It
// implements engine.Workspaces.
type directory struct {
	dir string

	mu      sync.Mutex
	scratch string // made when a task first needs it
}

// Make returns the project's directory.
func (d *directory) Make(uint64, string) (string, error) { return d.dir, nil }

// Scratch returns a directory of this process.
func (d *directory) Scratch(_ uint64, dir string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.scratch != "" {
		return d.scratch, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a scratch directory: %w", err)
	}
	removeStale(dir)
	made, err := os.MkdirTemp(dir, scratchPrefix+strconv.Itoa(os.Getpid())+"-")
	if err == nil {
		// The account that a shell like `sudo -u` changes to reads scripts here.
		err = os.Chmod(made, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make a scratch directory: %w", err)
	}
	d.scratch = made
	return made, nil
}

const scratchPrefix = "run-"

// staleAfter is how old a directory must be before it is taken for a left-over:
// the process that a number names may live where we cannot see it.
const staleAfter = 24 * time.Hour

// removeStale removes what runs that were killed have left.
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
		_ = os.RemoveAll(filepath.Join(dir, e.Name())) // the next run tries again
	}
}

// Settled does nothing: the directory is the user's.
func (d *directory) Settled(uint64, bool) {}

// close removes what tasks needed for as long as they ran.
func (d *directory) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.scratch == "" {
		return
	}
	_ = os.RemoveAll(d.scratch) // what stays, a later run removes
}
