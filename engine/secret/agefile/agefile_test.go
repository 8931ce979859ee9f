package agefile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"gitdag/engine/secret"
)

const plain = "hunter2-in-git"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person is an identity, in a file.
type person struct {
	file, recipient string
	Identities
}

func newPerson(t *testing.T) person {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	must(t, err)
	p := person{file: filepath.Join(t.TempDir(), "identity"), recipient: id.Recipient().String()}
	must(t, os.WriteFile(p.file, []byte("# created: today\n"+id.String()+"\n"), 0o600))
	var warnings []string
	p.Identities, warnings, err = LoadIdentities(p.file)
	must(t, err)
	if len(warnings) > 0 {
		t.Errorf("warned of a file of mode 0600: %q", warnings)
	}
	return p
}

// sealed is a file with secrets for people.
func sealed(t *testing.T, values map[string]string, people ...person) *File {
	t.Helper()
	var to []string
	for _, p := range people {
		to = append(to, p.recipient)
	}
	f, err := New(to)
	must(t, err)
	for key, value := range values {
		must(t, f.Seal(key, value))
	}
	return f
}

func data(t *testing.T, f *File) string {
	t.Helper()
	b, err := f.Bytes()
	must(t, err)
	return string(b)
}

// What is sealed is opened by each recipient, by nobody else, after any number of
// readings and writings.
func TestSealAndOpen(t *testing.T) {
	ann, bob, eve := newPerson(t), newPerson(t), newPerson(t)
	values := map[string]string{
		"pg.password": plain, "empty": "", "lines": "-----BEGIN KEY-----\nMII\n\n", "utf8": "schlüssel 🗝", "long": strings.Repeat("x", secret.MaxValue), "yes": "true",
	}
	text := data(t, sealed(t, values, ann, bob))
	if strings.Contains(text, "hunter2") {
		t.Fatalf("a value is in clear:\n%s", text)
	}
	f, err := Parse([]byte(text))
	must(t, err)
	if again := data(t, f); again != text {
		t.Errorf("read and written again: got\n%s\nwant\n%s", again, text)
	}
	if got, want := f.Keys(), []string{"empty", "lines", "long", "pg.password", "utf8", "yes"}; !slices.Equal(got, want) {
		t.Errorf("keys: got %q, want %q", got, want)
	}
	for key, want := range values {
		for _, p := range []person{ann, bob} {
			if got, err := f.Open(key, p.Identities); got != want || err != nil {
				t.Errorf("%s: got %.40q, %v", key, got, err)
			}
		}
		if got, err := f.Open(key, eve.Identities); got != "" || err == nil || !strings.Contains(err.Error(), "no identity of "+eve.file) {
			t.Errorf("%s for another: got %q, %v", key, got, err)
		}
	}
	if _, err := f.Open("yes", Identities{}); err == nil || !strings.Contains(err.Error(), "no age identity is configured") {
		t.Errorf("without identities: got %v", err)
	}
	if _, err := f.Open("none", ann.Identities); err == nil || f.Has("none") {
		t.Errorf("a key that is not there: got %v", err)
	}
}

// A change leaves the other values and comments as they are.
func TestChangesAreSmall(t *testing.T) {
	ann, bob := newPerson(t), newPerson(t)
	f := sealed(t, map[string]string{"a": "value-of-a"}, ann)
	text := strings.Replace(data(t, f), "    a: |", "    # of the big database\n    a: |", 1)
	f, err := Parse([]byte(text))
	must(t, err)
	must(t, f.Seal("b", "value-of-b"))
	if got := data(t, f); !strings.HasPrefix(got, text) {
		t.Errorf("got\n%s\nwant what was there, and b:\n%s", got, text)
	}
	must(t, f.Seal("b", "another"))
	f.Delete("b")
	f.Delete("none")
	if diff := cmp.Diff(text, data(t, f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	must(t, f.SetRecipients([]string{bob.recipient}))
	must(t, f.Seal("a", "value-of-a"))
	if got, err := f.Open("a", bob.Identities); got != "value-of-a" || err != nil {
		t.Errorf("for the new recipient: got %q, %v", got, err)
	}
	if _, err := f.Open("a", ann.Identities); err == nil {
		t.Error("the old recipient still opens it")
	}
	var invalid *secret.Invalid
	if err := errors.Join(f.Seal("..", "x")); !errors.As(err, &invalid) {
		t.Errorf("a bad key: got %v", err)
	}
	if err := f.Seal("k", "\xff"); !errors.As(err, &invalid) {
		t.Errorf("a bad value: got %v", err)
	}
}

// What is no such file is an error that says so, and where, and never what is in it.
func TestParseRefuses(t *testing.T) {
	ann := newPerson(t)
	identity, err := os.ReadFile(ann.file)
	must(t, err)
	_, key, _ := strings.Cut(strings.TrimSpace(string(identity)), "\n")
	to := "recipients: [" + ann.recipient + "]\n"
	for text, want := range map[string]string{
		"":                                       "it must be a mapping",
		"text":                                   "it must be a mapping",
		"{":                                      "yaml",
		to:                                       "it must be a mapping with recipients and secrets",
		"secrets: {}\n":                          "it must be a mapping with recipients and secrets",
		"recipients: []\nsecrets: {}":            "there is no recipient",
		"recipients: [me]\nsecrets: {}":          `recipient "me"`,
		"recipients: [" + key + "]\nsecrets: {}": "a recipient is an identity",
		to + "secrets: []":                       "line 2",
		to + "secrets: {a: [" + plain + "]}":     "line 2: a secret must be a key with a text",
		to + "secrets:\n  a..b: " + plain:        `line 3: "a..b" is no key`,
		to + "secrets: {a: x, a: y}":             "is there twice",
		to + "secrets: {}\nmore: x":              "line 3",
	} {
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "SECRET-KEY-1") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f, err := Parse([]byte(to + "secrets: {a: " + plain + "}"))
	must(t, err)
	if _, err := f.Open("a", ann.Identities); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value in clear: got %v, want an error without it", err)
	}
	f = sealed(t, map[string]string{"a": plain}, ann)
	f.entries.Content[1].Value = f.entries.Content[1].Value[:150] + "\n-----END AGE ENCRYPTED FILE-----\n"
	if _, err := f.Open("a", ann.Identities); err == nil {
		t.Error("a value that was cut is opened")
	}
}

func TestLoadIdentities(t *testing.T) {
	ann := newPerson(t)
	must(t, os.Chmod(ann.file, 0o644))
	ids, warnings, err := LoadIdentities(ann.file)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], ann.file) {
		t.Errorf("got %q, %v, want a warning", warnings, err)
	}
	text, err := os.ReadFile(ann.file)
	must(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, ids); !strings.Contains(got, ann.file) || strings.Contains(got, "SECRET") {
			t.Errorf("%s: got %s", verb, got)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken")
	must(t, os.WriteFile(broken, text[:len(text)-5], 0o600))
	for _, file := range []string{broken, broken + ".none", t.TempDir()} {
		_, _, err := LoadIdentities(ann.file, file)
		if err == nil || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "SECRET-KEY-1Q") {
			t.Errorf("%s: got %v, want an error that names it", file, err)
		}
	}
}

// A project finds what its file has, as it is now, and each failure names the file.
func TestSource(t *testing.T) {
	ann, eve := newPerson(t), newPerson(t)
	dir := t.TempDir()
	path := filepath.Join(dir, Name)
	at := time.Now()
	write := func(text string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o644))
		at = at.Add(time.Second)
		must(t, os.Chtimes(path, at, at))
	}
	s := NewCache(ann.Identities).Project(func() (string, error) { return dir, nil })
	look := func(s Source, key string) string {
		value, ok, err := s.Lookup(t.Context(), key)
		return fmt.Sprint(value, " ", ok, " ", strings.ReplaceAll(fmt.Sprint(err), path, "FILE"))
	}
	values := func(s Source) string {
		list, err := s.Values(context.Background())
		return fmt.Sprintf("%q %v", list, err != nil)
	}
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %s, want %s", what, got, want)
		}
	}
	check("no file", look(s, "a")+values(s), " false <nil>[] false")
	write(data(t, sealed(t, map[string]string{"a": "value-of-a", "b": plain}, ann)))
	check("a", look(s, "a"), "value-of-a true <nil>")
	check("a again", look(s, "a"), "value-of-a true <nil>")
	check("none", look(s, "none"), " false <nil>")
	check("all", values(s), `["value-of-a" "hunter2-in-git"] false`)
	write(data(t, sealed(t, map[string]string{"a": "changed"}, ann)))
	check("changed", look(s, "a")+look(s, "b"), "changed true <nil> false <nil>")
	check("for another", look(NewCache(eve.Identities).Project(s.dir), "a"), " false read secret a from FILE: no identity of "+eve.file+" can decrypt it")
	check("values for another", values(NewCache(eve.Identities).Project(s.dir)), "[] true")
	check("without identities", look(NewCache(Identities{}).Project(s.dir), "a"), " false read secret a from FILE: no age identity is configured to decrypt it with")
	check("without identities, another key", look(NewCache(Identities{}).Project(s.dir), "b"), " false <nil>")
	write("recipients: []\nsecrets: {a: " + plain + "}\n")
	check("broken", look(s, "a"), " false read secrets from FILE: there is no recipient")
	check("broken, again", look(s, "b")+values(s), " false read secrets from FILE: there is no recipient[] true")
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o755))
	check("a directory", look(s, "a"), " false read secrets: FILE is no regular file")
	gone := NewCache(ann.Identities).Project(func() (string, error) { return "", errors.New("the checkout is gone") })
	check("no project", look(gone, "a"), " false read "+Name+": the checkout is gone")
}

// The memory of a cache is bounded.
func TestCacheForgets(t *testing.T) {
	ann := newPerson(t)
	text := data(t, sealed(t, map[string]string{"a": "value-of-a"}, ann))
	c := NewCache(ann.Identities)
	for range 2*maxKept + 1 {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, Name), []byte(text), 0o644))
		if v, ok, err := c.Project(func() (string, error) { return dir, nil }).Lookup(t.Context(), "a"); v != "value-of-a" || !ok || err != nil {
			t.Fatalf("got %q, %v, %v", v, ok, err)
		}
		if len(c.kept) > maxKept {
			t.Fatalf("keeps %d files", len(c.kept))
		}
	}
}

// Whatever a commit brings is refused, or can be read, written and read again.
func FuzzParse(f *testing.F) {
	const to = "recipients: [age14nuuy4lvnkgf40wa3sqfgl8hdmn9jn0xns9ytr3u5kfhkpduc30sejn0uu]\n"
	for _, text := range []string{to + "secrets: {a: x}\n", to + "secrets:\n  a.b: |\n    x\n  # c\n  d: &e y\n", "{}", to + "secrets: &x {a: *x}", "a: b", to + "secrets: !!set {a}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse([]byte(text))
		if err != nil {
			return
		}
		file.Delete("a")
		keys := file.Keys()
		out, err := file.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil || !slices.Equal(again.Keys(), keys) {
			t.Fatalf("%q is written as %q: %v", text, out, err)
		}
	})
}
