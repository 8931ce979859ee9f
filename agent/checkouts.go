package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gitdag/engine/archive"
	"gitdag/engine/flow"
	"gitdag/engine/journal"
	"gitdag/gitsync"
)

// checkouts are the directories of projects that were pushed. Each is named by
// the object that holds its archive, and lies among those of repositories. It
// can be made again from the archive at any time.
type checkouts struct {
	data    string
	tmp     string
	objects *journal.Objects
}

// openCheckouts removes what a killed process left behind.
func openCheckouts(data string, objects *journal.Objects) (*checkouts, error) {
	c := &checkouts{data: data, tmp: filepath.Join(data, "tmp", "push"), objects: objects}
	if err := os.RemoveAll(c.tmp); err != nil {
		return nil, fmt.Errorf("remove left-overs of the last run: %w", err)
	}
	if err := os.MkdirAll(c.tmp, 0o700); err != nil {
		return nil, fmt.Errorf("make %s: %w", c.tmp, err)
	}
	return c, nil
}

// pushedTree is the content of a checkout to be.
type pushedTree struct {
	tree   string // the archive's object
	owner  string // the source
	limits archive.Limits
	from   io.Reader
}

// adopt makes the checkout of an archive, unless there is one. look is called
// with its files before it is published, and can refuse them.
func (c *checkouts) adopt(p *pushedTree, look func(dir string) error) error {
	work, err := os.MkdirTemp(c.tmp, "unpack-")
	if err != nil {
		return fmt.Errorf("unpack an archive: %w", err)
	}
	a := gitsync.Adoption{Data: c.data, Work: work, Tree: p.tree, Owner: p.owner}
	err = gitsync.Adopt(a, func(dir string) error {
		if err := archive.Unpack(p.from, dir, p.limits); err != nil {
			return &unpackError{err}
		}
		return look(dir)
	})
	return errors.Join(err, os.RemoveAll(work))
}

// unpackError tells that an archive could not be unpacked, be it for what it
// holds or for the disk.
type unpackError struct{ error }

// Unwrap returns the reason.
func (e *unpackError) Unwrap() error { return e.error }

// restore makes a checkout again that is gone. The error is [fs.ErrNotExist]
// if it did not come from an archive that is kept.
func (c *checkouts) restore(tree string) error {
	if !isObjectName(tree) {
		return fs.ErrNotExist
	}
	data, err := c.objects.Read(tree)
	if err != nil {
		return err
	}
	// Limits that were lowered since do not concern what was accepted.
	p := &pushedTree{tree: tree, owner: flow.PushedSource(""), from: bytes.NewReader(data)}
	return c.adopt(p, func(string) error { return nil })
}

// sweep removes the checkouts of archives that nothing uses. The caller sees to
// it that nothing is pushed meanwhile.
func (c *checkouts) sweep(used []string) (removed int, err error) {
	dir := filepath.Join(c.data, "checkouts")
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, fmt.Errorf("list checkouts: %w", err)
	}
	needed := make(map[string]bool, len(used))
	for _, tree := range used {
		needed[tree] = true
	}
	for _, e := range entries {
		if !isObjectName(e.Name()) || needed[e.Name()] {
			continue
		}
		// First out of sight, so that half a checkout never has a name.
		away := filepath.Join(c.tmp, "gone-"+e.Name())
		if err := os.Rename(filepath.Join(dir, e.Name()), away); err != nil {
			return removed, fmt.Errorf("delete a checkout: %w", err)
		}
		if err := os.RemoveAll(away); err != nil {
			return removed, fmt.Errorf("delete a checkout: %w", err)
		}
		removed++
	}
	return removed, nil
}

// isObjectName tells an archive from a path, and from the tree of a repository.
func isObjectName(tree string) bool {
	return len(tree) == objectNameLength && strings.Trim(tree, "0123456789abcdef") == ""
}

// objectNameLength is that of a SHA-256 in hexadecimal.
const objectNameLength = 64

// present makes sure that a checkout is there, which lies in dir.
func (c *checkouts) present(tree, dir string) error {
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.restore(tree)
}
