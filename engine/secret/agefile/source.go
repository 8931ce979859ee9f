package agefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gitdag/engine/secret"
)

// maxKept bounds how many files are kept open in memory.
const maxKept = 64

// Cache opens the files of projects, and keeps what it has opened until the file
// changes. It may be used by many goroutines.
type Cache struct {
	identities Identities
	mu         sync.Mutex
	kept       map[string]*opened
}

// opened is a file in memory.
type opened struct {
	path string
	size int64
	time time.Time

	mu     sync.Mutex
	file   *File
	err    error
	values map[string]value
}

type value struct {
	text secret.Text
	err  error
}

// NewCache returns a cache that decrypts with identities.
func NewCache(identities Identities) *Cache {
	return &Cache{identities: identities, kept: map[string]*opened{}}
}

// Project returns the secrets of the project in a directory. dir makes sure that it
// is there, and is asked at each look-up.
func (c *Cache) Project(dir func() (string, error)) Source { return Source{c, dir} }

// Source are the secrets in the file of a project. It implements [secret.Source].
type Source struct {
	cache *Cache
	dir   func() (string, error)
}

// Lookup returns a value, and whether there is one. A project without the file has
// none.
func (s Source) Lookup(_ context.Context, key string) (string, bool, error) {
	o, err := s.open()
	if o == nil || err != nil || !o.file.Has(key) {
		return "", false, err
	}
	value, err := o.value(key, s.cache.identities)
	return value, err == nil, err
}

// Values returns all values, as far as they can be decrypted.
func (s Source) Values(context.Context) ([]string, error) {
	o, err := s.open()
	if o == nil || err != nil {
		return nil, err
	}
	var values []string
	var errs []error
	for _, key := range o.file.Keys() {
		value, err := o.value(key, s.cache.identities)
		if err == nil {
			values = append(values, value)
		}
		errs = append(errs, err)
	}
	return values, errors.Join(errs...)
}

// open returns the file of the project; nil if there is none.
func (s Source) open() (*opened, error) {
	dir, err := s.dir()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Name, err)
	}
	path := filepath.Join(dir, Name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read secrets: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read secrets: %s is no regular file", path)
	}
	o := s.cache.keep(path, info)
	return o, o.load()
}

func (c *Cache) keep(path string, info fs.FileInfo) *opened {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.kept[path]
	if o != nil && o.size == info.Size() && o.time.Equal(info.ModTime()) {
		return o
	}
	if len(c.kept) >= maxKept {
		clear(c.kept)
	}
	o = &opened{path: path, size: info.Size(), time: info.ModTime(), values: map[string]value{}}
	c.kept[path] = o
	return o
}

func (o *opened) load() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file != nil || o.err != nil {
		return o.err
	}
	f, err := os.Open(o.path)
	if err != nil {
		return fmt.Errorf("read secrets: %w", err) // it may be there next time
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("read secrets: %w", err)
	}
	if o.file, err = Parse(data); err != nil {
		o.file, o.err = nil, fmt.Errorf("read secrets from %s: %w", o.path, err)
	}
	return o.err
}

func (o *opened) value(key string, identities Identities) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v, ok := o.values[key]
	if !ok {
		text, err := o.file.Open(key, identities)
		if err != nil {
			err = fmt.Errorf("read secret %s from %s: %w", key, o.path, err)
			text = ""
		}
		v = value{secret.NewText(text), err}
		o.values[key] = v
	}
	return v.text.Reveal(), v.err
}
