package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"gitdag/engine/local"
	"gitdag/internal/atomicfile"
)

// secretFiles are the secrets of this machine, a file each, which is named by
// the key and holds the value. Only our own directory is written; those of other
// programs are read, after it.
type secretFiles struct {
	own    string
	others []string
}

// keys lists the keys that can be read, sorted.
func (s secretFiles) keys() ([]string, error) {
	var keys []string
	for _, dir := range append([]string{s.own}, s.others...) {
		entries, err := os.ReadDir(dir)
		if err != nil && !missingSecret(err) {
			return nil, fmt.Errorf("list secrets: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() && local.IsSecretKey(e.Name()) {
				keys = append(keys, e.Name())
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// set publishes a value. The directory and the file are the account's alone
// (O26).
func (s secretFiles) set(key, value string) error {
	if err := os.MkdirAll(s.own, 0o700); err != nil {
		return fmt.Errorf("set secret %s: %w", key, err)
	}
	if err := atomicfile.WriteFile(filepath.Join(s.own, key), []byte(value), 0o600); err != nil {
		return fmt.Errorf("set secret %s: %w", key, err)
	}
	return nil
}

// delete removes a value. One that another program keeps is that program's: it
// is an error if the key can still be read afterwards.
func (s secretFiles) delete(key string) error {
	err := os.Remove(filepath.Join(s.own, key))
	if err != nil && !missingSecret(err) {
		return fmt.Errorf("delete secret %s: %w", key, err)
	}
	for _, dir := range s.others {
		file := filepath.Join(dir, key)
		if _, other := os.Lstat(file); other == nil {
			return fmt.Errorf("secret %s is also in %s, which is another program's: remove it there", key, file)
		}
	}
	if err != nil {
		return fmt.Errorf("there is no secret %s", key)
	}
	return nil
}
