package gitsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// store is the directory of checkouts: one per tree, named by its hash, never
// changed. Work directories beside it live as long as one sync.
type store struct {
	checkouts string
	tmp       string

	// use is held shared from the first look at what is there until a
	// deployment names it, and alone to delete. Deleting only ever tries.
	use sync.RWMutex
}

// openStore makes the directories and removes what a killed process left. The
// caller sees to it that there is one process at a time.
func openStore(data string) (*store, error) {
	s := &store{checkouts: filepath.Join(data, "checkouts"), tmp: filepath.Join(data, "tmp", "gitsync")}
	if err := os.RemoveAll(s.tmp); err != nil {
		return nil, fmt.Errorf("remove left-overs of the last run: %w", err)
	}
	for _, dir := range []string{s.checkouts, s.tmp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make %s: %w", dir, err)
		}
	}
	return s, nil
}

// dir is where the project of a tree lies.
func (s *store) dir(tree string) string {
	return filepath.Join(s.checkouts, tree, projectDir)
}

func (s *store) has(tree string) bool {
	_, err := os.Stat(filepath.Join(s.checkouts, tree))
	return err == nil
}

func (s *store) missing(trees []string) []string {
	return slices.DeleteFunc(slices.Clone(trees), s.has)
}

// newWork makes an empty directory for one sync.
func (s *store) newWork() (string, error) {
	return os.MkdirTemp(s.tmp, "sync-")
}

// publish moves what a fetch has exported among the checkouts. All of it is
// durable before the first name appears. A tree that is there already
// is as good.
func (s *store) publish(work string) error {
	out := filepath.Join(work, exportedDir)
	entries, err := os.ReadDir(out)
	if err != nil {
		return fmt.Errorf("publish checkouts: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := syncTree(out); err != nil {
		return fmt.Errorf("publish checkouts: %w", err)
	}
	for _, e := range entries {
		if !fullCommit.MatchString(e.Name()) {
			return fmt.Errorf("publish checkouts: unexpected %q", e.Name())
		}
		err := os.Rename(filepath.Join(out, e.Name()), filepath.Join(s.checkouts, e.Name()))
		if err != nil && !s.has(e.Name()) {
			return fmt.Errorf("publish checkouts: %w", err)
		}
	}
	return syncPath(s.checkouts)
}

// maxFileSyncs is up to how many files and folders are synced one by one.
const maxFileSyncs = 200

// syncTree makes everything below dir durable.
func syncTree(dir string) error {
	var names []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || d.Type().IsRegular()) {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		return err
	}
	if len(names) > maxFileSyncs {
		if err := syncAll(dir); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	for _, p := range names {
		if err := syncPath(p); err != nil {
			return err
		}
	}
	return nil
}

// syncPath makes a file, or the names in a folder, durable.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkout is one directory of the store.
type checkout struct {
	tree string
	from origin
	made time.Time
}

// expired lists the checkouts to delete: those not in use, but the newest keep
// of each project.
func expired(all []checkout, inUse []string, keep int) []string {
	used := map[string]bool{}
	for _, t := range inUse {
		used[t] = true
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b checkout) int { return b.made.Compare(a.made) })
	kept := map[origin]int{}
	var gone []string
	for _, c := range all {
		owner := origin{Repo: c.from.Repo, Path: c.from.Path}
		switch {
		case used[c.tree]:
		case kept[owner] < keep:
			kept[owner]++
		default:
			gone = append(gone, c.tree)
		}
	}
	return gone
}

// sweep deletes expired checkouts, unless a sync is at work: the next one will.
func (s *store) sweep(inUse func() ([]string, error), keep int) (int, error) {
	if !s.use.TryLock() {
		return 0, nil
	}
	defer s.use.Unlock()
	used, err := inUse()
	if err != nil {
		return 0, err
	}
	all, err := s.list()
	if err != nil {
		return 0, err
	}
	gone := expired(all, used, keep)
	for _, tree := range gone {
		// First out of sight, so that half a checkout never has a name.
		away := filepath.Join(s.tmp, "gone-"+tree)
		if err := os.Rename(filepath.Join(s.checkouts, tree), away); err != nil {
			return 0, fmt.Errorf("delete checkout: %w", err)
		}
		if err := os.RemoveAll(away); err != nil {
			return 0, fmt.Errorf("delete checkout: %w", err)
		}
	}
	return len(gone), nil
}

func (s *store) list() ([]checkout, error) {
	entries, err := os.ReadDir(s.checkouts)
	if err != nil {
		return nil, fmt.Errorf("list checkouts: %w", err)
	}
	var all []checkout
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		c := checkout{tree: e.Name()}
		file := filepath.Join(s.checkouts, e.Name(), originFile)
		info, err := os.Stat(file)
		if err == nil {
			c.made = info.ModTime()
			b, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(b, &c.from)
			}
			if err != nil {
				return nil, fmt.Errorf("list checkouts: %s: %w", file, err)
			}
		}
		all = append(all, c)
	}
	return all, nil
}
