package secret_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/secret"
)

func open(t testing.TB, dir string, current secret.Key, old ...secret.Key) *secret.Store {
	t.Helper()
	s, err := secret.Open(dir, current, old...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newStore returns a store and its directory, which is not there yet.
func newStore(t testing.TB) (*secret.Store, string) {
	dir := filepath.Join(t.TempDir(), "secrets")
	return open(t, dir, newKey(t, 1, 32)), dir
}

func wantValue(t *testing.T, s *secret.Store, project uint64, key, want string) {
	t.Helper()
	if got, ok, err := s.Get(project, key); got != want || !ok || err != nil {
		t.Errorf("project %d, %s: got %q, %v, %v, want %q", project, key, got, ok, err, want)
	}
}

func wantNone(t *testing.T, s *secret.Store, project uint64, key string) {
	t.Helper()
	if got, ok, err := s.Get(project, key); got != "" || ok || err != nil {
		t.Errorf("project %d, %s: got %q, %v, %v, want none", project, key, got, ok, err)
	}
}

func TestStore(t *testing.T) {
	s, dir := newStore(t)
	wantNone(t, s, 1, "a")
	must(t, s.Delete(1, "a"))
	must(t, s.DeleteProject(1))
	must(t, s.Check())
	must(t, s.Rotate())
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no directory before the first secret", err)
	}
	must(t, s.Set(1, "b", "first"))
	must(t, s.Set(1, "b", "second"))
	must(t, s.Set(1, "a", ""))
	must(t, s.Set(2, "b", "other"))
	wantValue(t, s, 1, "a", "")
	wantValue(t, s, 1, "b", "second")
	wantValue(t, s, 2, "b", "other")
	wantNone(t, s, 2, "a")
	if keys, err := s.Keys(1); !slices.Equal(keys, []string{"a", "b"}) || err != nil {
		t.Errorf("got keys %v, %v, want a and b", keys, err)
	}
	must(t, s.DeleteProject(1))
	wantNone(t, s, 1, "b")
	wantValue(t, open(t, dir, newKey(t, 1, 32)), 2, "b", "other")
	for name, want := range map[string]fs.FileMode{dir: 0o700, filepath.Join(dir, "2.sealed"): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v, want mode %o", name, info, err, want)
		}
	}
}

func TestStoreRefusesWhatIsNoSecret(t *testing.T) {
	s, dir := newStore(t)
	for _, c := range [][2]string{{"../a", "hunter2"}, {"", "hunter2"}, {"a", "hunter2\xff"}, {"a", "hunter2" + strings.Repeat("x", secret.MaxValue)}} {
		var invalid *secret.Invalid
		if err := s.Set(1, c[0], c[1]); !errors.As(err, &invalid) || strings.Contains(err.Error(), plain) {
			t.Errorf("%q: got %v, want that it is invalid", c[0], err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want nothing written", err)
	}
}

// The store does what a map does, whatever is called in which order, over
// restarts and rotations; and nothing of a value is on disk in any form.
func TestStoreIsAMap(t *testing.T) {
	for seed := range uint64(3) {
		storeIsAMap(t, seed)
	}
}

// model is what the store should hold.
type model struct {
	*testing.T
	rand   *rand.Rand
	dir    string
	key    byte
	store  *secret.Store
	want   map[uint64]map[string]string
	values []string // all that were ever set
}

func storeIsAMap(t *testing.T, seed uint64) {
	m := &model{T: t, rand: rand.New(rand.NewPCG(seed, 1)), dir: filepath.Join(t.TempDir(), "s"), want: map[uint64]map[string]string{1: {}, 2: {}, 3: {}}}
	m.store = open(t, m.dir, newKey(t, 0, 16))
	for range 120 {
		m.step()
	}
	for project, secrets := range m.want {
		for key, value := range secrets {
			wantValue(t, m.store, project, key, value)
		}
	}
	noPlaintext(t, m.dir, m.values)
}

func (m *model) step() {
	project, key := 1+m.rand.Uint64N(3), string(rune('a'+m.rand.IntN(6)))
	switch n := m.rand.IntN(20); {
	case n < 9:
		value := fmt.Sprintf("value-%d", m.rand.Uint64())[:m.rand.IntN(20)]
		must(m, m.store.Set(project, key, value))
		m.want[project][key] = value
		m.values = append(m.values, value)
	case n < 13:
		must(m, m.store.Delete(project, key))
		delete(m.want[project], key)
	case n == 13:
		must(m, m.store.DeleteProject(project))
		clear(m.want[project])
	case n == 14:
		m.store = open(m, m.dir, newKey(m, m.key, 16))
	case n == 15:
		old := newKey(m, m.key, 16)
		m.key++
		must(m, open(m, m.dir, newKey(m, m.key, 16), old).Rotate())
		m.store = open(m, m.dir, newKey(m, m.key, 16))
		must(m, m.store.Check())
	case n == 16:
		keys, err := m.store.Keys(project)
		if want := slices.Sorted(maps.Keys(m.want[project])); !slices.Equal(keys, want) || err != nil {
			m.Errorf("project %d: got keys %v, %v, want %v", project, keys, err, want)
		}
	default:
		if want, ok := m.want[project][key]; ok {
			wantValue(m.T, m.store, project, key, want)
		} else {
			wantNone(m.T, m.store, project, key)
		}
	}
}

// noPlaintext fails if a value that is long enough to be recognised is in a file
// or a name, as it is or in base64.
func noPlaintext(t *testing.T, dir string, values []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		for _, value := range values {
			if len(value) < 6 {
				continue
			}
			for _, form := range []string{value, base64.StdEncoding.EncodeToString([]byte(value))[:len(value)/3*4], fmt.Sprintf("%x", value)} {
				if bytes.Contains(data, []byte(form)) || strings.Contains(path, form) {
					t.Errorf("%s has %q", path, form)
				}
			}
		}
		return err
	})
	must(t, err)
}

// Many goroutines change and read: each change counts, each read is whole.
func TestStoreIsShared(t *testing.T) {
	s, _ := newStore(t)
	must(t, s.Set(1, "both", strings.Repeat("0", 50)))
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			for i := range 10 {
				if err := errors.Join(s.Set(1, fmt.Sprintf("k%d-%d", n, i), "v"), s.Set(1, "both", strings.Repeat(fmt.Sprint(n), 50))); err != nil {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			for range 40 {
				if value, ok, err := s.Get(1, "both"); err != nil || !ok || value != strings.Repeat(value[:1], 50) {
					t.Errorf("got %q, %v, %v, want one of those that were set", value, ok, err)
				}
			}
		})
	}
	all.Wait()
	if keys, err := s.Keys(1); len(keys) != 41 || err != nil {
		t.Errorf("got %d keys, %v, want 41", len(keys), err)
	}
}

// A file that is damaged is an error for its project and no other; the error
// names it. Deleting the project gets rid of it.
func TestDamageOfOneProject(t *testing.T) {
	s, dir := newStore(t)
	must(t, s.Set(1, "a", plain))
	must(t, s.Set(2, "a", plain))
	file := filepath.Join(dir, "1.sealed")
	whole, err := os.ReadFile(file)
	must(t, err)
	for name, data := range map[string][]byte{
		"cut": whole[:len(whole)-1], "empty": {}, "another project's": bytes.Replace(whole, []byte("1 1\n"), []byte("1 2\n"), 1),
		"huge": append(bytes.Clone(whole), make([]byte, 16<<20)...),
	} {
		must(t, os.WriteFile(file, data, 0o600))
		_, keys := s.Keys(1)
		_, _, get := s.Get(1, "a")
		for what, err := range map[string]error{
			"keys": keys, "get": get, "set": s.Set(1, "b", "x"), "delete": s.Delete(1, "a"), "check": s.Check(), "rotate": s.Rotate(),
		} {
			if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "project 1") || strings.Contains(err.Error(), "project 2 ") || shows(err.Error()) {
				t.Errorf("%s, %s: got %v, want an error that names the file", name, what, err)
			}
		}
		wantValue(t, s, 2, "a", plain)
		if got, err := os.ReadFile(file); !bytes.Equal(got, data) || err != nil {
			t.Errorf("%s: the file was changed (%v)", name, err)
		}
	}
	must(t, s.DeleteProject(1))
	must(t, s.Check())
	must(t, s.Set(1, "b", "x"))
	wantNone(t, s, 1, "a")
}

// A crash leaves a temporary file, which the next start removes, and the file as
// it was.
func TestCrashWhileSetting(t *testing.T) {
	s, dir := newStore(t)
	must(t, s.Set(1, "a", plain))
	temp := filepath.Join(dir, ".1.sealed.0123456789abcdef.tmp")
	must(t, os.WriteFile(temp, []byte("gitdag secrets 1 1\n"), 0o600))
	s = open(t, dir, newKey(t, 1, 32))
	wantValue(t, s, 1, "a", plain)
	if _, err := os.Stat(temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want the left-over removed", err)
	}
	must(t, s.Check())
}

// Without a key nothing can be set and there is nothing, as in Digdag (Q17); what
// is there all the same is not passed over in silence.
func TestStoreWithoutAKey(t *testing.T) {
	keyed, dir := newStore(t)
	must(t, keyed.Set(1, "a", plain))
	s := open(t, dir, secret.Key{})
	if err := s.Set(2, "a", "x"); !errors.Is(err, secret.ErrDisabled) {
		t.Errorf("set: got %v, want ErrDisabled", err)
	}
	for _, project := range []uint64{1, 2} {
		if keys, err := s.Keys(project); len(keys) != 0 || err != nil {
			t.Errorf("keys: got %v, %v, want none", keys, err)
		}
	}
	must(t, s.Delete(2, "a"))
	wantNone(t, s, 2, "a")
	if err := s.Rotate(); !errors.Is(err, secret.ErrDisabled) {
		t.Errorf("rotate: got %v, want ErrDisabled", err)
	}
	_, _, get := s.Get(1, "a")
	for what, err := range map[string]error{"get": get, "delete": s.Delete(1, "a"), "check": s.Check()} {
		if !errors.Is(err, secret.ErrDisabled) || !strings.Contains(err.Error(), "1.sealed") {
			t.Errorf("%s: got %v, want ErrDisabled and the file", what, err)
		}
	}
	wantValue(t, keyed, 1, "a", plain)
	must(t, s.DeleteProject(1))
	wantNone(t, keyed, 1, "a")
}

// Rotation (Q18): values name the key that they were sealed with, so that old
// ones stay readable until all is sealed anew.
func TestRotate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	first, second, third := newKey(t, 1, 16), newKey(t, 2, 32), newKey(t, 3, 32)
	s := open(t, dir, first)
	must(t, s.Set(1, "a", "one"))
	must(t, s.Set(2, "a", "two"))

	both := open(t, dir, second, first)
	must(t, both.Set(1, "b", "new"))
	wantValue(t, both, 1, "a", "one")
	wantValue(t, both, 1, "b", "new")
	_, _, err := open(t, dir, second).Get(1, "a")
	if err == nil || !strings.Contains(err.Error(), first.ID()) {
		t.Errorf("got %v, want an error that names the key that is missing", err)
	}
	if err := open(t, dir, second).Check(); err == nil || !strings.Contains(err.Error(), "project 1 ") || !strings.Contains(err.Error(), "project 2 ") {
		t.Errorf("check: got %v, want both projects", err)
	}

	must(t, both.Rotate())
	must(t, both.Rotate())
	only := open(t, dir, second)
	must(t, only.Check())
	wantValue(t, only, 1, "a", "one")
	wantValue(t, only, 1, "b", "new")
	wantValue(t, only, 2, "a", "two")

	// One file that cannot be read stays, the others are renewed all the same.
	file := filepath.Join(dir, "1.sealed")
	must(t, os.WriteFile(file, []byte("nothing"), 0o600))
	if err := open(t, dir, third, second).Rotate(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, want an error that names %s", err, file)
	}
	wantValue(t, open(t, dir, third), 2, "a", "two")
	if err := open(t, dir, secret.Key{}, third).Set(2, "a", "x"); !errors.Is(err, secret.ErrDisabled) {
		t.Errorf("set with old keys only: got %v, want ErrDisabled", err)
	}
	wantValue(t, open(t, dir, secret.Key{}, third), 2, "a", "two")
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := secret.Open(file, newKey(t, 1, 16)); err == nil {
		t.Error("a file for a directory: got no error")
	}
	s := open(t, filepath.Join(t.TempDir(), "no", "parent"), newKey(t, 1, 16))
	if err := s.Set(1, "a", plain); !errors.Is(err, fs.ErrNotExist) || shows(err.Error()) {
		t.Errorf("no parent: got %v, want ErrNotExist", err)
	}
	s, dir := newStore(t)
	must(t, s.Set(1, "a", plain))
	for _, other := range []string{"x.sealed", "01.sealed", "+1.sealed", "1.txt", "sealed"} {
		must(t, os.WriteFile(filepath.Join(dir, other), []byte("x"), 0o600))
	}
	must(t, s.Check())
	must(t, os.Mkdir(filepath.Join(dir, "7.sealed"), 0o700))
	if diff := cmp.Diff([]bool{true, true, true}, []bool{s.Check() != nil, s.Set(7, "a", "x") != nil, s.Rotate() != nil}); diff != "" {
		t.Errorf("a directory for a file: want errors\n%s", diff)
	}
}
