package tasklog

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Retention says which packs stay.
type Retention struct {
	// Age is how long after the attempt's end; 0 means for ever.
	Age time.Duration
	// Bytes is how much all packs together may take; the oldest go first.
	// 0 means no limit.
	Bytes int64
}

// packFile is what a sweep knows of a pack.
type packFile struct {
	path string
	time time.Time
	size int64
}

// Sweep removes the packs that are past their retention, and what a crash has
// left of writing one. Live logs stay. It runs beside everything else; a file
// that cannot be removed does not spare the others.
func (s *Store) Sweep(now time.Time, keep Retention) error {
	shards, err := os.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep logs: %w", err)
	}
	var packs []packFile
	var errs []error
	for _, shard := range shards {
		if _, err := strconv.ParseUint(shard.Name(), 10, 64); err != nil || !shard.IsDir() {
			continue
		}
		found, err := sweepShard(filepath.Join(s.dir, shard.Name()), now)
		packs = append(packs, found...)
		errs = append(errs, err)
	}
	for _, p := range expired(packs, now, keep) {
		if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		_ = os.Remove(filepath.Dir(p.path)) // if it was the last
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("sweep logs: %w", err)
	}
	return nil
}

// abandoned is the age at which a file under way is nobody's any more.
const abandoned = time.Hour

// sweepShard returns the packs of a shard and removes abandoned files.
func sweepShard(dir string, now time.Time) ([]packFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var packs []packFile
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue // gone meanwhile, or live logs
		}
		path := filepath.Join(dir, e.Name())
		number, isPack := strings.CutSuffix(e.Name(), ".pack")
		if _, err := strconv.ParseUint(number, 10, 64); isPack && err == nil {
			packs = append(packs, packFile{path, info.ModTime(), info.Size()})
		} else if strings.HasSuffix(e.Name(), ".tmp") && now.Sub(info.ModTime()) > abandoned {
			errs = append(errs, os.Remove(path))
		}
	}
	return packs, errors.Join(errs...)
}

// expired returns the packs that must go.
func expired(packs []packFile, now time.Time, keep Retention) []packFile {
	slices.SortFunc(packs, func(a, b packFile) int {
		return cmp.Or(b.time.Compare(a.time), strings.Compare(b.path, a.path))
	})
	var total int64
	for i, p := range packs {
		total += p.size
		// From the first one on that is too old or too much, all are older.
		if keep.Age > 0 && now.Sub(p.time) > keep.Age || keep.Bytes > 0 && total > keep.Bytes {
			return packs[i:]
		}
	}
	return nil
}
