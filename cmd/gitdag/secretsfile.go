package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"gitdag/agent/api"
	"gitdag/engine/secret"
	"gitdag/internal/atomicfile"
)

// secretFiles are the secrets of this machine, a file each, which is named by
// the key and holds the value. Only our own directory is written; those of other
// programs are read, after it.
type secretFiles struct {
	own    string
	others []string
}

// secretFiles returns the directories of local secrets.
func (c *cli) secretFiles() (secretFiles, error) {
	dirs := c.secrets(nil).Dirs
	if len(dirs) == 0 {
		return secretFiles{}, errors.New("there is no home directory to keep secrets in; GITDAG_CONFIG_HOME can name one")
	}
	return secretFiles{own: dirs[0], others: dirs[1:]}, nil
}

// missingSecret tells whether an error is that there is no such file.
func missingSecret(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// list lists what can be read, sorted.
func (s secretFiles) list(context.Context) ([]api.Secret, error) {
	var keys []string
	for _, dir := range append([]string{s.own}, s.others...) {
		entries, err := os.ReadDir(dir)
		if err != nil && !missingSecret(err) {
			return nil, fmt.Errorf("list secrets: %w", err)
		}
		for _, e := range entries {
			if !e.IsDir() && secret.IsKey(e.Name()) {
				keys = append(keys, e.Name())
			}
		}
	}
	slices.Sort(keys)
	list := []api.Secret{}
	for _, key := range slices.Compact(keys) {
		list = append(list, api.Secret{Key: key})
	}
	return list, nil
}

// set publishes a value. The directory and the file are the account's alone
// (O26).
func (s secretFiles) set(_ context.Context, key, value string) (api.Secret, error) {
	if err := os.MkdirAll(s.own, 0o700); err != nil {
		return api.Secret{}, fmt.Errorf("set secret %s: %w", key, err)
	}
	if err := atomicfile.WriteFile(filepath.Join(s.own, key), []byte(value), 0o600); err != nil {
		return api.Secret{}, fmt.Errorf("set secret %s: %w", key, err)
	}
	return api.Secret{Key: key}, nil
}

// delete removes a value. One that another program keeps is that program's: it
// is an error if the key can still be read afterwards.
func (s secretFiles) delete(_ context.Context, key string) (api.Secret, error) {
	err := os.Remove(filepath.Join(s.own, key))
	if err != nil && !missingSecret(err) {
		return api.Secret{}, fmt.Errorf("delete secret %s: %w", key, err)
	}
	for _, dir := range s.others {
		file := filepath.Join(dir, key)
		if _, other := os.Lstat(file); other == nil {
			return api.Secret{}, fmt.Errorf("secret %s is also in %s, which is another program's: remove it there", key, file)
		}
	}
	if err != nil {
		return api.Secret{}, fmt.Errorf("there is no secret %s", key)
	}
	return api.Secret{Key: key}, nil
}
