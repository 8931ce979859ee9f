package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const copyBuffer = 256 << 10

// SnapshotDue reports whether the log since the last snapshot exceeds both that snapshot's size and the least size of Options.
func (j *Journal) SnapshotDue() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.err == nil && j.logged-j.snapMark > max(j.snapSize, j.options.SnapshotBytes)
}

// Snapshot publishes what write writes as the state after record seq, which must be durable and later than the last snapshot's. It may
// run in another goroutine than Append and does not delay it. Until it returns nil the old snapshot and the log behind it stay; then
// they are removed. An error of write comes back wrapped, ErrNoSpace and it change nothing; an error of a sync is fatal.
func (j *Journal) Snapshot(seq uint64, write func(io.Writer) error) error {
	j.snapshotting.Lock()
	defer j.snapshotting.Unlock()
	mark, err := j.beginSnapshot(seq)
	if err != nil {
		return err
	}
	name := snapshotName(seq)
	head := header{magic: snapshotMagic, format: formatVersion, writer: j.options.Writer, schema: j.options.Schema, seq: seq}
	size, err := publish(j.fsys, name, func(f File) (int64, error) { return writeSnapshot(f, head, write) })
	if err != nil {
		return j.failed(fmt.Errorf("publish %s: %w", name, err))
	}
	if err := j.removeCovered(seq, mark, size); err != nil {
		return fmt.Errorf("remove what %s covers: %w", name, err)
	}
	return nil
}

func (j *Journal) beginSnapshot(seq uint64) (mark int64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.err != nil:
		return 0, j.err
	case seq > j.last:
		return 0, fmt.Errorf("snapshot of record %d: the last one is %d", seq, j.last)
	case seq <= j.snapSeq:
		return 0, fmt.Errorf("snapshot of record %d: there is one of record %d", seq, j.snapSeq)
	}
	return j.logged, nil
}

// removeCovered removes the older snapshots and the segments that hold no record behind seq. The segment that is appended to stays,
// whatever it holds: a journal always has one.
func (j *Journal) removeCovered(seq uint64, mark, size int64) error {
	j.mu.Lock()
	j.snapSeq, j.snapMark, j.snapSize = seq, mark, size
	old := j.snapshots
	j.snapshots = []uint64{seq}
	covered := 0
	for covered+1 < len(j.segments) && j.segments[covered+1] <= seq+1 {
		covered++
	}
	segments := j.segments[:covered]
	j.segments = j.segments[covered:]
	j.mu.Unlock()
	var errs []error
	for _, s := range old {
		if s != seq {
			errs = append(errs, j.fsys.Remove(snapshotName(s)))
		}
	}
	for _, first := range segments {
		errs = append(errs, j.fsys.Remove(segmentName(first)))
	}
	return errors.Join(errs...)
}

// publish makes the file called name durably, or not at all: unique temp, sync, rename, sync of the directory. It returns what write
// returns.
func publish(fsys FS, name string, write func(File) (int64, error)) (n int64, err error) {
	temp := tempName(name)
	f, err := fsys.Create(temp)
	if err != nil {
		return 0, noSpace(err)
	}
	open, done := true, false
	defer func() {
		if open {
			_ = f.Close()
		}
		if !done {
			_ = fsys.Remove(temp)
		}
	}()
	if n, err = write(f); err != nil {
		return 0, noSpace(err)
	}
	if err := f.Sync(); err != nil {
		return 0, syncError(temp, err)
	}
	open = false
	if err := f.Close(); err != nil {
		return 0, noSpace(err)
	}
	if err := fsys.Rename(temp, name); err != nil {
		return 0, noSpace(err)
	}
	done = true
	return n, syncError(journalDir, fsys.SyncDir(journalDir))
}

// summer writes to a file from its beginning and keeps size and checksum of what it wrote.
type summer struct {
	f    File
	size int64
	crc  uint32
}

func (s *summer) Write(p []byte) (int, error) {
	n, err := s.f.WriteAt(p, s.size)
	s.crc = crcOf(s.crc, p[:n])
	s.size += int64(n)
	return n, err
}

// writeSnapshot returns the size of the body.
func writeSnapshot(f File, head header, write func(io.Writer) error) (int64, error) {
	line := head.encode()
	out := &summer{f: f}
	buf := bufio.NewWriterSize(out, copyBuffer)
	_, _ = buf.Write(line) // a bufio.Writer keeps its first error
	if err := write(buf); err != nil {
		return 0, err
	}
	if err := buf.Flush(); err != nil {
		return 0, err
	}
	body := out.size - int64(len(line))
	_, err := out.Write(appendFooter(nil, head.seq, body, out.crc))
	return body, err
}

// checkSnapshot reads a snapshot once, to know that all of it is there.
func (c *contents) checkSnapshot(seq uint64) (_ *snapshot, err error) {
	name := snapshotName(seq)
	h := c.headers[name]
	if h.err != nil {
		return nil, &CorruptError{File: name, Reason: h.err.Error()}
	}
	f, err := c.fsys.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	total, err := f.Size()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	size := total - int64(h.n) - int64(footerSize)
	if size < 0 {
		return nil, &CorruptError{File: name, Offset: int64(h.n), Reason: "snapshot ends before its footer"}
	}
	crc, footer, err := sumUpTo(f, int64(h.n)+size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if !bytes.Equal(footer, appendFooter(nil, seq, size, crc)) {
		return nil, &CorruptError{File: name, Offset: int64(h.n), Reason: "snapshot and its footer do not agree"}
	}
	return &snapshot{head: h.head, name: name, body: int64(h.n), size: size}, nil
}

// sumUpTo returns the checksum of the first n bytes and the footer behind them.
func sumUpTo(f File, n int64) (crc uint32, footer []byte, err error) {
	buf := make([]byte, min(n, copyBuffer))
	r := io.NewSectionReader(f, 0, n)
	for {
		k, err := r.Read(buf)
		crc = crcOf(crc, buf[:k])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, nil, err
		}
	}
	footer = make([]byte, footerSize)
	k, err := f.ReadAt(footer, n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return crc, footer[:k], err
}
