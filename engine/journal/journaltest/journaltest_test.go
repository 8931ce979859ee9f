package journaltest_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fsys *journaltest.FS, name, content string) journal.File {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.WriteAt([]byte(content), 0)
	must(t, err)
	return f
}

// look describes all files in one line.
func look(t *testing.T, fsys *journaltest.FS) string {
	t.Helper()
	var all []string
	for _, name := range fsys.Files() {
		data, err := fsys.ReadFile(name)
		must(t, err)
		all = append(all, fmt.Sprintf("%s=%s", name, strings.ReplaceAll(string(data), "\x00", ".")))
	}
	return strings.Join(all, " ")
}

func cut(data, entries journaltest.Part) journaltest.Cut {
	return journaltest.Cut{Data: data, Entries: entries}
}

func TestBytesAreDurableAfterSync(t *testing.T) {
	fsys := journaltest.New()
	f := create(t, fsys, "f", "synced-")
	must(t, f.Sync(), fsys.SyncDir("."))
	_, err := f.WriteAt([]byte(strings.Repeat("x", 40)), 7)
	must(t, err)
	for _, c := range []struct {
		part journaltest.Part
		want string
	}{
		{journaltest.None, "f=synced-"},
		{journaltest.All, "f=synced-" + strings.Repeat("x", 40)},
		{journaltest.Half, "f=synced-" + strings.Repeat("x", 20)},
		{journaltest.Sectors, "f=synced-" + strings.Repeat(".", 16) + strings.Repeat("x", 16)},
	} {
		if got := look(t, fsys.Crash(cut(c.part, journaltest.All))); got != c.want {
			t.Errorf("%v: got %s, want %s", c.part, got, c.want)
		}
	}
	must(t, f.Truncate(3))
	if got := look(t, fsys.Crash(cut(journaltest.None, journaltest.All))); got != "f=synced-" {
		t.Errorf("truncation without sync: got %s", got)
	}
	must(t, f.Sync())
	if got := look(t, fsys.Crash(cut(journaltest.None, journaltest.None))); got != "f=syn" {
		t.Errorf("truncation with sync: got %s", got)
	}
}

func TestEntriesAreDurableAfterSyncDir(t *testing.T) {
	fsys := journaltest.New()
	must(t, fsys.Mkdir("d"), fsys.Mkdir("d"), create(t, fsys, "d/old", "1").Sync(), create(t, fsys, "d/other", "2").Sync())
	must(t, fsys.SyncDir("d"))
	if got := look(t, fsys.Crash(cut(journaltest.All, journaltest.None))); got != "" {
		t.Errorf("directory without sync: got %s", got)
	}
	must(t, fsys.SyncDir("."), fsys.Rename("d/old", "d/new"), fsys.Remove("d/other"))
	for _, c := range []struct {
		part journaltest.Part
		want string
	}{
		{journaltest.None, "d/old=1 d/other=2"},
		{journaltest.Half, "d/new=1 d/other=2"},
		{journaltest.All, "d/new=1"},
	} {
		if got := look(t, fsys.Crash(cut(journaltest.None, c.part))); got != c.want {
			t.Errorf("%v: got %s, want %s", c.part, got, c.want)
		}
	}
}

func TestRandomCutsDifferAndRepeat(t *testing.T) {
	fsys := journaltest.New()
	for i := range 6 {
		create(t, fsys, fmt.Sprint("f", i), strings.Repeat("x", 60))
	}
	seen := map[string]bool{}
	for _, c := range journaltest.Cuts(10) {
		got := look(t, fsys.Crash(c))
		if again := look(t, fsys.Crash(c)); again != got {
			t.Errorf("%v: got %s, then %s", c, got, again)
		}
		seen[got] = true
	}
	if len(seen) < 12 {
		t.Errorf("got %d different disks, want at least 12", len(seen))
	}
}

func TestFailures(t *testing.T) {
	fsys := journaltest.New()
	f := create(t, fsys, "f", "")
	must(t, fsys.SyncDir("."))
	fsys.FailAt(1, syscall.ENOSPC)
	if n, err := f.WriteAt([]byte("abcd"), 0); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: got %d, %v", n, err)
	}
	fsys.FailAt(1, syscall.EIO)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: got %v", err)
	}
	must(t, f.Sync())
	killed := fsys.Kill()
	if seen, kept := look(t, killed), look(t, killed.Crash(cut(journaltest.All, journaltest.All))); seen != "f=ab" || kept != "f=" {
		t.Errorf("after a failed sync: got %s, on disk %s", seen, kept)
	}
	var kinds []string
	fsys.Hook(func(op journaltest.Op) error { kinds = append(kinds, op.Kind); return syscall.EACCES })
	_, created := fsys.Create("g")
	_, opened := fsys.Open("f")
	_, edited := fsys.Edit("f")
	_, listed := fsys.List(".")
	_, locked := fsys.Lock("lock")
	for i, err := range []error{
		created, opened, edited, listed, locked,
		fsys.Rename("f", "g"), fsys.Remove("f"), fsys.Mkdir("d"), fsys.SyncDir("."), f.Truncate(0),
	} {
		if !errors.Is(err, syscall.EACCES) {
			t.Errorf("%s: got %v, want EACCES", kinds[i], err)
		}
	}
	if got := look(t, fsys); got != "f=ab" {
		t.Errorf("got %s, want f=ab", got)
	}
}

func TestStop(t *testing.T) {
	fsys := journaltest.New()
	f := create(t, fsys, "f", "a")
	must(t, f.Sync(), fsys.SyncDir("."))
	fsys.FailAt(1, journaltest.ErrCrash)
	_, err := f.WriteAt([]byte("b"), 0)
	_, later := f.WriteAt([]byte("c"), 0)
	_, read := f.ReadAt(make([]byte, 1), 0)
	_, size := f.Size()
	for _, err := range []error{err, later, read, size, f.Sync(), fsys.Remove("f")} {
		if !errors.Is(err, journaltest.ErrCrash) {
			t.Errorf("got %v, want ErrCrash", err)
		}
	}
	none, all := look(t, fsys.Crash(cut(journaltest.None, journaltest.All))), look(t, fsys.Crash(cut(journaltest.All, journaltest.All)))
	if none != "f=a" || all != "f=b" {
		t.Errorf("the operation at which it stopped: got %s and %s, want f=a and f=b", none, all)
	}
}

func TestMisuse(t *testing.T) {
	fsys := journaltest.New()
	f := create(t, fsys, "f", "a")
	must(t, f.Close())
	_, write := f.WriteAt(nil, 0)
	r, err := fsys.Open("f")
	must(t, err)
	_, readOnly := r.WriteAt(nil, 0)
	_, exists := fsys.Create("f")
	_, noDir := fsys.Create("d/f")
	_, missing := fsys.Edit("g")
	_, unread := fsys.ReadFile("g")
	for i, c := range []struct{ got, want error }{
		{write, fs.ErrClosed},
		{f.Close(), fs.ErrClosed},
		{f.Sync(), fs.ErrClosed},
		{readOnly, fs.ErrPermission},
		{exists, fs.ErrExist},
		{noDir, fs.ErrNotExist},
		{missing, fs.ErrNotExist},
		{unread, fs.ErrNotExist},
		{fsys.Rename("g", "h"), fs.ErrNotExist},
		{fsys.Remove("g"), fs.ErrNotExist},
		{fsys.SyncDir("d"), fs.ErrNotExist},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("case %d: got %v, want %v", i, c.got, c.want)
		}
	}
	names, err := fsys.List(".")
	if !slices.Equal(names, []string{"f"}) {
		t.Errorf("list: got %v (%v)", names, err)
	}
}

func TestLock(t *testing.T) {
	fsys := journaltest.New()
	held, err := fsys.Lock("lock")
	must(t, err)
	if _, err := fsys.Lock("lock"); !errors.As(err, new(*journal.LockedError)) {
		t.Errorf("got %v, want LockedError", err)
	}
	_, err = fsys.Kill().Lock("lock")
	must(t, err, held.Close())
	_, err = fsys.Lock("lock")
	must(t, err)
}
