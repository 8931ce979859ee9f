package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// Key encrypts the store. The zero value is none. It prints as its id only.
type Key struct {
	id   string
	aead cipher.AEAD // makes its own random nonces
}

// errKey does not quote what it was given: it may be a key all but a character.
var errKey = errors.New("a key for secrets is the base64 text of 16 or 32 random bytes, as `head -c 32 /dev/urandom | base64` makes it")

// maxKeyText bounds what is read of a file that should hold a key.
const maxKeyText = 1 << 10

// ParseKey reads a key: base64, of 16 or 32 bytes, on one line. A newline behind
// it is dropped.
func ParseKey(text []byte) (Key, error) {
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if bytes.ContainsAny(text, "\r\n") { // the decoder would skip them
		return Key{}, errKey
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != 16 && len(raw) != 32 {
		return Key{}, errKey
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return Key{}, errKey
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return Key{}, fmt.Errorf("use the key for secrets: %w", err)
	}
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte("gitdag secrets key id"))
	return Key{id: hex.EncodeToString(mac.Sum(nil)[:8]), aead: aead}, nil
}

// LoadKey reads a key from a file. The warning, where there is one, is for whoever
// keeps the file.
func LoadKey(file string) (key Key, warning string, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return Key{}, "", fmt.Errorf("read the key for secrets: %w", err)
	}
	text, err := readUpTo(file, maxKeyText)
	if err != nil {
		return Key{}, "", fmt.Errorf("read the key for secrets: %w", err)
	}
	if key, err = ParseKey(text); err != nil {
		return Key{}, "", fmt.Errorf("read the key for secrets from %s: %w", file, err)
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		warning = fmt.Sprintf("every user of this machine may read or change the key for secrets in %s (mode %04o): chmod o= %[1]s", file, mode)
	}
	return key, warning, nil
}

// ID names the key, and tells nothing about it.
func (k Key) ID() string { return k.id }

// IsZero tells whether there is no key.
func (k Key) IsZero() bool { return k.aead == nil }

// Format writes the id, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "key "+k.id) }
