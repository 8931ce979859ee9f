package journal_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

func dump(fsys journal.FS) (string, error) {
	var out bytes.Buffer
	err := journal.Dump(fsys, &out)
	return out.String(), err
}

// inspected is a journal with a snapshot, three batches behind and in front of it, and a torn tail.
func inspected(t *testing.T) *journaltest.FS {
	t.Helper()
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{Writer: "1.0"})
	appendRecords(t, j, `{"a":1}`, `{"a":2}`)
	if err := j.Snapshot(2, snapshotOf([]string{"ab"})); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	j, _ = open(t, fsys, journal.Options{Writer: "1.1"})
	appendRecords(t, j, `{"b":3}`)
	appendRecords(t, j, `{"b":4}`)
	data, _ := fsys.ReadFile("journal/0000000000000003.log")
	fsys.WriteFile("journal/0000000000000003.log", append(data, `{"torn":`...))
	return fsys
}

func TestVerifyAndDump(t *testing.T) {
	fsys := inspected(t)
	report, err := journal.Verify(fsys) // the journal is still open: no lock is taken
	if err != nil {
		t.Fatal(err)
	}
	wantReport := `snapshot through record 2: 3 bytes, written by 1.0
journal/0000000000000003.log: records 3 to 4 in 2 batches, 93 bytes, written by 1.1
torn tail: journal/0000000000000003.log: 8 bytes from byte 93 do not count: it ends before a commit line
last record 4
`
	if diff := cmp.Diff(wantReport, report.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	got, err := dump(fsys)
	if err != nil {
		t.Fatal(err)
	}
	want := `# snapshot journal/0000000000000002.snap: through record 2, 3 bytes, written by 1.0
# segment journal/0000000000000001.log: from record 1, written by 1.0
1	{"a":1}
2	{"a":2}
# batch ends at record 2
# segment journal/0000000000000003.log: from record 3, written by 1.1
3	{"b":3}
# batch ends at record 3
4	{"b":4}
# batch ends at record 4
# 8 bytes from byte 93 do not count: it ends before a commit line
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dump (-want +got):\n%s", diff)
	}
}

func TestInspectNothing(t *testing.T) {
	fsys := journaltest.New()
	_, verify := journal.Verify(fsys)
	_, dumped := dump(fsys)
	_, truncate := journal.Truncate(fsys, journal.TruncateOptions{})
	for _, err := range []error{verify, dumped, truncate} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want ErrNotExist", err)
		}
	}
	if got := fsys.Files(); len(got) > 0 {
		t.Errorf("made %v", got)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("pipe is closed") }

func TestDumpToABrokenPipe(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, strings.Repeat("x", 8000), "b")
	if err := journal.Dump(fsys, brokenWriter{}); err == nil || !strings.Contains(err.Error(), "pipe is closed") {
		t.Errorf("got %v, want the writer's error", err)
	}
}

// TestInspectBesideAWriter reads while batches are appended and snapshots remove what has been listed.
func TestInspectBesideAWriter(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for i := range 400 {
			if _, err := j.Append(lines(strings.Repeat("z", i%90+1))); err != nil {
				t.Errorf("append: %v", err)
			}
			if j.SnapshotDue() {
				if err := j.Snapshot(j.Last(), snapshotOf([]string{"state"})); err != nil {
					t.Errorf("snapshot: %v", err)
				}
			}
		}
	})
	var last uint64
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		before := j.Last()
		report, err := journal.Verify(fsys)
		if err != nil || report.Last < before || report.Last < last {
			t.Fatalf("verify: last %d, want at least %d (%v)", report.Last, max(before, last), err)
		}
		last = report.Last
		if _, err := dump(fsys); err != nil {
			t.Fatalf("dump: %v", err)
		}
	}
	wg.Wait()
}

// halfListed is a directory that is listed for the first time while a snapshot is being published in it.
type halfListed struct {
	*journaltest.FS
	listed int
}

func (f *halfListed) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if f.listed++; f.listed == 1 {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, ".snap") })
	}
	return names, err
}

func TestDamageCountsWhenItIsSeenTwice(t *testing.T) {
	fsys, all := rotated(t)
	j, _ := open(t, fsys, small)
	if err := j.Snapshot(7, snapshotOf(all[:7])); err != nil {
		t.Fatal(err)
	}
	listed := &halfListed{FS: fsys}
	if report, err := journal.Verify(listed); err != nil || report.Last != 12 || listed.listed != 2 {
		t.Errorf("got last %d after %d lists, want 12 after 2 (%v)", report.Last, listed.listed, err)
	}
}

// damaged returns a journal of several segments with a flipped bit in the last record of the given segment, and its records.
func damaged(t *testing.T, segment int) (fsys *journaltest.FS, all []string) {
	t.Helper()
	fsys, all = rotated(t)
	name := files(fsys, ".log")[segment]
	data, _ := fsys.ReadFile(name)
	data[bytes.LastIndex(data, []byte("yyy"))] ^= 1
	fsys.WriteFile(name, data)
	return fsys, all
}

func TestDumpShowsDamage(t *testing.T) {
	fsys, _ := damaged(t, 1)
	report, err := journal.Verify(fsys)
	damage := (*journal.CorruptError)(nil)
	if !errors.As(err, &damage) || report.Last != damagedLast {
		t.Errorf("verify: got last %d and %v, want last %d and damage", report.Last, err, damagedLast)
	}
	got, err := dump(fsys)
	if !errors.As(err, &damage) {
		t.Errorf("dump: got %v, want damage", err)
	}
	for _, want := range []string{"\n5\t", "\n7\t", "\n12\t", "\n# damage: journal/0000000000000004.log is damaged at byte "} {
		if !strings.Contains(got, want) {
			t.Errorf("dump misses %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\n6\t") {
		t.Errorf("dump shows the damaged record:\n%s", got)
	}
}

// damagedLast is the last record in front of the damage in segment 1 of rotated.
const damagedLast = 5

func TestTruncate(t *testing.T) {
	fsys, all := damaged(t, 1)
	before := fsys.Files()
	plan, err := journal.Truncate(fsys, journal.TruncateOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := fsys.Files(); !slices.Equal(slices.DeleteFunc(got, func(n string) bool { return n == "lock" }), before) {
		t.Errorf("a dry run left %v, want %v", got, before)
	}
	dropped := map[string][]byte{}
	for _, name := range files(fsys, ".log")[1:] {
		dropped[name], _ = fsys.ReadFile(name)
	}
	cut, err := journal.Truncate(fsys, journal.TruncateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(plan, cut); diff != "" {
		t.Errorf("plan and cut differ:\n%s", diff)
	}
	if cut.Last != damagedLast || len(cut.Saved) != len(dropped) || !strings.Contains(cut.String(), "records up to 5 are kept") {
		t.Errorf("got %v", cut)
	}
	// What is dropped is saved, byte by byte.
	var saved, want int64
	for i, name := range files(fsys, ".cut") {
		data, _ := fsys.ReadFile(name)
		saved += int64(len(data))
		original := dropped[name[:len(firstSegment)]]
		if i == 0 {
			original = original[cut.Damage.Offset:]
		}
		want += int64(len(original))
		if !bytes.Equal(data, original) {
			t.Errorf("%s: got %q, want %q", name, data, original)
		}
	}
	if saved != cut.Bytes || saved != want {
		t.Errorf("saved %d bytes, reported %d, want %d", saved, cut.Bytes, want)
	}
	if got := reopened(t, fsys.Crash(journaltest.Cut{})); !slices.Equal(got, all[:damagedLast]) {
		t.Errorf("got %q, want %q", got, all[:damagedLast])
	}
	if _, err := journal.Truncate(fsys, journal.TruncateOptions{}); !errors.Is(err, journal.ErrSound) {
		t.Errorf("second cut: got %v, want ErrSound", err)
	}
}

func TestTruncateKinds(t *testing.T) {
	flip := func(fsys *journaltest.FS, name string, at int) {
		data, _ := fsys.ReadFile(name)
		data[at] ^= 1
		fsys.WriteFile(name, data)
	}
	for _, c := range []struct {
		name   string
		damage func(fsys *journaltest.FS, segments []string)
		want   int // records kept
	}{
		{"header of the first segment", func(f *journaltest.FS, s []string) { flip(f, s[0], 3) }, 0},
		{"header of the last segment", func(f *journaltest.FS, s []string) { flip(f, s[3], 3) }, 9},
		{"missing segment", func(f *journaltest.FS, s []string) { _ = f.Remove(s[2]) }, 6},
	} {
		fsys, all := rotated(t)
		c.damage(fsys, files(fsys, ".log"))
		seen := map[string]bool{}
		for range 2 { // the second time the saved files need other names
			cut, err := journal.Truncate(fsys, journal.TruncateOptions{Options: small})
			if err != nil || cut.Last != uint64(c.want) {
				t.Fatalf("%s: got %+v, want last %d (%v)", c.name, cut, c.want, err)
			}
			for _, name := range cut.Saved {
				if _, err := fsys.ReadFile(name); err != nil || seen[name] {
					t.Errorf("%s: %s was saved before: %v (%v)", c.name, name, seen[name], err)
				}
				seen[name] = true
			}
			if got := reopened(t, fsys.Crash(journaltest.Cut{})); !slices.Equal(got, all[:c.want]) {
				t.Errorf("%s: got %q, want %q", c.name, got, all[:c.want])
			}
			j, _ := open(t, fsys, small)
			for _, record := range all[c.want:] {
				appendRecords(t, j, record)
			}
			_ = j.Close()
			if got := reopened(t, fsys); !slices.Equal(got, all) {
				t.Errorf("%s, filled again: got %q, want %q", c.name, got, all)
			}
			c.damage(fsys, files(fsys, ".log"))
		}
	}
}

// TestTruncateBehindASnapshot has only a snapshot left: the journal goes on behind it.
func TestTruncateBehindASnapshot(t *testing.T) {
	fsys, all := rotated(t)
	j, _ := open(t, fsys, small)
	if err := j.Snapshot(12, snapshotOf(all)); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	for _, name := range files(fsys, ".log") {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := journal.Open(fsys, small); !errors.As(err, new(*journal.CorruptError)) {
		t.Errorf("got %v, want damage", err)
	}
	cut, err := journal.Truncate(fsys, journal.TruncateOptions{})
	if err != nil || cut.Last != 12 || cut.Bytes != 0 {
		t.Fatalf("got %+v (%v), want last 12", cut, err)
	}
	if got := reopened(t, fsys); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
}

// TestTruncateInFrontOfASnapshot has lost the segments behind a snapshot, but has an old one that the snapshot covers: damage, because what
// followed the snapshot is not known. The cut goes on behind the snapshot.
func TestTruncateInFrontOfASnapshot(t *testing.T) {
	fsys, all := rotated(t)
	old, _ := fsys.ReadFile(firstSegment)
	j, _ := open(t, fsys, small)
	if err := j.Snapshot(8, snapshotOf(all[:8])); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	for _, name := range files(fsys, ".log") {
		if err := fsys.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	fsys.WriteFile(firstSegment, old)
	_, _, err := journal.Open(fsys, small)
	want := "journal/0000000000000009.log is damaged at byte 0: the log ends at record 3, in front of the snapshot of record 8"
	if !errors.As(err, new(*journal.CorruptError)) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	cut, err := journal.Truncate(fsys, journal.TruncateOptions{})
	if err != nil || cut.Last != 8 {
		t.Fatalf("got %+v (%v), want last 8", cut, err)
	}
	if got := reopened(t, fsys.Crash(journaltest.Cut{})); !slices.Equal(got, all[:8]) {
		t.Errorf("got %q, want %q", got, all[:8])
	}
}

// TestCrashDuringTruncate cuts the power at every operation: the cut is made or can be made again.
func TestCrashDuringTruncate(t *testing.T) {
	for n := 1; ; n++ {
		fsys, all := damaged(t, 1)
		fsys.FailAt(n, journaltest.ErrCrash)
		_, err := journal.Truncate(fsys, journal.TruncateOptions{})
		for _, cut := range journaltest.Cuts(4) {
			after := fsys.Crash(cut)
			if _, err := journal.Truncate(after, journal.TruncateOptions{}); err != nil && !errors.Is(err, journal.ErrSound) {
				t.Fatalf("crash at operation %d (%v): %v", n, cut, err)
			}
			if got := reopened(t, after); !slices.Equal(got, all[:damagedLast]) {
				t.Fatalf("crash at operation %d (%v): got %q, want %q", n, cut, got, all[:damagedLast])
			}
		}
		if err == nil {
			return
		}
		if !errors.Is(err, journaltest.ErrCrash) {
			t.Fatalf("crash at operation %d: %v", n, err)
		}
	}
}
