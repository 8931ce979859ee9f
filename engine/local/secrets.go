package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"gitdag/engine/operator"
)

// Secrets are the local secrets: entries of the configuration first, then a
// file for each key, whose whole content is the value (language.md 5.8).
type Secrets struct {
	Config map[string]string
	// Dirs are looked into in order.
	Dirs []string
}

// secretKey is what the name of a secret's file may be.
var secretKey = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

// IsSecretKey tells whether a text may be the key of a secret.
func IsSecretKey(text string) bool { return len(text) <= 255 && secretKey.MatchString(text) }

// Secret implements [operator.Secrets].
func (s Secrets) Secret(_ context.Context, key string) (string, error) {
	if value, ok := s.Config[key]; ok {
		return value, nil
	}
	if IsSecretKey(key) {
		for _, dir := range s.Dirs {
			value, err := os.ReadFile(filepath.Join(dir, key))
			switch {
			case err == nil:
				return string(value), nil
			case !errors.Is(err, fs.ErrNotExist):
				return "", fmt.Errorf("read secret %s: %w", key, err)
			}
		}
	}
	return "", &operator.Error{Message: fmt.Sprintf("Secret not found for key: '%s'", key), Kind: "secret not found"}
}
