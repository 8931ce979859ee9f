package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

func TestFormat(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{Writer: "0.1.0", Schema: 3})
	appendRecords(t, j, `{"a":1}`, `{"b":2}`)
	if err := j.Snapshot(2, snapshotOf([]string{`{"a":1}`, `{"b":2}`})); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		firstSegment:                    "#gitdag-journal 1 0.1.0 3 1 1c4d0b60\n{\"a\":1}\n{\"b\":2}\n#commit 2 16 9357f5d6\n",
		"journal/0000000000000002.snap": "#gitdag-snapshot 1 0.1.0 3 2 9bd1c64b\n{\"a\":1}\n{\"b\":2}\n\n#end 0000000000000002 00000000000000000016 8238d5e1\n",
	} {
		got, err := fsys.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, want %q (%v)", name, got, want, err)
		}
	}
}

func TestAppendCountsRecords(t *testing.T) {
	fsys := journaltest.New()
	j, r := open(t, fsys, small)
	if r.Last != 0 || r.SnapshotSeq != 0 || r.Torn != nil {
		t.Errorf("new journal: got %+v", r)
	}
	if got := appendRecords(t, j, "a", "b"); got != 2 {
		t.Errorf("last: got %d, want 2", got)
	}
	if got := appendRecords(t, j); got != 2 {
		t.Errorf("last after nothing: got %d, want 2", got)
	}
	if got := appendRecords(t, j, "c"); got != 3 || j.Last() != 3 {
		t.Errorf("last: got %d and %d, want 3", got, j.Last())
	}
	if got, want := reopened(t, fsys), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFirstBatchIsDurable(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, "a")
	if got, want := reopened(t, fsys.Crash(journaltest.Cut{})), []string{"a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAppendRefuses(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	fits := bytes.Repeat([]byte{'x'}, journal.MaxBatch-1)
	for _, c := range []struct {
		name    string
		records [][]byte
		want    error
	}{
		{"empty", lines("a", ""), journal.ErrBadRecord},
		{"line end", lines("a\nb"), journal.ErrBadRecord},
		{"number sign", lines("#a"), journal.ErrBadRecord},
		{"one byte too many", [][]byte{append(fits, 'x')}, journal.ErrTooLarge},
		{"a line end too many", [][]byte{fits[:len(fits)-1], nil}, journal.ErrBadRecord},
		{"many", slices.Repeat(lines(strings.Repeat("x", 1023)), 512), journal.ErrTooLarge},
	} {
		if _, err := j.Append(c.records); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := j.Append([][]byte{fits}); err != nil {
		t.Errorf("largest batch: %v", err)
	}
	if got := reopened(t, fsys); len(got) != 1 || got[0] != string(fits) {
		t.Errorf("got %d records, want the largest one", len(got))
	}
}

func TestOneWriteAndOneSyncABatch(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{})
	var ops []string
	fsys.Hook(func(op journaltest.Op) error { ops = append(ops, op.Kind); return nil })
	appendRecords(t, j, "a", "b", "c")
	if want := []string{"write", "sync"}; !slices.Equal(ops, want) {
		t.Errorf("got %v, want %v", ops, want)
	}
}

// TestDiskStaysFull fills the disk at every operation of an append that begins a segment: until there is space again nothing changes, and
// then the same batch goes in.
func TestDiskStaysFull(t *testing.T) {
	for _, kind := range []string{"write", "create", "rename"} {
		fsys, all := rotated(t)
		options := small
		options.Writer = "2.0" // so that the next batch begins a segment
		j, _ := open(t, fsys, options)
		fsys.Hook(func(op journaltest.Op) error {
			if op.Kind == kind {
				return syscall.ENOSPC
			}
			return nil
		})
		for range 3 {
			if _, err := j.Append(lines("late")); !errors.Is(err, journal.ErrNoSpace) || errors.Is(err, journal.ErrFatal) {
				t.Fatalf("%s: got %v, want ErrNoSpace", kind, err)
			}
			if got := reopened(t, fsys); !slices.Equal(got, all) {
				t.Fatalf("%s: got %q, want %q", kind, got, all)
			}
		}
		fsys.Hook(nil)
		appendRecords(t, j, "late")
		if got, want := reopened(t, fsys), append(all, "late"); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", kind, got, want)
		}
	}
}

// TestCutBack looks at the bytes: what a full disk left of a batch is gone at once, not only at the next start.
func TestCutBack(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, "a")
	before, _ := fsys.ReadFile(firstSegment)
	fsys.FailAt(1, syscall.ENOSPC)
	if _, err := j.Append(lines(strings.Repeat("b", 100))); !errors.Is(err, journal.ErrNoSpace) {
		t.Fatalf("got %v, want ErrNoSpace", err)
	}
	if after, _ := fsys.ReadFile(firstSegment); !bytes.Equal(after, before) {
		t.Errorf("got %q, want %q", after, before)
	}
}

func TestFatalErrorsStay(t *testing.T) {
	for _, c := range []struct {
		name string
		fail map[string]error // by kind of operation
		sync bool
	}{
		{"sync", map[string]error{"sync": syscall.EIO}, true},
		{"full at sync", map[string]error{"sync": syscall.ENOSPC}, true},
		{"write", map[string]error{"write": syscall.EIO}, false},
		{"cut back", map[string]error{"write": syscall.ENOSPC, "truncate": syscall.EIO}, false},
	} {
		fsys := journaltest.New()
		j, _ := open(t, fsys, small)
		appendRecords(t, j, "a")
		fsys.Hook(func(op journaltest.Op) error { return c.fail[op.Kind] })
		_, err := j.Append(lines("b"))
		if !errors.Is(err, journal.ErrFatal) || errors.Is(err, journal.ErrSync) != c.sync {
			t.Errorf("%s: got %v, want a fatal error", c.name, err)
		}
		fsys.Hook(nil)
		ops := fsys.Ops()
		_, again := j.Append(lines("c"))
		snapshot := j.Snapshot(1, snapshotOf([]string{"a"}))
		if !errors.Is(again, journal.ErrFatal) || !errors.Is(snapshot, journal.ErrFatal) || j.SnapshotDue() {
			t.Errorf("%s: later calls: got %v and %v, want a fatal error", c.name, again, snapshot)
		}
		if fsys.Ops() != ops {
			t.Errorf("%s: a failed journal touched the disk", c.name)
		}
	}
}

func TestClosed(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := j.Append(lines("a")); !errors.Is(err, journal.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	open(t, fsys, small) // the lock is free
}

func TestOneWriter(t *testing.T) {
	fsys := journaltest.New()
	open(t, fsys, small)
	_, _, err := journal.Open(fsys, small)
	if locked := (*journal.LockedError)(nil); !errors.As(err, &locked) || locked.PID == 0 {
		t.Errorf("got %v, want LockedError with a pid", err)
	}
	if _, err := journal.Truncate(fsys, journal.TruncateOptions{}); !errors.As(err, new(*journal.LockedError)) {
		t.Errorf("truncate: got %v, want LockedError", err)
	}
}

func TestBadOptions(t *testing.T) {
	for _, o := range []journal.Options{
		{Writer: "two words"}, {Writer: strings.Repeat("x", 65)}, {Writer: "a\nb"}, {Schema: -1}, {SegmentBytes: -1}, {SnapshotBytes: -1},
	} {
		fsys := journaltest.New()
		if _, _, err := journal.Open(fsys, o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
		if _, err := journal.Truncate(fsys, journal.TruncateOptions{Options: o}); err == nil {
			t.Errorf("%+v: truncate: got no error", o)
		}
		if fsys.Ops() > 0 {
			t.Errorf("%+v: touched the disk", o)
		}
	}
}

func TestNewerVersionsAreRefusedByName(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{Writer: "9.9", Schema: 2})
	appendRecords(t, j, "a")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	// A newer format may have other fields; what it keeps is the place of the first three and of the checksum.
	newer := journalOf([]byte("#gitdag-journal 2 9.9 x y z 61c07302\n"))
	for _, c := range []struct {
		name string
		fsys *journaltest.FS
		want string
	}{
		{"schema", fsys, "journal/0000000000000001.log has record schema 2, written by gitdag 9.9; this version reads up to 1"},
		{"format", newer, "journal/0000000000000001.log has format 2, written by gitdag 9.9; this version reads up to 1"},
	} {
		before, _ := c.fsys.ReadFile(firstSegment)
		_, _, err := journal.Open(c.fsys, small)
		version := (*journal.VersionError)(nil)
		if !errors.As(err, &version) || version.Error() != c.want || version.Hint() != "start gitdag 9.9 or newer" {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
		if _, err := journal.Truncate(c.fsys, journal.TruncateOptions{}); !errors.As(err, &version) {
			t.Errorf("%s: truncate: got %v, want VersionError", c.name, err)
		}
		if after, _ := c.fsys.ReadFile(firstSegment); !bytes.Equal(after, before) {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
}

func TestVersionRisesAtANewSegment(t *testing.T) {
	fsys := journaltest.New()
	var want []string
	for i, o := range []journal.Options{{Writer: "1.0"}, {Writer: "1.0"}, {Writer: "1.1"}, {Writer: "1.1", Schema: 2}} {
		j, _ := open(t, fsys, o)
		record := fmt.Sprint("record ", i)
		appendRecords(t, j, record)
		want = append(want, record)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	report, err := journal.Verify(fsys)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range report.Segments {
		got = append(got, fmt.Sprintf("%s/%d %d-%d", s.Writer, s.Schema, s.First, s.Last))
	}
	if want := []string{"1.0/1 1-2", "1.1/1 3-3", "1.1/2 4-4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	_, r := open(t, fsys, journal.Options{Schema: 2})
	if all, err := state(r); err != nil || !slices.Equal(all, want) {
		t.Errorf("got %q, want %q (%v)", all, want, err)
	}
}

// TestSegmentWithoutRecordsIsReplaced has two versions meet a segment that nothing was appended to: the second one's has the same name,
// and no snapshot may take it for an old one.
func TestSegmentWithoutRecordsIsReplaced(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{Writer: "1.0"})
	_ = j.Close()
	j, _ = open(t, fsys, journal.Options{Writer: "2.0"})
	appendRecords(t, j, "a")
	if err := j.Snapshot(1, snapshotOf([]string{"a"})); err != nil {
		t.Fatal(err)
	}
	if got, want := files(fsys, ".log"), []string{firstSegment}; !slices.Equal(got, want) {
		t.Errorf("segments: got %v, want %v", got, want)
	}
	if got := reopened(t, fsys); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got %q, want a", got)
	}
}

func TestReplayNamesTheRecordThatFails(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, "a", "b")
	_ = j.Close()
	_, r := open(t, fsys, journal.Options{Writer: "0.9"})
	unknown := errors.New("unknown event")
	err := r.Replay(func(seq uint64, record []byte) error {
		if seq == 2 {
			return unknown
		}
		return nil
	})
	want := "replay journal/0000000000000001.log: record 2 at byte 37, written by gitdag 1.0: unknown event"
	if !errors.Is(err, unknown) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestSnapshotIsDueWhenTheLogExceedsIt(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{SnapshotBytes: 1000})
	fill := func(n int) {
		for range n {
			appendRecords(t, j, strings.Repeat("x", 80)) // and a commit line: more than 100 bytes, less than 111
		}
	}
	check := func(when string, want bool) {
		t.Helper()
		if got := j.SnapshotDue(); got != want {
			t.Errorf("%s: due is %v, want %v", when, got, want)
		}
	}
	fill(9)
	check("below the least size", false)
	fill(1)
	check("above the least size", true)
	if err := j.Snapshot(10, func(w io.Writer) error { _, err := w.Write(make([]byte, 2000)); return err }); err != nil {
		t.Fatal(err)
	}
	check("after a snapshot", false)
	fill(18)
	check("below the size of the snapshot", false)
	fill(2)
	check("above the size of the snapshot", true)
	_ = j.Close()
	j, _ = open(t, fsys, journal.Options{SnapshotBytes: 1000})
	check("after a restart", true)
}

func TestSnapshotRemovesWhatItCovers(t *testing.T) {
	fsys, all := rotated(t)
	j, _ := open(t, fsys, small)
	for _, seq := range []uint64{7, 9} {
		if err := j.Snapshot(seq, snapshotOf(all[:seq])); err != nil {
			t.Fatal(err)
		}
		if got := reopened(t, fsys); !slices.Equal(got, all) {
			t.Errorf("snapshot of %d: got %q, want %q", seq, got, all)
		}
	}
	want := []string{"journal/0000000000000009.snap", "journal/0000000000000010.log"}
	if got := slices.DeleteFunc(fsys.Files(), func(name string) bool { return !strings.HasPrefix(name, "journal/") }); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSnapshotRefuses(t *testing.T) {
	fsys, all := rotated(t)
	j, _ := open(t, fsys, small)
	if err := j.Snapshot(5, snapshotOf(all[:5])); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	full := func(w io.Writer) error { return snapshotOf(slices.Repeat(all, 3000))(w) }
	for _, c := range []struct {
		name  string
		seq   uint64
		write func(io.Writer) error
		want  error
	}{
		{"not durable", 13, snapshotOf(all), nil},
		{"not newer", 5, snapshotOf(all), nil},
		{"the caller's error", 6, func(io.Writer) error { return broken }, broken},
		{"full", 6, full, journal.ErrNoSpace},
	} {
		fsys.Hook(func(op journaltest.Op) error {
			if op.Kind == "write" && c.want != nil {
				return syscall.ENOSPC
			}
			return nil
		})
		err := j.Snapshot(c.seq, c.write)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || errors.Is(err, journal.ErrFatal) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
		if left := files(fsys, ".tmp"); len(left) > 0 {
			t.Errorf("%s: left %v", c.name, left)
		}
	}
	fsys.Hook(nil)
	if got := reopened(t, fsys); !slices.Equal(got, all) {
		t.Errorf("got %q, want %q", got, all)
	}
}

// TestSnapshotBesideAppend has one goroutine append while another one takes snapshots of what is durable.
func TestSnapshotBesideAppend(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	var all []string
	for i := range 300 {
		all = append(all, fmt.Sprint("record ", i))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for seq := uint64(0); seq < 300; {
			if last := j.Last(); last > seq {
				seq = last
				if err := j.Snapshot(seq, snapshotOf(all[:seq])); err != nil {
					t.Errorf("snapshot: %v", err)
					return
				}
			}
		}
	})
	for _, record := range all {
		appendRecords(t, j, record)
	}
	wg.Wait()
	if got := reopened(t, fsys); !slices.Equal(got, all) {
		t.Errorf("got %d records, want %d", len(got), len(all))
	}
}

// TestDamagedSnapshot flips every byte of the newest snapshot: with the older one and its log still there nothing is lost; without them
// it is damage, and no cut mends it.
func TestDamagedSnapshot(t *testing.T) {
	fsys, all := rotated(t)
	j, _ := open(t, fsys, small)
	if err := j.Snapshot(2, snapshotOf(all[:2])); err != nil {
		t.Fatal(err)
	}
	before := fsys.Crash(journaltest.Cut{Entries: journaltest.All, Data: journaltest.All})
	if err := j.Snapshot(9, snapshotOf(all[:9])); err != nil {
		t.Fatal(err)
	}
	const name = "journal/0000000000000009.snap"
	snapshot, err := fsys.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := range snapshot {
		flipped := bytes.Clone(snapshot)
		flipped[at] ^= 0x04
		older := before.Kill()
		older.WriteFile(name, flipped)
		j, r := open(t, older, small)
		got, err := state(r)
		if err != nil || !slices.Equal(got, all) || len(r.Damaged) != 1 || r.Damaged[0].File != name {
			t.Fatalf("byte %d, with an older snapshot: got %q, %v, %v", at, got, r.Damaged, err)
		}
		if err := j.Snapshot(12, snapshotOf(all)); err != nil || len(files(older, ".snap")) != 1 {
			t.Fatalf("byte %d: a new snapshot leaves %v (%v)", at, files(older, ".snap"), err)
		}
		only := fsys.Kill()
		only.WriteFile(name, flipped)
		damage := (*journal.CorruptError)(nil)
		if _, _, err := journal.Open(only, small); !errors.As(err, &damage) || damage.File != name {
			t.Fatalf("byte %d: got %v, want damage of %s", at, err, name)
		}
	}
	only := fsys.Kill()
	only.WriteFile(name, snapshot[:20])
	if _, err := journal.Truncate(only, journal.TruncateOptions{}); !errors.As(err, new(*journal.CorruptError)) {
		t.Errorf("truncate: got %v, want the damage", err)
	}
}

// TestSnapshotAheadOfTheLog damages the last batch after a snapshot has covered it: nothing is lost, and numbers go on behind the snapshot.
func TestSnapshotAheadOfTheLog(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, "a")
	appendRecords(t, j, "b", "c")
	if err := j.Snapshot(3, snapshotOf([]string{"a", "b", "c"})); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	data, _ := fsys.ReadFile(firstSegment)
	data[len(data)-2] ^= 1
	fsys.WriteFile(firstSegment, data)
	j, r := open(t, fsys, small)
	if r.Last != 3 || r.Torn == nil {
		t.Errorf("got last %d, torn %v, want 3 and a torn tail", r.Last, r.Torn)
	}
	_ = j.Close()
	j, r = open(t, fsys, small) // nothing was appended in between
	if r.Last != 3 || r.Torn != nil {
		t.Errorf("second start: got last %d, torn %v, want 3 and no torn tail", r.Last, r.Torn)
	}
	if got := appendRecords(t, j, "d"); got != 4 {
		t.Errorf("got %d, want 4", got)
	}
	if got, want := reopened(t, fsys), []string{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestStartOnAFullDisk starts where no file can be made: what is there is recovered, and only the first new segment needs space.
func TestStartOnAFullDisk(t *testing.T) {
	fsys, all := rotated(t)
	fsys.Hook(func(op journaltest.Op) error {
		if slices.Contains([]string{"create", "rename", "mkdir"}, op.Kind) && op.Name != "." && op.Name != "journal" {
			return syscall.ENOSPC
		}
		return nil
	})
	j, r := open(t, fsys, journal.Options{Writer: "2.0"})
	if got, err := state(r); err != nil || !slices.Equal(got, all) {
		t.Errorf("got %q, want %q (%v)", got, all, err)
	}
	if _, err := j.Append(lines("a")); !errors.Is(err, journal.ErrNoSpace) {
		t.Errorf("got %v, want ErrNoSpace", err)
	}
}

func TestSnapshotNamesItsWriter(t *testing.T) {
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	appendRecords(t, j, "a")
	if err := j.Snapshot(1, snapshotOf([]string{"a"})); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	_, r := open(t, fsys, journal.Options{Writer: "3.0"})
	in, writer, err := r.OpenSnapshot()
	if err != nil || writer != "1.0" || r.SnapshotSeq != 1 {
		t.Fatalf("got writer %q of snapshot %d, want 1.0 of 1 (%v)", writer, r.SnapshotSeq, err)
	}
	body, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil || string(body) != "a\n" {
		t.Errorf("got %q (%v), want a line", body, err)
	}
	_, empty := open(t, journaltest.New(), small)
	if _, _, err := empty.OpenSnapshot(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a snapshot: got %v, want ErrNotExist", err)
	}
}

func TestMissingFiles(t *testing.T) {
	for _, c := range []struct {
		name   string
		remove int // index of the segment
		want   string
	}{
		{"first", 0, "is damaged at byte 0: records 1 to"},
		{"in between", 1, "the segment before it ends at record"},
	} {
		fsys, _ := rotated(t)
		if err := fsys.Remove(files(fsys, ".log")[c.remove]); err != nil {
			t.Fatal(err)
		}
		_, _, err := journal.Open(fsys, small)
		if !errors.As(err, new(*journal.CorruptError)) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
