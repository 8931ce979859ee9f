package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/secret"
)

func TestParseSecrets(t *testing.T) {
	got, err := ParseSecrets([]byte("pg.password: &p hunter2\noctal: 0123\nflag: true\nempty: ''\nblock: |\n  two\n  lines\nagain: *p\nflag: {\n"))
	if err == nil {
		t.Errorf("bad YAML: got %v, want an error", got)
	}
	got, err = ParseSecrets([]byte("pg.password: &p hunter2\noctal: 0123\nflag: true\nempty: ''\nblock: |\n  two\n  lines\nagain: *p\nflag: twice\n"))
	want := []Secret{{"pg.password", "hunter2"}, {"octal", "0123"}, {"flag", "true"}, {"empty", ""}, {"block", "two\nlines\n"}, {"again", "hunter2"}, {"flag", "twice"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"": "must be a mapping", "text": "must be a mapping", "- a": "must be a mapping",
		"a: b\nc: [d]": "line 2: the value of c must be a text", "a:": "line 1: the value of a must be a text", "{a: {b: c}}": "line 1: the value of a",
		"a: &x {b: c}\nd: *x": "line 1: the value of a", "a: b: c": "yaml: ",
	} {
		if got, err := ParseSecrets([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v, want %q", text, got, err, want)
		}
	}
}

// All that can be found is known, to be masked.
func TestSecretsListTheirValues(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"db.password": "in-a-file", "large": strings.Repeat("x", secret.MaxValue+1), ".hidden": "no"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := Secrets{Config: map[string]string{"k": "of-the-configuration"}, Dirs: []string{filepath.Join(dir, "none"), dir}}
	got, err := s.Values(t.Context())
	if want := []string{"of-the-configuration", "in-a-file"}; !slices.Equal(got, want) || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	s.Dirs = []string{filepath.Join(dir, "large")}
	if _, err := s.Values(t.Context()); err == nil {
		t.Error("a file in place of a directory: got no error")
	}
}

// What is written for people to edit is read as it was.
func TestFormatSecrets(t *testing.T) {
	list := []Secret{
		{"a", ""},
		{"b", " x "},
		{"c", "two\nlines\n\n"},
		{"d", "\n"},
		{"e", "0123"},
		{"f", "true"},
		{"g", "null"},
		{"h", "a: b # c"},
		{"i", "\t\x00\u0085\u2028é"},
		{"j", "trailing \n  more\t\n"},
		{"k", "&x"},
		{"l", "- y"},
		{"m", "\r\n"},
		{"n", "  \n"},
		{"o", `"\`},
	}
	text := FormatSecrets(list)
	got, err := ParseSecrets(text)
	if diff := cmp.Diff(list, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s\n%s", err, diff, text)
	}
	if got, err := ParseSecrets(FormatSecrets(nil)); len(got) > 0 || err != nil {
		t.Errorf("none: got %v, %v", got, err)
	}
}
