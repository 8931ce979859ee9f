package secret

import (
	"fmt"
	"regexp"
	"unicode/utf8"
)

// The lengths, in bytes, that a key and a value may have.
const (
	MaxKey   = 255
	MaxValue = 16 << 10
)

var keyGrammar = regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

// Invalid is the error for a key or a value that no secret can have. It does not
// tell the value.
type Invalid struct{ reason string }

func (e *Invalid) Error() string { return e.reason }

// IsKey tells whether a text may be the key of a secret (server.md 1.7).
func IsKey(text string) bool { return len(text) <= MaxKey && keyGrammar.MatchString(text) }

// CheckKey returns an [*Invalid] for a text that is no key.
func CheckKey(key string) error {
	if IsKey(key) {
		return nil
	}
	if len(key) > MaxKey {
		return &Invalid{fmt.Sprintf("the key of a secret has %d bytes; %d are allowed", len(key), MaxKey)}
	}
	return &Invalid{fmt.Sprintf("%q is no key of a secret: it consists of words between dots, which begin with a letter and end in a letter or a digit", key)}
}

// CheckValue returns an [*Invalid] for a value that is too long or no text. The
// key is for the message.
func CheckValue(key, value string) error {
	if len(value) > MaxValue {
		return &Invalid{fmt.Sprintf("the value of secret %s has %d bytes; %d are allowed", key, len(value), MaxValue)}
	}
	if !utf8.ValidString(value) {
		return &Invalid{fmt.Sprintf("the value of secret %s is no UTF-8 text", key)}
	}
	return nil
}
