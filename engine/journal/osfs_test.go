package journal_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"gitdag/engine/journal"
)

// holderEnv makes this test binary a process that holds the lock of the directory until it is killed.
const holderEnv = "JOURNAL_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holderEnv); dir != "" {
		os.Exit(hold(dir))
	}
	os.Exit(m.Run())
}

// hold keeps the journal open until standard input ends, which is when the test has gone.
func hold(dir string) int {
	j, _, err := journal.Open(journal.OSFS(dir), small)
	if err != nil {
		_, _ = os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	_, _ = os.Stdout.WriteString("open\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = j.Close() // and not before: the lock goes with a journal that nothing refers to any more
	return 0
}

// TestOnDisk does on a real file system what the crash matrix does in memory.
func TestOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	fsys := journal.OSFS(dir)
	var all []string
	for range 3 {
		j, r := open(t, fsys, small)
		if got, err := state(r); err != nil || !slices.Equal(got, all) {
			t.Fatalf("got %q, want %q (%v)", got, all, err)
		}
		for range 10 {
			all = append(all, strings.Repeat("r", len(all)+1))
			appendRecords(t, j, all[len(all)-1])
		}
		if j.SnapshotDue() {
			if err := j.Snapshot(j.Last(), snapshotOf(all)); err != nil {
				t.Fatal(err)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	report, err := journal.Verify(fsys)
	if err != nil || report.Last != 30 || report.SnapshotSeq != 20 {
		t.Errorf("got %+v (%v), want 30 records and a snapshot of 20", report, err)
	}
	checkModes(t, dir)
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s: got mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestObjectsOnDisk(t *testing.T) {
	dir := t.TempDir()
	o := openObjects(t, journal.OSFS(dir))
	names := put(t, o, "a", "b", strings.Repeat("c", 1<<20))
	if err := os.WriteFile(filepath.Join(dir, "objects", names[0]+".0123.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o = openObjects(t, journal.OSFS(dir))
	if removed, err := o.Sweep(func(name string) bool { return name != names[1] }); removed != 1 || err != nil {
		t.Errorf("got %d removed, want 1 (%v)", removed, err)
	}
	entries, err := os.ReadDir(filepath.Join(dir, "objects"))
	if err != nil || len(entries) != 2 {
		t.Errorf("got %v, want 2 objects (%v)", entries, err)
	}
}

// TestLockOfAnotherProcess names the process that holds the lock, and finds the lock free once that process was killed.
func TestLockOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	holder := exec.Command(os.Args[0])
	holder.Env = append(os.Environ(), holderEnv+"="+dir)
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "open\n" {
		t.Fatalf("holder: got %q (%v)", line, err)
	}
	_, _, err = journal.Open(journal.OSFS(dir), small)
	locked := (*journal.LockedError)(nil)
	if !errors.As(err, &locked) || locked.PID != holder.Process.Pid {
		t.Errorf("got %v, want the pid %d", err, holder.Process.Pid)
	}
	if _, err := journal.Verify(journal.OSFS(dir)); err != nil {
		t.Errorf("verify beside the holder: %v", err)
	}
	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holder.Wait()
	if status, ok := holder.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("holder ended with %v, want it to live until it is killed", holder.ProcessState)
	}
	open(t, journal.OSFS(dir), small)
}

func TestErrorsOfTheDisk(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	below := journal.OSFS(file)
	if _, _, err := journal.Open(below, small); err == nil {
		t.Error("open below a file: got no error")
	}
	if _, err := journal.OpenObjects(below); err == nil {
		t.Error("open objects below a file: got no error")
	}
	if _, err := journal.Verify(below); err == nil {
		t.Error("verify below a file: got no error")
	}
	if err := below.SyncDir("journal"); err == nil {
		t.Error("sync below a file: got no error")
	}
	if err := below.Mkdir("journal"); err == nil {
		t.Error("make a directory below a file: got no error")
	}
	if _, err := journal.OSFS(dir).Lock("missing/lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("lock in a missing directory: got %v", err)
	}
	if got := (&journal.LockedError{Path: "lock"}).Error(); got != "data directory is in use by another process (lock is locked)" {
		t.Errorf("unknown holder: got %q", got)
	}
}

// A child that a killed process was just starting has its descriptors, and with
// them the lock, until it runs its program.
func TestLockOfTheDeadIsWaitedFor(t *testing.T) {
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(f, dead.Process.Pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	child := exec.Command("sleep", "0.2")
	child.ExtraFiles = []*os.File{f}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	lock, err := journal.OSFS(dir).Lock("lock")
	if err != nil {
		t.Fatalf("got %v, want the lock as soon as the child has let go of it", err)
	}
	_ = lock.Close()
	_ = child.Wait()
}
