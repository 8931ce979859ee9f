package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitdag/engine/journal"
	"gitdag/engine/journal/journaltest"
)

const firstSegment = "journal/0000000000000001.log"

// sample is a journal of one segment, and where its header and its batches end.
type sample struct {
	data    []byte
	ends    []int // ends[0] is that of the header
	records [][]string
}

func newSample(t *testing.T) sample {
	t.Helper()
	fsys := journaltest.New()
	j, _ := open(t, fsys, journal.Options{Writer: "1.0"})
	var s sample
	size := func() {
		data, err := fsys.ReadFile(firstSegment)
		if err != nil {
			t.Fatal(err)
		}
		s.data, s.ends = data, append(s.ends, len(data))
	}
	size()
	for i := range 4 {
		var batch []string
		for k := range i + 1 {
			batch = append(batch, fmt.Sprintf(`{"batch":%d,"record":%d}`, i, k))
		}
		appendRecords(t, j, batch...)
		s.records = append(s.records, batch)
		size()
	}
	return s
}

// upTo returns the records of the first n batches.
func (s sample) upTo(n int) []string { return slices.Concat(s.records[:n]...) }

func journalOf(data []byte) *journaltest.FS {
	fsys := journaltest.New()
	fsys.WriteFile(firstSegment, data)
	return fsys
}

// answer opens a journal and says what came of it, in the words of docs/journal.md.
func answer(fsys *journaltest.FS) string {
	_, r, err := journal.Open(fsys, journal.Options{Writer: "1.0"})
	damage := (*journal.CorruptError)(nil)
	version := (*journal.VersionError)(nil)
	switch {
	case errors.As(err, &damage):
		return fmt.Sprintf("damaged at %d", damage.Offset)
	case errors.As(err, &version):
		return fmt.Sprintf("version %d", version.Version)
	case err != nil:
		return err.Error()
	}
	all, err := state(r)
	if err != nil {
		return err.Error()
	}
	if r.Torn != nil {
		return fmt.Sprintf("torn at %d by %d: %s", r.Torn.Offset, r.Torn.Bytes, strings.Join(all, ""))
	}
	return "whole: " + strings.Join(all, "")
}

// want is the documented answer for n whole batches and extra bytes behind them.
func (s sample) want(n, extra int) string {
	records := strings.Join(s.upTo(n), "")
	if extra > 0 {
		return fmt.Sprintf("torn at %d by %d: %s", s.ends[n], extra, records)
	}
	return "whole: " + records
}

func TestEveryCutOfTheTail(t *testing.T) {
	s := newSample(t)
	for size := s.ends[0]; size <= len(s.data); size++ {
		n := 0
		for n+1 < len(s.ends) && s.ends[n+1] <= size {
			n++
		}
		fsys := journalOf(s.data[:size])
		if got, want := answer(fsys), s.want(n, size-s.ends[n]); got != want {
			t.Errorf("cut at %d: got %q, want %q", size, got, want)
		}
		// The tail was reported and removed; the next start finds nothing to report.
		if got, want := answer(fsys.Kill()), s.want(n, 0); got != want {
			t.Errorf("cut at %d, second start: got %q, want %q", size, got, want)
		}
	}
	for size := range s.ends[0] {
		if got, want := answer(journalOf(s.data[:size])), "damaged at 0"; got != want {
			t.Errorf("header cut at %d: got %q, want %q", size, got, want)
		}
	}
}

func TestEveryBitFlip(t *testing.T) {
	s := newSample(t)
	for at := range s.data {
		n := 0 // batches in front of the flip
		for n+1 < len(s.ends) && s.ends[n+1] <= at {
			n++
		}
		want := fmt.Sprintf("damaged at %d", s.ends[n])
		switch {
		case at < s.ends[0]:
			want = "damaged at 0"
		case n == 3: // the last batch may have been torn
			want = s.want(3, len(s.data)-s.ends[3])
		}
		for bit := range 8 {
			flipped := bytes.Clone(s.data)
			flipped[at] ^= 1 << bit
			if got := answer(journalOf(flipped)); got != want {
				t.Errorf("bit %d of byte %d: got %q, want %q", bit, at, got, want)
			}
		}
	}
}

func TestForeignTails(t *testing.T) {
	s := newSample(t)
	last := s.data[s.ends[3]:]
	other := newSample(t)
	for _, c := range []struct {
		name string
		tail []byte
		want string
	}{
		{"zeros", make([]byte, 4096), s.want(4, 4096)},
		{"zeros longer than a batch", make([]byte, 1<<20), fmt.Sprintf("damaged at %d", s.ends[4])},
		{"the last batch again", last, fmt.Sprintf("damaged at %d", s.ends[4])},
		{"an earlier batch", other.data[other.ends[0]:other.ends[1]], fmt.Sprintf("damaged at %d", s.ends[4])},
		{"a line that is no record", []byte("\n"), s.want(4, 1)},
		{"a commit line without records", []byte("#commit 10 0 00000000\n"), s.want(4, 22)},
		{"an unknown line", []byte("#other\n"), s.want(4, 7)},
	} {
		if got := answer(journalOf(slices.Concat(s.data, c.tail))); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestDamageInFrontOfASegment flips a bit in the last batch of a segment that another one follows: no crash does that.
func TestDamageInFrontOfASegment(t *testing.T) {
	fsys, _ := rotated(t)
	segments := files(fsys, ".log")
	data, _ := fsys.ReadFile(segments[0])
	data[len(data)-20] ^= 1
	fsys.WriteFile(segments[0], data)
	_, _, err := journal.Open(fsys, small)
	damage := (*journal.CorruptError)(nil)
	if !errors.As(err, &damage) || damage.File != segments[0] || !strings.Contains(damage.Reason, "another segment follows") {
		t.Errorf("got %v, want damage in %s", err, segments[0])
	}
	if !strings.Contains(damage.Hint(), "gitdag journal verify") {
		t.Errorf("hint %q does not name the command", damage.Hint())
	}
}

// rotated returns a journal of several segments without a snapshot, and its records.
func rotated(t *testing.T) (*journaltest.FS, []string) {
	t.Helper()
	fsys := journaltest.New()
	j, _ := open(t, fsys, small)
	var all []string
	for i := range 12 {
		record := fmt.Sprintf(`{"record":%d,"text":%q}`, i, strings.Repeat("y", 60))
		appendRecords(t, j, record)
		all = append(all, record)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(fsys, ".log")); n < 3 {
		t.Fatalf("%d segments, want at least 3", n)
	}
	return fsys, all
}

// FuzzTail opens a journal with any bytes behind two whole batches. What was whole stays or is damage that is named; a second start finds
// what the first one found.
func FuzzTail(f *testing.F) {
	f.Add([]byte("{}\n#commit 3 3 00000000\n"))
	f.Add([]byte("{}\n{}\n#commit 4 6 0123"))
	f.Add([]byte("\n#commit 3 3 00000000\n\x00\x00"))
	fsys := journaltest.New()
	j, _, err := journal.Open(fsys, journal.Options{Writer: "1.0"})
	if err != nil {
		f.Fatal(err)
	}
	for _, r := range []string{"{}", "{}"} {
		if _, err := j.Append(lines(r)); err != nil {
			f.Fatal(err)
		}
	}
	whole, _ := fsys.ReadFile(firstSegment)
	f.Add(whole[bytes.IndexByte(whole, '\n')+1:])
	f.Fuzz(func(t *testing.T, tail []byte) {
		fsys := journalOf(slices.Concat(whole, tail))
		report, verifyErr := journal.Verify(fsys)
		_ = journal.Dump(fsys, &bytes.Buffer{})
		_, r, err := journal.Open(fsys, journal.Options{})
		if (err == nil) != (verifyErr == nil) {
			t.Fatalf("open: %v, verify: %v", err, verifyErr)
		}
		if err != nil {
			return
		}
		all, err := state(r)
		if err != nil || len(all) < 2 || all[0] != "{}" || all[1] != "{}" || report.Last != r.Last {
			t.Fatalf("found %q, last %d and %d, %v", all, report.Last, r.Last, err)
		}
		if err := reread(fsys.Kill(), all); err != nil {
			t.Fatal(err)
		}
	})
}
