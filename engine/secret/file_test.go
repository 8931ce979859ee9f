package secret

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const plainValue = "hunter2 is my pass phrase"

func testKey(t testing.TB, text string) Key {
	t.Helper()
	k, err := ParseKey([]byte(base64.StdEncoding.EncodeToString([]byte(text))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func testFile(k Key) []byte {
	return encodeFile(12, []entry{sealValue(k, 12, "db.password", plainValue), sealValue(k, 12, "empty", "")}, k)
}

// The format is kept: files of version 1 stay readable, with keys of both
// lengths.
func TestFileOfVersion1(t *testing.T) {
	short, long := testKey(t, "0123456789abcdef"), testKey(t, "0123456789abcdef0123456789abcdef")
	keys := keyring{short.id: short, long.id: long}
	data, err := os.ReadFile(filepath.Join("testdata", "12.sealed"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := decodeFile(12, data, keys)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		value, err := keys.openValue(12, e)
		if err != nil {
			t.Fatal(err)
		}
		got[e.key] = e.sealer + " " + value
	}
	want := map[string]string{"db.password": short.id + " " + plainValue, "empty": long.id + " ", "long": long.id + " " + strings.Repeat("0123456789", 10)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := encodeFile(12, entries, long); !bytes.Equal(got[:bytes.LastIndexByte(got[:len(got)-1], '\n')], data[:bytes.LastIndexByte(data[:len(data)-1], '\n')]) {
		t.Errorf("written again: got %s, want %s", got, data)
	}
}

// Whatever is done to a file is noticed, and nothing of it read: a bit flipped, a
// cut, a byte more, lines that are gone, swapped or doubled.
func TestFileThatWasTamperedWith(t *testing.T) {
	k := testKey(t, "0123456789abcdef")
	data := testFile(k)
	refused := func(what string, data []byte) {
		t.Helper()
		entries, err := decodeFile(12, data, keyring{k.id: k})
		if err == nil || entries != nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, %v, want an error", what, entries, err)
		}
	}
	for i := range data {
		for bit := range 8 {
			flipped := bytes.Clone(data)
			flipped[i] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d flipped", bit, i), flipped)
		}
		refused(fmt.Sprintf("cut at %d", i), data[:i])
		refused(fmt.Sprintf("without the first %d", i+1), data[i+1:])
		for _, more := range []string{"\n", " ", "A"} {
			refused(fmt.Sprintf("%q put in at %d", more, i), []byte(string(data[:i])+more+string(data[i:])))
		}
	}
	for _, more := range []string{"\n", " ", "x", "\r\n", "db.password x y\n"} {
		refused(fmt.Sprintf("%q at the end", more), append(bytes.Clone(data), more...))
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(data), "\n"), "\n")
	for i := range lines {
		refused(fmt.Sprintf("without line %d", i), []byte(strings.Join(append(append([]string{}, lines[:i]...), lines[i+1:]...), "")+"\n"))
		refused(fmt.Sprintf("line %d twice", i), []byte(strings.Join(append(append([]string{}, lines[:i+1]...), lines[i:]...), "")+"\n"))
	}
	older := strings.SplitAfter(string(testFile(k)), "\n")
	refused("with a line of an older file", []byte(lines[0]+older[1]+lines[2]+lines[3]+"\n"))
	refused("with the end of an older file", []byte(lines[0]+lines[1]+lines[2]+older[3]))
}

func TestFileInAnotherPlace(t *testing.T) {
	k, other := testKey(t, "0123456789abcdef"), testKey(t, "another key 1234")
	keys := keyring{k.id: k}
	for name, c := range map[string]struct {
		project uint64
		data    []byte
		keys    keyring
		want    string
	}{
		"another project's":  {13, testFile(k), keys, `it is the file of project "12"`},
		"another key":        {12, testFile(other), keys, `it was sealed with the key "` + other.id + `", which is not configured`},
		"another key's name": {12, testFile(other), keyring{other.id: k}, "a seal of it does not hold"},
		"a later version":    {12, bytes.Replace(testFile(k), []byte("secrets 1"), []byte("secrets 2"), 1), keys, `its version is "2": a newer gitdag wrote it`},
		"another file":       {12, []byte("a: b\nc: d\n"), keys, "it is no file of secrets"},
		"one line":           {12, []byte("gitdag secrets 1 12\n"), keys, "it ends too early"},
		"empty":              {12, nil, keys, "it ends too early"},
	} {
		if entries, err := decodeFile(c.project, c.data, c.keys); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, %v, want %s", name, entries, err, c.want)
		}
	}
}

// A value opens for its own project and key alone, even if the whole file were
// sealed that way.
func TestValueInAnotherPlace(t *testing.T) {
	k := testKey(t, "0123456789abcdef")
	keys := keyring{k.id: k}
	e := sealValue(k, 12, "a", plainValue)
	if got, err := keys.openValue(12, e); got != plainValue || err != nil {
		t.Errorf("got %q, %v, want the value", got, err)
	}
	for name, moved := range map[string]struct {
		project uint64
		entry   entry
	}{
		"another project": {13, e}, "another key": {12, entry{"b", e.sealer, e.sealed}}, "the seal of a file": {12, entry{"a", k.id, seal(k, nil, sealedFile([]byte("x")))}},
		"no length": {12, entry{"a", k.id, seal(k, []byte("abc"), sealedValue(12, "a"))}}, "too short": {12, entry{"a", k.id, seal(k, []byte("\x00\x00\x00\x05hunt"), sealedValue(12, "a"))}},
		"no base64": {12, entry{"a", k.id, "?"}}, "shorter than a nonce": {12, entry{"a", k.id, "AAAA"}},
	} {
		if got, err := keys.openValue(moved.project, moved.entry); err == nil || got != "" {
			t.Errorf("%s: got %q, %v, want an error", name, got, err)
		}
	}
	again := sealValue(k, 12, "a", plainValue)
	if again.sealed == e.sealed {
		t.Error("the same value is sealed alike twice")
	}
	if short := sealValue(k, 12, "a", "x"); len(short.sealed) != len(e.sealed) {
		t.Errorf("sealed lengths %d and %d tell the values apart", len(short.sealed), len(e.sealed))
	}
}

// A project's secrets are bounded, and what is refused leaves them as they were.
func TestFileIsBounded(t *testing.T) {
	k := testKey(t, "0123456789abcdef")
	s, err := Open(t.TempDir(), k)
	if err != nil {
		t.Fatal(err)
	}
	var entries []entry
	e := sealValue(k, 1, "k", strings.Repeat("x", MaxValue))
	for n := range (maxFile - 1000) / (len(e.sealed) + len(e.sealer) + 7) {
		entries = append(entries, entry{fmt.Sprintf("k%03d", n), e.sealer, e.sealed})
	}
	data := encodeFile(1, entries, k)
	if err := os.WriteFile(s.file(1), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(1, "small", plainValue); err != nil {
		t.Errorf("got %v, want that there is room", err)
	}
	err = s.Set(1, "large", strings.Repeat("x", MaxValue))
	if err == nil || !strings.Contains(err.Error(), "the secrets of project 1 would take more than 16777216 bytes") {
		t.Errorf("got %v, want that it is too much", err)
	}
	if keys, err := s.Keys(1); len(keys) != len(entries)+1 || err != nil {
		t.Errorf("got %d keys, %v, want %d", len(keys), err, len(entries)+1)
	}
}

// FuzzDecodeFile feeds foreign bytes as they are, which nothing may accept, and
// with a seal that holds, which may be refused but never crash.
func FuzzDecodeFile(f *testing.F) {
	short, long := testKey(f, "0123456789abcdef"), testKey(f, "0123456789abcdef0123456789abcdef")
	keys := keyring{short.id: short, long.id: long}
	known, err := os.ReadFile(filepath.Join("testdata", "12.sealed"))
	if err != nil {
		f.Fatal(err)
	}
	values := []string{plainValue, "", strings.Repeat("0123456789", 10)}
	f.Add(known)
	f.Add(known[:bytes.LastIndexByte(known[:len(known)-1], '\n')+1])
	f.Add([]byte("gitdag secrets 1 12\n"))
	f.Add([]byte("gitdag secrets 1 12\na b c\n\n= " + short.id + " AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if entries, err := decodeFile(12, data, keys); err == nil && !bytes.Equal(data, known) {
			t.Errorf("accepted %q as %v", data, entries)
		}
		sealed := fmt.Appendf(bytes.Clone(data), "= %s %s\n", long.id, seal(long, nil, sealedFile(data)))
		entries, _ := decodeFile(12, sealed, keys)
		for _, e := range entries {
			if value, err := keys.openValue(12, e); err == nil && !slices.Contains(values, value) {
				t.Errorf("opened %q", value)
			}
		}
	})
}
