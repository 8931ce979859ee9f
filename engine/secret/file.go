package secret

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The file of a project, version 1, is text (docs/security.md has the page):
//
//	gitdag secrets 1 PROJECT
//	KEY KEYID SEALED         a line for each secret, in the order of the keys
//	= KEYID SEALED           seals all of the lines above
//
// SEALED is base64 of a nonce, the ciphertext and the tag. The last line's has
// no plaintext: it makes a file that was cut, mixed or changed by a byte invalid
// as a whole, where the values' own seals only bind each to its place.

const (
	fileVersion = 1
	// maxFile bounds the file of a project in bytes.
	maxFile = 16 << 20
	// padding hides how long a value is, up to its next multiple.
	padding = 32
)

// entry is a sealed secret.
type entry struct{ key, sealer, sealed string }

// keyring is a set of keys by id.
type keyring map[string]Key

var encoding = base64.StdEncoding.Strict()

// OtherKey is the error for secrets that were sealed with a key that is not
// configured; ID names it.
type OtherKey struct{ ID string }

func (e *OtherKey) Error() string {
	return fmt.Sprintf("it was sealed with the key %.20q, which is not configured", e.ID)
}

// encodeFile writes the file of a project; entries are sorted.
func encodeFile(project uint64, entries []entry, key Key) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "gitdag secrets %d %d\n", fileVersion, project)
	for _, e := range entries {
		fmt.Fprintf(&b, "%s %s %s\n", e.key, e.sealer, e.sealed)
	}
	fmt.Fprintf(&b, "= %s %s\n", key.id, seal(key, nil, sealedFile(b.Bytes())))
	return b.Bytes()
}

// decodeFile reads and verifies the file of a project. No value is opened.
func decodeFile(project uint64, data []byte, keys keyring) ([]entry, error) {
	text, ok := strings.CutSuffix(string(data), "\n")
	head := strings.LastIndexByte(text, '\n') + 1
	if !ok || head == 0 {
		return nil, errors.New("it ends too early")
	}
	if err := checkHeader(project, text); err != nil {
		return nil, err
	}
	last, err := decodeLine(text[head:])
	if err != nil || last.key != "=" {
		return nil, errors.New("it ends too early")
	}
	if _, err := keys.open(last, sealedFile(data[:head])); err != nil {
		return nil, err
	}
	var entries []entry
	for line := range strings.Lines(text[:head]) {
		if entries == nil { // the header
			entries = []entry{}
			continue
		}
		e, err := decodeLine(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, nil
}

func checkHeader(project uint64, text string) error {
	header, _, _ := strings.Cut(text, "\n")
	rest, ok := strings.CutPrefix(header, "gitdag secrets ")
	version, number, ok2 := strings.Cut(rest, " ")
	switch {
	case !ok || !ok2:
		return errors.New("it is no file of secrets")
	case version != strconv.Itoa(fileVersion):
		return fmt.Errorf("its version is %.20q: a newer gitdag wrote it", version)
	case number != strconv.FormatUint(project, 10):
		return fmt.Errorf("it is the file of project %.20q", number)
	}
	return nil
}

func decodeLine(line string) (entry, error) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 {
		return entry{}, errors.New("a line of it is broken")
	}
	return entry{fields[0], fields[1], fields[2]}, nil
}

// sealedFile and sealedValue are what a seal is bound to.
func sealedFile(data []byte) []byte { return append([]byte("file\n"), data...) }

func sealedValue(project uint64, key string) []byte {
	return fmt.Appendf(nil, "value\n%d\n%s", project, key)
}

// sealValue makes the entry of a secret.
func sealValue(k Key, project uint64, key, value string) entry {
	plain := binary.BigEndian.AppendUint32(nil, uint32(len(value)))
	plain = append(plain, value...)
	plain = append(plain, make([]byte, -len(plain)&(padding-1))...)
	return entry{key, k.id, seal(k, plain, sealedValue(project, key))}
}

func seal(k Key, plain, bound []byte) string {
	return encoding.EncodeToString(k.aead.Seal(nil, nil, plain, bound))
}

// openValue returns the value of an entry.
func (r keyring) openValue(project uint64, e entry) (string, error) {
	plain, err := r.open(e, sealedValue(project, e.key))
	if err != nil {
		return "", err
	}
	if len(plain) < 4 || uint64(binary.BigEndian.Uint32(plain)) > uint64(len(plain)-4) {
		return "", errors.New("a value of it is broken")
	}
	return string(plain[4 : 4+binary.BigEndian.Uint32(plain)]), nil
}

func (r keyring) open(e entry, bound []byte) ([]byte, error) {
	key, ok := r[e.sealer]
	if !ok {
		return nil, &OtherKey{e.sealer}
	}
	sealed, err := encoding.DecodeString(e.sealed)
	if err != nil {
		return nil, errors.New("a seal of it is broken")
	}
	plain, err := key.aead.Open(nil, nil, sealed, bound)
	if err != nil {
		return nil, errors.New("a seal of it does not hold")
	}
	return plain, nil
}

// find returns where the entry of a key is or belongs.
func find(entries []entry, key string) (int, bool) {
	return slices.BinarySearchFunc(entries, key, func(e entry, key string) int { return cmp.Compare(e.key, key) })
}
