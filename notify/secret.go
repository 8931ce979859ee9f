package notify

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

const (
	masked = "***"
	// maxSecretBytes keeps a wrong path (a log, a device) from being read whole.
	maxSecretBytes = 64 << 10
)

// Secret is a text that no print, log or encoding shows. It is held behind a
// function because fmt prints the unexported fields of a struct without asking their
// methods.
type Secret struct {
	text func() string
}

// NewSecret hides a text.
func NewSecret(text string) Secret {
	return Secret{text: func() string { return text }}
}

// Reveal returns the text, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}

// String returns ***.
func (s Secret) String() string { return masked }

// Format writes *** for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) }

// LogValue returns ***.
func (s Secret) LogValue() slog.Value { return slog.StringValue(masked) }

// MarshalText returns ***.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Source yields a secret at the moment of its use, so that a rotated file is
// obeyed without a restart.
type Source func() (Secret, error)

// Literal is the source of a text that does not change.
func Literal(text string) Source {
	return func() (Secret, error) { return NewSecret(text), nil }
}

// File is the source that reads the file at each use and drops one trailing newline.
func File(path string) Source {
	return func() (Secret, error) {
		text, err := readSecret(path)
		if err != nil {
			return Secret{}, fmt.Errorf("read secret: %w", err)
		}
		return NewSecret(text), nil
	}
}

func readSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxSecretBytes:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxSecretBytes)
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	if text == "" {
		return "", errors.New(path + " is empty")
	}
	return text, nil
}
