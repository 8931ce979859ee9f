package gitsync

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Adoption is a project that takes its place among the checkouts although it
// did not come from a repository.
type Adoption struct {
	Data string // as in Options
	Work string // an empty directory on the same file system, for this call alone
	Tree string // the checkout's key, which stands for the content
	// Owner is whose checkout it is: of each owner's, the newest few are kept
	// although nothing uses them.
	Owner string
}

// Adopt publishes what fill writes into the directory that it is given, durably
// and whole; where fill fails, nothing is published. A checkout that is there
// already is as good, and fill is not called; it counts as made now.
func Adopt(a Adoption, fill func(dir string) error) (err error) {
	checkouts := filepath.Join(a.Data, "checkouts")
	place := filepath.Join(checkouts, a.Tree)
	now := time.Now()
	if err := os.Chtimes(filepath.Join(place, originFile), now, now); err == nil {
		return nil
	}
	dir := filepath.Join(a.Work, a.Tree)
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	project := filepath.Join(dir, projectDir)
	if err := errors.Join(os.MkdirAll(checkouts, 0o700), os.MkdirAll(project, 0o755)); err != nil {
		return fmt.Errorf("make a checkout: %w", err)
	}
	if err := fill(project); err != nil {
		return err
	}
	from, err := json.Marshal(origin{Repo: a.Owner})
	if err != nil {
		return fmt.Errorf("make a checkout: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, originFile), from, 0o644); err != nil {
		return fmt.Errorf("make a checkout: %w", err)
	}
	if err := syncTree(dir); err != nil {
		return fmt.Errorf("make a checkout: %w", err)
	}
	if err := os.Rename(dir, place); err != nil {
		if _, missing := os.Stat(place); missing != nil {
			return fmt.Errorf("make a checkout: %w", err)
		}
	}
	return syncPath(checkouts)
}

// Checkout is where the project of a tree lies below a data directory, whether
// it is there or not.
func Checkout(data, tree string) string {
	return filepath.Join(data, "checkouts", tree, projectDir)
}
