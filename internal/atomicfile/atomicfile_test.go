package atomicfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gitdag/internal/atomicfile"
)

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "nothing"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCommitPublishes(t *testing.T) {
	for _, o := range []atomicfile.Options{{}, {NoSync: true}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		for _, content := range []string{"old", "new and longer", ""} {
			before := read(t, path)
			f, err := o.Create(path, 0o600)
			must(t, err)
			for _, part := range []string{content[:len(content)/2], content[len(content)/2:]} {
				_, err := f.Write([]byte(part))
				must(t, err)
			}
			if got := read(t, path); got != before {
				t.Errorf("before Commit: got %q, want %q", got, before)
			}
			must(t, f.Commit())
			must(t, f.Close())
			if got := read(t, path); got != content {
				t.Errorf("after Commit: got %q, want %q", got, content)
			}
			if got := list(t, dir); !slices.Equal(got, []string{"f"}) {
				t.Errorf("left %v", got)
			}
			if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
				t.Errorf("second Commit: got %v, want ErrClosed", err)
			}
		}
	}
}

// TestCloseNeverPublishes is the error path of every caller.
func TestCloseNeverPublishes(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	must(t, atomicfile.WriteFile(path, []byte("good"), 0o600))
	f, err := atomicfile.Create(path, 0o600)
	must(t, err)
	_, err = f.Write([]byte("half"))
	must(t, err)
	must(t, f.Close())
	must(t, f.Close())
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("commit after close: got %v, want ErrClosed", err)
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("write after close: got %v, want ErrClosed", err)
	}
	if got := read(t, path); got != "good" {
		t.Errorf("got %q, want good", got)
	}
	if got := list(t, dir); !slices.Equal(got, []string{"f"}) {
		t.Errorf("left %v", got)
	}
}

// TestCrashLeavesATempThatBlocksNobody leaves a file as a crash does, publishes beside it, and cleans.
func TestCrashLeavesATempThatBlocksNobody(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for range 2 {
		f, err := atomicfile.Create(path, 0o600)
		must(t, err)
		_, err = f.Write([]byte("half")) // and no Close
		must(t, err)
	}
	must(t, atomicfile.WriteFile(path, []byte("good"), 0o600))
	others := []string{".hidden.tmp", ".f.0123456789abcdeX.tmp", "f.0123456789abcdef.tmp", "g"}
	for _, name := range others {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	if got := len(list(t, dir)); got != 2+1+len(others) {
		t.Errorf("got %d files, want two left-overs more", got)
	}
	must(t, atomicfile.CleanTemps(dir))
	want := append(others, "f")
	slices.Sort(want)
	if got := list(t, dir); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	must(t, atomicfile.CleanTemps(filepath.Join(dir, "missing")))
}

func TestModeIsThatOfTheCall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, mode := range []fs.FileMode{0o600, 0o400, 0o700} {
		must(t, atomicfile.WriteFile(path, nil, mode))
		info, err := os.Stat(path)
		must(t, err)
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("got %o, want %o", got, mode)
		}
	}
}

func TestFailuresLeaveTheOldState(t *testing.T) {
	dir := t.TempDir()
	if err := atomicfile.WriteFile(filepath.Join(dir, "missing", "f"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: got %v, want ErrNotExist", err)
	}
	taken := filepath.Join(dir, "taken")
	must(t, os.Mkdir(taken, 0o700))
	if err := atomicfile.WriteFile(taken, []byte("x"), 0o600); err == nil {
		t.Error("a directory has the name: got no error")
	}
	if got := list(t, dir); !slices.Equal(got, []string{"taken"}) {
		t.Errorf("left %v", got)
	}
	// The temporary file was taken away: the rename fails.
	path := filepath.Join(dir, "f")
	f, err := atomicfile.Create(path, 0o600)
	must(t, err)
	temps, err := filepath.Glob(filepath.Join(dir, ".f.*.tmp"))
	if len(temps) != 1 {
		t.Fatalf("got %v, want one temporary file (%v)", temps, err)
	}
	must(t, os.Remove(temps[0]))
	if err := f.Commit(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("commit: got %v, want ErrNotExist", err)
	}
	must(t, f.Close())
	if err := atomicfile.CleanTemps(filepath.Join(dir, "taken", "..", "taken", "\x00")); err == nil {
		t.Error("clean a name that cannot be: got no error")
	}
}
