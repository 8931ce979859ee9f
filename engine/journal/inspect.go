package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strings"
)

// Report is what Verify finds.
type Report struct {
	SnapshotSeq    uint64 // 0 without a snapshot
	SnapshotBytes  int64
	SnapshotWriter string
	Segments       []SegmentReport // those behind the snapshot, up to the first damage
	Batches        int
	Records        uint64
	Last           uint64          // sequence number of the last record that counts
	Torn           *Torn           // no damage: a batch being written, or what a crash left of one
	Damaged        []*CorruptError // snapshots that cannot be read and are not needed
}

// SegmentReport is one segment of a Report.
type SegmentReport struct {
	File        string
	Writer      string
	Schema      int
	First, Last uint64 // Last is First-1 without records
	Batches     int
	Bytes       int64 // that count
}

func (r Report) String() string {
	var b strings.Builder
	if r.SnapshotSeq > 0 {
		fmt.Fprintf(&b, "snapshot through record %d: %d bytes, written by %s\n", r.SnapshotSeq, r.SnapshotBytes, r.SnapshotWriter)
	}
	for _, s := range r.Segments {
		fmt.Fprintf(&b, "%s: records %d to %d in %d batches, %d bytes, written by %s\n", s.File, s.First, s.Last, s.Batches, s.Bytes, s.Writer)
	}
	for _, d := range r.Damaged {
		fmt.Fprintf(&b, "not needed: %s\n", d)
	}
	if r.Torn != nil {
		fmt.Fprintf(&b, "torn tail: %s\n", r.Torn)
	}
	fmt.Fprintf(&b, "last record %d\n", r.Last)
	return b.String()
}

// Verify reads all that recovery would read, without the lock, also beside a running agent, and changes nothing. Damage is a
// *CorruptError, beside a Report of what lies in front of it; a torn tail is none. Without a journal the error is fs.ErrNotExist.
func Verify(fsys FS) (Report, error) {
	c, err := loadBeside(fsys)
	if c == nil {
		return Report{}, err
	}
	r := Report{Last: c.last, Damaged: c.badSnaps}
	if c.snap != nil {
		r.SnapshotSeq, r.SnapshotBytes, r.SnapshotWriter = c.snap.head.seq, c.snap.size, c.snap.head.writer
	}
	for _, s := range c.segs {
		r.Segments = append(r.Segments, SegmentReport{
			File: s.name, Writer: s.head.writer, Schema: s.head.schema,
			First: s.head.seq, Last: s.last, Batches: s.batches, Bytes: int64(s.end),
		})
		r.Batches += s.batches
		r.Records += s.records()
	}
	if err == nil {
		r.Torn = c.torn()
	}
	return r, err
}

// loadBeside loads while another process may append, cut back, snapshot and remove. What it finds missing or damaged counts only if it
// finds the same again.
func loadBeside(fsys FS) (*contents, error) {
	const attempts = 10
	var before string
	for range attempts {
		c, err := load(fsys, math.MaxInt)
		if err == nil && c.isNew() {
			return nil, fmt.Errorf("read the journal: %w", fs.ErrNotExist)
		}
		if err == nil {
			return c, nil
		}
		damage := (*CorruptError)(nil)
		if !errors.As(err, &damage) && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err.Error() == before && damage != nil {
			return c, err
		}
		before = err.Error()
	}
	return nil, fmt.Errorf("read the journal: it changed %d times meanwhile: %s", attempts, before)
}

// Dump writes the journal to w for people and scripts, without the lock, also beside a running agent. A line with a number, a tab and a
// text is a record, also one that a snapshot covers if it is still there; a line that begins with '#' tells of a snapshot, a segment, the
// end of a batch, a torn tail or damage. Damage is returned as a *CorruptError after all that can be read is written.
func Dump(fsys FS, w io.Writer) error {
	c, damage := loadBeside(fsys)
	if c == nil {
		return damage
	}
	out := bufio.NewWriter(w)
	for _, bad := range c.badSnaps {
		fmt.Fprintf(out, "# not needed: %s\n", bad)
	}
	if c.snap != nil {
		fmt.Fprintf(out, "# snapshot %s: through record %d, %d bytes, written by %s\n", c.snap.name, c.snap.head.seq, c.snap.size, c.snap.head.writer)
	}
	var buf []byte
	for i, seq := range c.segSeqs {
		data, err := readFile(fsys, segmentName(seq), buf)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a snapshot covers it since
		}
		if err != nil {
			return fmt.Errorf("dump %s: %w", segmentName(seq), err)
		}
		buf = data
		dumpSegment(out, segmentName(seq), data, i == len(c.segSeqs)-1)
	}
	if damage != nil {
		fmt.Fprintf(out, "# damage: %s\n", damage)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("dump the journal: %w", err)
	}
	return damage
}

// dumpSegment leaves the errors of out to its Flush.
func dumpSegment(out *bufio.Writer, name string, data []byte, isFinal bool) {
	head, n, err := parseHeader(data, segmentMagic)
	if err != nil {
		fmt.Fprintf(out, "# segment %s: %s\n", name, err)
		return
	}
	fmt.Fprintf(out, "# segment %s: from record %d, written by %s\n", name, head.seq, head.writer)
	seq := head.seq
	for start := n; start < len(data); {
		b, problem := readBatch(data, start, seq, head.crc)
		if problem != "" && isFinal {
			fmt.Fprintf(out, "# %d bytes from byte %d do not count: %s\n", len(data)-start, start, problem)
		}
		if problem != "" {
			return
		}
		one := segment{head: header{seq: seq}, start: start, end: b.end}
		_, seq, _ = one.each(data, 0, func(seq uint64, record []byte) error {
			_, err := fmt.Fprintf(out, "%d\t%s\n", seq, record)
			return err
		})
		if seq != b.last+1 {
			return // out has failed
		}
		fmt.Fprintf(out, "# batch ends at record %d\n", b.last)
		start = b.end
	}
}
