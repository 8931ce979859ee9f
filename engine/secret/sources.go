package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Source answers for secrets. ok is false for a key that it does not have; an
// error is for one that it cannot tell about, and tells nothing of a value.
type Source interface {
	Lookup(ctx context.Context, key string) (value string, ok bool, err error)
}

// Reader looks secrets up in several sources, for tasks.
type Reader struct {
	missing func(key string) error
	sources []Source
}

// NewReader returns a reader of sources, of which earlier ones win. missing makes
// the error for a key that none has.
func NewReader(missing func(key string) error, sources ...Source) Reader {
	return Reader{missing, sources}
}

// Secret returns the value of a key. A source that fails is not passed over: a
// later one might have another value.
func (r Reader) Secret(ctx context.Context, key string) (string, error) {
	for _, s := range r.sources {
		value, ok, err := s.Lookup(ctx, key)
		if ok || err != nil {
			return value, err
		}
	}
	return "", r.missing(key)
}

// Dir is a directory with a file for each secret, named by its key, as systemd,
// Docker and Kubernetes mount them. One newline at the end of a file is dropped.
// Files are read at each look-up, so that they can be replaced at any time. ""
// has none.
type Dir string

// Lookup implements [Source].
func (d Dir) Lookup(_ context.Context, key string) (string, bool, error) {
	if d == "" || !IsKey(key) {
		return "", false, nil
	}
	file := filepath.Join(string(d), key)
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	switch {
	case err != nil:
		return "", false, fmt.Errorf("read secret %s: %w", key, err)
	case !info.Mode().IsRegular():
		return "", false, fmt.Errorf("read secret %s: %s is no regular file", key, file)
	}
	data, err := readUpTo(file, MaxValue+2)
	if err != nil {
		return "", false, fmt.Errorf("read secret %s: %w", key, err)
	}
	value := strings.TrimSuffix(string(data), "\n")
	if err := CheckValue(key, value); err != nil {
		return "", false, fmt.Errorf("read secret %s from %s: %w", key, file, err)
	}
	return value, true, nil
}

// Values returns the values of all files that can be secrets.
func (d Dir) Values(ctx context.Context) ([]string, error) {
	if d == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(string(d))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list secrets: %w", err)
	}
	var values []string
	var errs []error
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		value, ok, err := d.Lookup(ctx, e.Name())
		if ok {
			values = append(values, value)
		}
		errs = append(errs, err)
	}
	return values, errors.Join(errs...)
}

// readUpTo reads the beginning of a file.
func readUpTo(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// Environ are the secrets in environment variables, by the name that [Variable]
// gives them.
type Environ struct{ values map[string]Text }

const prefix = "GITDAG_SECRET_"

// NewEnviron takes the secrets from "NAME=value" entries; of two of one name the
// later counts.
func NewEnviron(entries []string) Environ {
	e := Environ{map[string]Text{}}
	for _, entry := range entries {
		name, value, ok := strings.Cut(entry, "=")
		if ok && strings.HasPrefix(name, prefix) {
			e.values[name] = NewText(value)
		}
	}
	return e
}

// Variable returns the name of the environment variable for a key: GITDAG_SECRET_
// and the key in upper case with each dot and hyphen as an underscore. Keys that
// differ in nothing else share one.
func Variable(key string) string {
	return prefix + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(key))
}

// Lookup implements [Source].
func (e Environ) Lookup(_ context.Context, key string) (string, bool, error) {
	if !IsKey(key) {
		return "", false, nil
	}
	value, ok := e.values[Variable(key)]
	if err := CheckValue(key, value.Reveal()); err != nil {
		return "", false, fmt.Errorf("read secret %s from %s: %w", key, Variable(key), err)
	}
	return value.Reveal(), ok, nil
}

// Values returns the values of all variables.
func (e Environ) Values(context.Context) ([]string, error) {
	values := make([]string, 0, len(e.values))
	for _, value := range e.values {
		values = append(values, value.Reveal())
	}
	return values, nil
}
