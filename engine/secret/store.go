package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gitdag/internal/atomicfile"
)

// ErrDisabled is the error for a store without a key.
var ErrDisabled = errors.New("no key for secrets is configured")

// Store keeps the secrets of projects in a directory, an encrypted file for each
// project. Keys are in clear there, values never. It may be used by many
// goroutines of one process. What a call has changed is durable when it returns;
// a reader sees all of a change or nothing. The damage of one file concerns its
// project alone.
type Store struct {
	dir     string
	current Key
	keys    keyring

	changing sync.Mutex // one change at a time; readers read what is published
}

// Open opens the store in a directory that no other process writes, and that only
// Set makes. New values are sealed with the current key; what was sealed with an
// old one can be read, and [Store.Rotate] renews it. Without a current key
// nothing can be set; without any there are no secrets.
func Open(dir string, current Key, old ...Key) (*Store, error) {
	s := &Store{dir: dir, current: current, keys: keyring{}}
	for _, k := range slices.Concat(old, []Key{current}) {
		if !k.IsZero() {
			s.keys[k.id] = k
		}
	}
	return s, atomicfile.CleanTemps(dir)
}

// Keys returns the keys of a project in order.
func (s *Store) Keys(project uint64) ([]string, error) {
	if len(s.keys) == 0 {
		return nil, nil
	}
	entries, err := s.read(project)
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = e.key
	}
	return keys, err
}

// Get returns a value, and whether there is one.
func (s *Store) Get(project uint64, key string) (string, bool, error) {
	entries, err := s.read(project)
	if err != nil {
		return "", false, err
	}
	i, ok := find(entries, key)
	if !ok {
		return "", false, nil
	}
	value, err := s.keys.openValue(project, entries[i])
	if err != nil {
		return "", false, s.damaged(project, err)
	}
	return value, true, nil
}

// values returns the values of a project, as far as they can be read.
func (s *Store) values(project uint64) ([]string, error) {
	entries, err := s.read(project)
	if err != nil {
		return nil, err
	}
	var values []string
	for _, e := range entries {
		value, bad := s.keys.openValue(project, e)
		if bad != nil {
			err = s.damaged(project, bad)
			continue
		}
		values = append(values, value)
	}
	return values, err
}

// Set keeps a value in place of the one before. The error is [ErrDisabled]
// without a key and an [*Invalid] for what no secret can be.
func (s *Store) Set(project uint64, key, value string) error {
	if err := errors.Join(CheckKey(key), CheckValue(key, value)); err != nil {
		return err
	}
	if s.current.IsZero() {
		return ErrDisabled
	}
	return s.change(project, func(entries []entry) []entry {
		e := sealValue(s.current, project, key, value)
		i, ok := find(entries, key)
		if ok {
			entries[i] = e
			return entries
		}
		return slices.Insert(entries, i, e)
	})
}

// Delete forgets a value. That there is none is no error, not even without a key
// to look for it; one that cannot be looked at is.
func (s *Store) Delete(project uint64, key string) error {
	return s.change(project, func(entries []entry) []entry {
		if i, ok := find(entries, key); ok {
			return slices.Delete(entries, i, i+1)
		}
		return nil
	})
}

// DeleteProject forgets all secrets of a project, readable or not.
func (s *Store) DeleteProject(project uint64) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := os.Remove(s.file(project))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(err, syncDir(s.dir)); err != nil {
		return fmt.Errorf("delete the secrets of project %d: %w", project, err)
	}
	return nil
}

// Rotate seals everything anew with the current key, after which the old ones can
// go. It goes on after a project that fails; what is done stays done, and calling
// it again is safe at any time.
func (s *Store) Rotate() error {
	if s.current.IsZero() {
		return ErrDisabled
	}
	return s.each(s.rotate)
}

func (s *Store) rotate(project uint64) error {
	var broken error
	err := s.change(project, func(entries []entry) []entry {
		for i, e := range entries {
			value, err := s.keys.openValue(project, e)
			if err != nil {
				broken = s.damaged(project, err)
				return nil
			}
			entries[i] = sealValue(s.current, project, e.key, value)
		}
		return entries
	})
	return errors.Join(broken, err)
}

// Check verifies the files of all projects: its error names those that are
// damaged or sealed with a key that is not there.
func (s *Store) Check() error {
	return s.each(func(project uint64) error {
		entries, err := s.read(project)
		for _, e := range entries {
			if _, bad := s.keys.openValue(project, e); bad != nil {
				return s.damaged(project, bad)
			}
		}
		return err
	})
}

// Project returns the secrets of one project as a source.
func (s *Store) Project(id uint64) ProjectSecrets { return ProjectSecrets{s, id} }

// ProjectSecrets are the secrets that the store has for one project.
type ProjectSecrets struct {
	store *Store
	id    uint64
}

// Lookup implements [Source].
func (p ProjectSecrets) Lookup(_ context.Context, key string) (string, bool, error) {
	return p.store.Get(p.id, key)
}

// Values returns all of them, as far as they can be read.
func (p ProjectSecrets) Values(context.Context) ([]string, error) { return p.store.values(p.id) }

const suffix = ".sealed"

func (s *Store) file(project uint64) string {
	return filepath.Join(s.dir, strconv.FormatUint(project, 10)+suffix)
}

// each calls do for each project that has a file.
func (s *Store) each(do func(project uint64) error) error {
	files, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list the secrets of projects: %w", err)
	}
	var errs []error
	for _, f := range files {
		number, ok := strings.CutSuffix(f.Name(), suffix)
		project, err := strconv.ParseUint(number, 10, 64)
		if ok && err == nil && s.file(project) == filepath.Join(s.dir, f.Name()) {
			errs = append(errs, do(project))
		}
	}
	return errors.Join(errs...)
}

// read returns the entries of a project.
func (s *Store) read(project uint64) ([]entry, error) {
	f, err := os.Open(s.file(project))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the secrets of project %d: %w", project, err)
	}
	defer f.Close()
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("read the secrets of project %d in %s: %w", project, f.Name(), ErrDisabled)
	}
	var data bytes.Buffer
	n, err := data.ReadFrom(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the secrets of project %d: %w", project, err)
	}
	if n > maxFile {
		return nil, s.damaged(project, fmt.Errorf("it has more than %d bytes", maxFile))
	}
	entries, err := decodeFile(project, data.Bytes(), s.keys)
	if err != nil {
		return nil, s.damaged(project, err)
	}
	return entries, nil
}

func (s *Store) damaged(project uint64, err error) error {
	return fmt.Errorf("the secrets of project %d cannot be read: %s: %w", project, s.file(project), err)
}

// change publishes what edit makes of a project's entries; nil leaves all as it
// is.
func (s *Store) change(project uint64, edit func([]entry) []entry) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	entries, err := s.read(project)
	if err != nil {
		return err
	}
	if entries = edit(entries); entries == nil {
		return nil
	}
	if s.current.IsZero() {
		return ErrDisabled
	}
	data := encodeFile(project, entries, s.current)
	if len(data) > maxFile {
		return fmt.Errorf("the secrets of project %d would take more than %d bytes", project, maxFile)
	}
	if err := s.makeDir(); err != nil {
		return fmt.Errorf("keep the secrets of project %d: %w", project, err)
	}
	if err := atomicfile.WriteFile(s.file(project), data, 0o600); err != nil {
		return fmt.Errorf("keep the secrets of project %d: %w", project, err)
	}
	return nil
}

// makeDir makes the directory, durably, if it is not there.
func (s *Store) makeDir() error {
	err := os.Mkdir(s.dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return errors.Join(err, syncDir(filepath.Dir(s.dir)))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
