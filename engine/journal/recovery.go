package journal

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
)

// Torn is the last batch of a journal that a crash cut short: it was never acknowledged and does not count.
type Torn struct {
	File   string // relative to the data directory
	Offset int64  // of the first byte that does not count
	Bytes  int64
	Reason string
}

func (t *Torn) String() string {
	return fmt.Sprintf("%s: %d bytes from byte %d do not count: %s", t.File, t.Bytes, t.Offset, t.Reason)
}

// Recovery is what Open found: the state to start from is the snapshot, then the records behind it. It is to be read before the first
// Snapshot.
type Recovery struct {
	// SnapshotSeq is the last record that the snapshot covers, 0 if there is no snapshot.
	SnapshotSeq uint64
	// Last is the sequence number of the last durable record, 0 for a new journal.
	Last uint64
	// Torn is the tail that was cut off, nil if there was none. It is reported by this Open only.
	Torn *Torn
	// Damaged are snapshots that could not be read and were not needed.
	Damaged []*CorruptError

	fsys FS
	snap *snapshot
	segs []segment
}

func newRecovery(c *contents) *Recovery {
	return &Recovery{
		SnapshotSeq: c.base(), Last: c.last, Torn: c.torn(), Damaged: c.badSnaps,
		fsys: c.fsys, snap: c.snap, segs: c.segs,
	}
}

type snapshotReader struct {
	io.Reader
	file File
}

func (r *snapshotReader) Close() error { return r.file.Close() }

// OpenSnapshot returns what the write function of the snapshot wrote, and the version of the program that did. Its checksum was right at
// Open. Without a snapshot the error is fs.ErrNotExist.
func (r *Recovery) OpenSnapshot() (_ io.ReadCloser, writer string, err error) {
	if r.snap == nil {
		return nil, "", fmt.Errorf("open the snapshot: %w", fs.ErrNotExist)
	}
	f, err := r.fsys.Open(r.snap.name)
	if err != nil {
		return nil, "", fmt.Errorf("open the snapshot: %w", err)
	}
	return &snapshotReader{io.NewSectionReader(f, r.snap.body, r.snap.size), f}, r.snap.head.writer, nil
}

// Replay calls do with every record behind the snapshot, in order. record is valid during the call only. An error of do ends the replay
// and comes back wrapped, with the place of the record and the version of the program that wrote it.
func (r *Recovery) Replay(do func(seq uint64, record []byte) error) error {
	var buf []byte
	for i := range r.segs {
		s := &r.segs[i]
		data, err := readFile(r.fsys, s.name, buf)
		if err != nil {
			return fmt.Errorf("replay %s: %w", s.name, err)
		}
		buf = data
		if len(data) < s.end {
			return fmt.Errorf("replay %s: %w", s.name, io.ErrUnexpectedEOF)
		}
		offset, seq, err := s.each(data, r.SnapshotSeq, do)
		if err != nil {
			return fmt.Errorf("replay %s: record %d at byte %d, written by gitdag %s: %w", s.name, seq, offset, s.head.writer, err)
		}
	}
	return nil
}

// each calls do with the records of a scanned segment that follow record after. On an error it returns the record's place.
func (s *segment) each(data []byte, after uint64, do func(seq uint64, record []byte) error) (offset int, seq uint64, err error) {
	seq = s.head.seq
	offset = s.start
	for offset < s.end {
		n := bytes.IndexByte(data[offset:s.end], '\n')
		record := data[offset : offset+n]
		if record[0] != '#' {
			if seq > after {
				if err := do(seq, record); err != nil {
					return offset, seq, err
				}
			}
			seq++
		}
		offset += n + 1
	}
	return offset, seq, nil
}
