package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// Options of a journal. The zero value is usable.
type Options struct {
	// Writer is the version of this program. Files name it, and so do the errors of a reader that does not know what is in them. It has
	// no blanks and at most 64 bytes. Default "unknown".
	Writer string
	// Schema is the version of the records: the one that is written and the newest that is read. Default 1.
	Schema int
	// SegmentBytes is the size from which on a segment is not appended to. Default 4 MiB.
	SegmentBytes int64
	// SnapshotBytes is the least size of the log since the last snapshot that makes one due. Default 16 MiB.
	SnapshotBytes int64
}

func (o Options) withDefaults() Options {
	if o.Writer == "" {
		o.Writer = "unknown"
	}
	if o.Schema == 0 {
		o.Schema = 1
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = 4 << 20
	}
	if o.SnapshotBytes == 0 {
		o.SnapshotBytes = 16 << 20
	}
	return o
}

func (o Options) validate() error {
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if len(o.Writer) > maxWriter || strings.ContainsFunc(o.Writer, unprintable) {
		return fmt.Errorf("version of the writer %q: want at most %d printable characters without blanks", o.Writer, maxWriter)
	}
	if o.Schema < 1 || o.SegmentBytes < 0 || o.SnapshotBytes < 0 {
		return fmt.Errorf("options of the journal must not be negative: %+v", o)
	}
	return nil
}

// Journal is the open journal of a data directory. Append belongs to one goroutine, Snapshot to one other; the rest may be called from any.
type Journal struct {
	fsys    FS
	options Options
	lock    io.Closer

	snapshotting sync.Mutex // held by Snapshot and Close

	mu        sync.Mutex
	err       error // why nothing more can be done; set once
	last      uint64
	segments  []uint64 // first sequence numbers, oldest first; the last one is appended to
	snapshots []uint64 // published, the damaged ones too
	snapSeq   uint64   // of the snapshot in force, 0 if there is none
	snapSize  int64
	snapMark  int64 // logged at the time of that snapshot
	logged    int64 // bytes appended, those of the log found at Open included

	file  File // of the last segment
	name  string
	head  header
	end   int64  // of the last whole batch: where the next one goes
	stale bool   // the next batch goes into a new segment, whatever the size of this one
	buf   []byte // the batch being written
}

// Open recovers the journal of a data directory, making it if there is none, and locks it until Close, or until nothing refers to the
// Journal any more: its user keeps it for as long as the lock is to protect anything in the directory. When it returns, all that it found
// is durable, a torn tail is cut off, and what crashes left behind is removed. Damage is a *CorruptError, a newer version a
// *VersionError, a running agent a *LockedError; none of them changes a file.
func Open(fsys FS, options Options) (_ *Journal, _ *Recovery, err error) {
	options = options.withDefaults()
	if err := options.validate(); err != nil {
		return nil, nil, err
	}
	lock, err := lockData(fsys)
	if err != nil {
		return nil, nil, err
	}
	j := &Journal{fsys: fsys, options: options, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.Close())
		}
	}()
	c, err := load(fsys, options.Schema)
	if err != nil {
		return nil, nil, err
	}
	if err := j.adopt(c); err != nil {
		return nil, nil, fmt.Errorf("recover the journal: %w", err)
	}
	return j, newRecovery(c), nil
}

// lockData makes the folders of the journal durable, because nothing in them is durable before, and takes the lock.
func lockData(fsys FS) (io.Closer, error) {
	for _, dir := range []string{".", journalDir} {
		if err := fsys.Mkdir(dir); err != nil {
			return nil, fmt.Errorf("make the journal's directory: %w", noSpace(err))
		}
	}
	if err := fsys.SyncDir("."); err != nil {
		return nil, syncError("data directory", err)
	}
	lock, err := fsys.Lock(lockName)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", noSpace(err))
	}
	return lock, nil
}

// adopt makes what was loaded durable, removes what it does not need, and gets ready to append.
func (j *Journal) adopt(c *contents) error {
	// The last process may have ended between a rename and its sync: what the renamed file covers is removed only after this.
	if err := j.fsys.SyncDir(journalDir); err != nil {
		return syncError(journalDir, err)
	}
	if err := j.removeLeftovers(c); err != nil {
		return err
	}
	j.last, j.snapSeq, j.logged = c.last, c.base(), c.logBytes()
	if c.snap != nil {
		j.snapSize = c.snap.size
	}
	for _, seq := range c.snapSeqs {
		if seq >= j.snapSeq {
			j.snapshots = append(j.snapshots, seq)
		}
	}
	if c.isNew() {
		return j.newSegment()
	}
	j.segments = append(j.segments, c.segSeqs[c.firstLive:]...)
	return j.openTail(c)
}

func (j *Journal) removeLeftovers(c *contents) error {
	names := c.temps
	for _, seq := range c.segSeqs[:c.firstLive] {
		names = append(names, segmentName(seq))
	}
	for _, seq := range c.snapSeqs {
		if seq < c.base() {
			names = append(names, snapshotName(seq))
		}
	}
	for _, name := range names {
		if err := j.fsys.Remove(name); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// openTail cuts off a torn tail and writes the last batch once more, in place: the process that wrote it may have ended before its sync,
// or because of it, and after a failed sync the kernel shows bytes that it has not written and will not write.
func (j *Journal) openTail(c *contents) error {
	s := &c.segs[len(c.segs)-1]
	if s.last < j.last {
		// The snapshot covers all of this segment, the torn tail too. Only a segment behind it says that nothing is missing there.
		return j.newSegment()
	}
	f, err := j.fsys.Edit(s.name)
	if err != nil {
		return err
	}
	j.file, j.name, j.head, j.end = f, s.name, s.head, int64(s.end)
	if s.size > s.end {
		if err := f.Truncate(j.end); err != nil {
			return fmt.Errorf("cut off the torn tail of %s: %w", s.name, err)
		}
	}
	if s.batches > 0 {
		last := make([]byte, s.final.end-s.final.start)
		if _, err := f.ReadAt(last, int64(s.final.start)); err != nil {
			return fmt.Errorf("read %s: %w", s.name, err)
		}
		if _, err := f.WriteAt(last, int64(s.final.start)); err != nil {
			return fmt.Errorf("write the last batch of %s again: %w", s.name, noSpace(err))
		}
	}
	if err := f.Sync(); err != nil {
		return syncError(s.name, err)
	}
	j.stale = s.head.writer != j.options.Writer || s.head.schema != j.options.Schema
	return nil
}

// Last returns the sequence number of the last durable record, 0 if there is none.
func (j *Journal) Last() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.last
}

// Append writes the records as one batch with one write and one sync and returns the sequence number of the last. The batch is durable,
// whole, when it returns nil; without records it does nothing. After ErrNoSpace the journal is as before, and the same batch may be
// appended again. ErrTooLarge and ErrBadRecord change nothing. Any other error is fatal: whether the batch is durable is known only to
// the next Open.
func (j *Journal) Append(records [][]byte) (last uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	if err := checkRecords(records); err != nil {
		return 0, err
	}
	if len(records) == 0 {
		return j.last, nil
	}
	if j.stale || j.end >= j.options.SegmentBytes {
		if err := j.newSegment(); err != nil {
			return 0, j.fail(fmt.Errorf("begin a segment: %w", err))
		}
	}
	last = j.last + uint64(len(records))
	if err := j.write(records, last); err != nil {
		return 0, j.fail(fmt.Errorf("append to %s: %w", j.name, err))
	}
	j.last = last
	return last, nil
}

func checkRecords(records [][]byte) error {
	size := 0
	for i, r := range records {
		if len(r) == 0 || r[0] == '#' || bytes.IndexByte(r, '\n') >= 0 {
			return fmt.Errorf("record %d of the batch: %w", i, ErrBadRecord)
		}
		size += len(r) + 1
	}
	if size > MaxBatch {
		return fmt.Errorf("%d records of %d bytes: %w", len(records), size, ErrTooLarge)
	}
	return nil
}

func (j *Journal) write(records [][]byte, last uint64) error {
	buf := j.buf[:0]
	for _, r := range records {
		buf = append(append(buf, r...), '\n')
	}
	buf = appendCommit(buf, 0, last, j.head.crc)
	j.buf = buf
	if _, err := j.file.WriteAt(buf, j.end); err != nil {
		if !isNoSpace(err) {
			return fmt.Errorf("%w: %w", ErrFatal, err)
		}
		if cut := j.file.Truncate(j.end); cut != nil {
			return fmt.Errorf("%w: cut back: %w", ErrFatal, cut)
		}
		return noSpace(err)
	}
	if err := j.file.Sync(); err != nil {
		return syncError(j.name, err)
	}
	j.end += int64(len(buf))
	j.logged += int64(len(buf))
	return nil
}

// newSegment publishes a segment with nothing but its header, whole and durable, so that a damaged header is never a crash's doing.
func (j *Journal) newSegment() error {
	head := header{
		magic: segmentMagic, format: formatVersion, writer: j.options.Writer, schema: j.options.Schema,
		seq: j.last + 1,
	}
	name := segmentName(head.seq)
	end, err := publishSegment(j.fsys, &head)
	if err != nil {
		return err
	}
	f, err := j.fsys.Edit(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFatal, err)
	}
	if j.file != nil {
		if err := j.file.Close(); err != nil {
			return errors.Join(fmt.Errorf("%w: %w", ErrFatal, err), f.Close())
		}
	}
	j.file, j.name, j.head, j.end, j.stale = f, name, head, end, false
	// A segment without records is replaced by its successor, which has the same name.
	if n := len(j.segments); n == 0 || j.segments[n-1] != head.seq {
		j.segments = append(j.segments, head.seq)
	}
	return nil
}

func publishSegment(fsys FS, head *header) (size int64, err error) {
	return publish(fsys, segmentName(head.seq), func(f File) (int64, error) {
		n, err := f.WriteAt(head.encode(), 0)
		return int64(n), err
	})
}

// fail ends the journal unless err can be tried again, and returns err.
func (j *Journal) fail(err error) error {
	if j.err == nil && errors.Is(err, ErrFatal) {
		j.err = err
	}
	return err
}

func (j *Journal) failed(err error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.fail(err)
}

// Close waits for a running Snapshot and releases the lock. Nothing is lost when it is not called. Every later call fails with ErrClosed.
func (j *Journal) Close() error {
	j.snapshotting.Lock()
	defer j.snapshotting.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	if errors.Is(j.err, ErrClosed) {
		return nil
	}
	j.err = ErrClosed
	var err error
	if j.file != nil {
		err = j.file.Close()
	}
	return errors.Join(err, j.lock.Close())
}
