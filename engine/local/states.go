package local

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gitdag/engine/operator"
	"gitdag/internal/atomicfile"
)

const stateSuffix = ".yml"

// longestName keeps the name of a state's file, and that of the temporary file
// that it is published through, below what file systems take.
const longestName = 220

// states are the saved states of one session, a file a task.
type states struct {
	dir   string
	write bool

	mu    sync.Mutex
	saved map[string]bool // files that were there at the start
	made  bool
}

// openStates lists what earlier runs of the session have saved, if that counts.
func openStates(saveDir string, session time.Time, read, write bool) (*states, error) {
	s := &states{dir: filepath.Join(saveDir, session.Format(sessionDir)), write: write, saved: map[string]bool{}}
	if !read {
		return s, nil
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read saved states: %w", err)
	}
	for _, e := range entries {
		s.saved[e.Name()] = true
	}
	return s, nil
}

// fileName returns the name of a task's state file: its full name, cut and
// hashed where that is too long for a file.
func fileName(fullName string) string {
	if len(fullName) <= longestName {
		return fullName + stateSuffix
	}
	sum := sha256.Sum256([]byte(fullName))
	short := strings.ToValidUTF8(fullName[:longestName-33], "")
	return short + "." + hex.EncodeToString(sum[:16]) + stateSuffix
}

// load returns the result of a task that an earlier run has saved; nil if
// there is none.
func (s *states) load(fullName string) (*operator.Result, error) {
	name := fileName(fullName)
	if !s.saved[name] { // never changed after openStates
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read a saved state: %w", err)
	}
	result, err := decodeState(data, fullName)
	if err != nil {
		return nil, fmt.Errorf("saved state %s: %w", shown(filepath.Join(s.dir, name)), err)
	}
	return result, nil
}

// save publishes the state of a task that has succeeded.
func (s *states) save(fullName string, result *operator.Result) error {
	if !s.write {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return fmt.Errorf("save states: %w", err)
		}
		s.made = true
	}
	name := fileName(fullName)
	path, text := filepath.Join(s.dir, name), encodeState(fullName, result)
	if s.saved[name] {
		// Making a file costs far more than looking into one.
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
			return nil
		}
	}
	if err := (atomicfile.Options{NoSync: true}).WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("save the state of %s: %w", fullName, err)
	}
	return nil
}
