package journal_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

const helloName = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" // printf hello | sha256sum

func openObjects(t *testing.T, fsys journal.FS) *journal.Objects {
	t.Helper()
	o, err := journal.OpenObjects(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func put(t *testing.T, o *journal.Objects, content ...string) []string {
	t.Helper()
	names, err := o.PutAll(lines(content...))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestPutAndRead(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	name, err := o.Put([]byte("hello"))
	if err != nil || name != helloName || journal.ObjectName([]byte("hello")) != helloName {
		t.Fatalf("got %s, want %s (%v)", name, helloName, err)
	}
	if got := fsys.Files(); !slices.Equal(got, []string{"objects/" + helloName}) {
		t.Errorf("files: got %v", got)
	}
	// Durable on return.
	data, err := openObjects(t, fsys.Crash(journaltest.Cut{})).Read(name)
	if err != nil || string(data) != "hello" {
		t.Errorf("got %q (%v), want hello", data, err)
	}
	var ops []string
	fsys.Hook(func(op journaltest.Op) error { ops = append(ops, op.Kind); return nil })
	put(t, o, "hello", "hello")
	if want := []string{"open"}; !slices.Equal(ops, want) {
		t.Errorf("operations of a second Put: got %v, want %v", ops, want)
	}
}

func TestPutAllSharesSyncs(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	put(t, o, "a")
	count := map[string]int{}
	fsys.Hook(func(op journaltest.Op) error { count[op.Kind]++; return nil })
	names := put(t, o, "a", "b", "c", "b", "")
	if count["sync"] != 3 || count["syncdir"] != 1 {
		t.Errorf("got %v, want 3 syncs and one of the directory", count)
	}
	fsys.Hook(nil)
	for i, want := range []string{"a", "b", "c", "b", ""} {
		if got, err := o.Read(names[i]); err != nil || string(got) != want {
			t.Errorf("object %d: got %q (%v), want %q", i, got, err, want)
		}
	}
	if got := put(t, o); len(got) != 0 {
		t.Errorf("nothing put: got %v", got)
	}
}

func TestReadRefuses(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	put(t, o, "hello")
	fsys.WriteFile("objects/"+helloName, []byte("hellO"))
	damage := (*journal.CorruptError)(nil)
	if _, err := o.Read(helloName); !errors.As(err, &damage) || damage.File != "objects/"+helloName {
		t.Errorf("changed: got %v, want damage", err)
	}
	if _, err := o.Read(strings.Repeat("0", 64)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got %v, want ErrNotExist", err)
	}
	for _, name := range []string{"", "../lock", strings.Repeat("A", 64), strings.Repeat("/", 64)} {
		if _, err := o.Read(name); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: got %v, want a refusal", name, err)
		}
	}
	// An object of another size is one that was cut short by something else than us: it is written again.
	fsys.WriteFile("objects/"+helloName, []byte("hell"))
	put(t, o, "hello")
	if got, err := o.Read(helloName); err != nil || string(got) != "hello" {
		t.Errorf("written again: got %q (%v)", got, err)
	}
}

func TestPutOnAFullDisk(t *testing.T) {
	for _, kind := range []string{"create", "write", "rename"} {
		fsys := journaltest.New()
		o := openObjects(t, fsys)
		fsys.Hook(func(op journaltest.Op) error {
			if op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		if _, err := o.PutAll(lines("a", "b")); !errors.Is(err, journal.ErrNoSpace) || errors.Is(err, journal.ErrFatal) {
			t.Errorf("%s: got %v, want ErrNoSpace", kind, err)
		}
		if got := fsys.Files(); len(got) > 0 {
			t.Errorf("%s: left %v", kind, got)
		}
		fsys.Hook(nil)
		put(t, o, "a", "b")
	}
}

// TestPutOfAnObjectThatIsNotDurable ends the process between the rename and its sync: the next process finds the object and must not take
// it for durable just so.
func TestPutOfAnObjectThatIsNotDurable(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	fsys.Hook(func(op journaltest.Op) error {
		if op.Kind == "syncdir" {
			return journaltest.ErrCrash
		}
		return nil
	})
	if _, err := o.Put([]byte("a")); !errors.Is(err, journaltest.ErrCrash) {
		t.Fatalf("got %v, want a crash", err)
	}
	next := fsys.Kill()
	name := put(t, openObjects(t, next), "a")[0]
	if got, err := openObjects(t, next.Crash(journaltest.Cut{})).Read(name); err != nil || string(got) != "a" {
		t.Errorf("got %q (%v), want a", got, err)
	}
}

func TestPutAfterAFailedSync(t *testing.T) {
	for _, kind := range []string{"sync", "syncdir"} {
		fsys := journaltest.New()
		o := openObjects(t, fsys)
		fsys.Hook(func(op journaltest.Op) error {
			if op.Kind == kind {
				return syscall.EIO
			}
			return nil
		})
		_, first := o.Put([]byte("a"))
		fsys.Hook(nil)
		_, second := o.Put([]byte("a"))
		for _, err := range []error{first, second} {
			if !errors.Is(err, journal.ErrSync) || !errors.Is(err, journal.ErrFatal) {
				t.Errorf("%s: got %v, want ErrSync", kind, err)
			}
		}
	}
}

func TestSweep(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	old := put(t, o, "old", "kept")
	o = openObjects(t, fsys) // a new process has put nothing
	young := put(t, o, "young")
	var during []string
	keep := func(name string) bool {
		if during == nil {
			during = put(t, o, "during", "old") // the second one is there, and would be removed
			if _, err := o.Sweep(nil); err == nil {
				t.Error("a second sweep at the same time: got no error")
			}
		}
		return name == old[1]
	}
	sweep := func(want ...string) {
		t.Helper()
		before := len(files(fsys, ""))
		removed, err := o.Sweep(keep)
		if err != nil {
			t.Fatal(err)
		}
		got := files(fsys, "")
		for i, name := range want {
			want[i] = "objects/" + name
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if before+len(during)-len(got) < removed {
			t.Errorf("%d removed, want the difference of %d and %d", removed, before, len(got))
		}
	}
	duringName := journal.ObjectName([]byte("during"))
	sweep(old[1], young[0], duringName, old[0]) // put since the process began
	sweep(old[1], duringName, old[0])           // put since the last sweep began
	sweep(old[1])
}

func TestSweepThatFails(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	put(t, o, "a")
	never := func(string) bool { return false }
	fsys.FailAt(1, syscall.EIO)
	if _, err := o.Sweep(never); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	if n, err := o.Sweep(never); n != 0 || err != nil {
		t.Errorf("object put since the last whole sweep: got %d removed (%v)", n, err)
	}
	fsys.Hook(func(op journaltest.Op) error {
		if op.Kind == "remove" {
			return syscall.EIO
		}
		return nil
	})
	if _, err := o.Sweep(never); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
}

func TestPutFromManyGoroutines(t *testing.T) {
	fsys := journaltest.New()
	o := openObjects(t, fsys)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 20 {
				name, err := o.Put(fmt.Appendf(nil, "content %d", (i+g)%20))
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				// Whoever is told that an object is stored may rely on it, even if another goroutine stored it.
				if _, err := openObjects(t, fsys.Crash(journaltest.Cut{})).Read(name); err != nil {
					t.Errorf("power cut: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(fsys.Files()); n != 20 {
		t.Errorf("got %d files, want 20", n)
	}
}
