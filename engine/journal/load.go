package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

const (
	lockName    = "lock"
	journalDir  = "journal"
	segmentExt  = ".log"
	snapshotExt = ".snap"
	tempExt     = ".tmp"
	cutExt      = ".cut" // what Truncate keeps; never read
)

func segmentName(first uint64) string {
	return fmt.Sprintf("%s/%016d%s", journalDir, first, segmentExt)
}

func snapshotName(seq uint64) string {
	return fmt.Sprintf("%s/%016d%s", journalDir, seq, snapshotExt)
}

// tempName is unique, so that what a crash left behind never blocks a later publication.
func tempName(name string) string {
	return fmt.Sprintf("%s.%016x%s", name, rand.Uint64(), tempExt)
}

// parseName returns the sequence number in the name of a segment or a snapshot.
func parseName(name, ext string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ext)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0
}

// snapshot is a published snapshot that was found valid.
type snapshot struct {
	head header
	name string
	body int64 // offset
	size int64 // of the body
}

// contents is what the journal directory holds, as recovery understands it.
type contents struct {
	fsys FS

	temps     []string // full names
	snapSeqs  []uint64 // of every snapshot, newest first
	segSeqs   []uint64 // of every segment, oldest first
	headers   map[string]headerResult
	snap      *snapshot       // newest valid one
	badSnaps  []*CorruptError // newer than snap
	firstLive int             // index in segSeqs of the first segment that recovery needs
	segs      []segment       // scanned: segSeqs[firstLive:], up to the first damage
	last      uint64          // sequence number of the last record that counts
	// unmendable is true for damage that no cut mends, because what the first record after it builds on is missing.
	unmendable bool
}

type headerResult struct {
	head header
	n    int
	err  error
}

// load reads the whole journal and decides what counts; it changes nothing. The contents are as complete as possible beside a
// *CorruptError, which names the first damage.
func load(fsys FS, schema int) (*contents, error) {
	c := &contents{fsys: fsys, headers: map[string]headerResult{}}
	if err := c.list(); err != nil {
		return c, err
	}
	if err := c.readHeaders(schema); err != nil {
		return c, err
	}
	if err := c.chooseSnapshot(); err != nil {
		return c, err
	}
	if err := c.chooseSegments(); err != nil {
		return c, err
	}
	return c, c.scan()
}

func (c *contents) list() error {
	names, err := c.fsys.List(journalDir)
	if err != nil {
		return fmt.Errorf("list the journal: %w", err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, tempExt) {
			c.temps = append(c.temps, journalDir+"/"+name)
		} else if seq, ok := parseName(name, segmentExt); ok {
			c.segSeqs = append(c.segSeqs, seq)
		} else if seq, ok := parseName(name, snapshotExt); ok {
			c.snapSeqs = append(c.snapSeqs, seq)
		}
	}
	slices.Sort(c.segSeqs)
	slices.SortFunc(c.snapSeqs, func(a, b uint64) int { return cmp.Compare(b, a) })
	return nil
}

// readHeaders comes before anything else, so that a newer version is refused by name and not as damage.
func (c *contents) readHeaders(schema int) error {
	for _, seq := range c.snapSeqs {
		if err := c.readHeader(snapshotName(seq), snapshotMagic, seq, schema); err != nil {
			return err
		}
	}
	for _, seq := range c.segSeqs {
		if err := c.readHeader(segmentName(seq), segmentMagic, seq, schema); err != nil {
			return err
		}
	}
	return nil
}

// readHeader notes a damaged header, which matters only if the file is needed, and returns any other error.
func (c *contents) readHeader(name, magic string, seq uint64, schema int) error {
	data, err := readPrefix(c.fsys, name, maxHeader)
	if err != nil {
		return fmt.Errorf("read the header of %s: %w", name, err)
	}
	head, n, err := parseHeader(data, magic)
	if version := (*VersionError)(nil); errors.As(err, &version) {
		version.File = name
		return version
	}
	if err == nil && head.schema > schema {
		return &VersionError{File: name, What: "record schema", Version: head.schema, Supported: schema, Writer: head.writer}
	}
	if err == nil && head.seq != seq {
		err = fmt.Errorf("header says %d", head.seq)
	}
	c.headers[name] = headerResult{head, n, err}
	return nil
}

func readPrefix(fsys FS, name string, size int) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, size)
	n, err := f.ReadAt(buf, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return buf[:n], err
}

func (c *contents) chooseSnapshot() error {
	for _, seq := range c.snapSeqs {
		snap, err := c.checkSnapshot(seq)
		if damage := (*CorruptError)(nil); errors.As(err, &damage) {
			c.badSnaps = append(c.badSnaps, damage)
			continue
		}
		c.snap = snap
		return err
	}
	return nil
}

// base is the last sequence number that the snapshot covers.
func (c *contents) base() uint64 {
	if c.snap == nil {
		return 0
	}
	return c.snap.head.seq
}

// chooseSegments finds the newest segment that can hold the record behind the snapshot; older ones are covered by it.
func (c *contents) chooseSegments() error {
	base := c.base()
	c.last = base
	c.firstLive = -1
	for i, seq := range c.segSeqs {
		if seq <= base+1 {
			c.firstLive = i
		}
	}
	if c.firstLive >= 0 {
		return nil
	}
	c.firstLive = 0
	if len(c.badSnaps) > 0 {
		c.unmendable = true
		return c.badSnaps[0]
	}
	if len(c.segSeqs) > 0 {
		c.unmendable = true
		return &CorruptError{
			File:   segmentName(c.segSeqs[0]),
			Reason: fmt.Sprintf("records %d to %d, before it, are missing", base+1, c.segSeqs[0]-1),
		}
	}
	if c.snap != nil {
		return &CorruptError{File: segmentName(base + 1), Reason: fmt.Sprintf("no segment follows the snapshot of record %d", base)}
	}
	return nil // a new journal
}

func (c *contents) scan() error {
	var buf []byte
	for i, seq := range c.segSeqs[c.firstLive:] {
		name := segmentName(seq)
		if i > 0 && seq != c.last+1 {
			return &CorruptError{File: name, Reason: fmt.Sprintf("the segment before it ends at record %d", c.last)}
		}
		if h := c.headers[name]; h.err != nil {
			return &CorruptError{File: name, Reason: h.err.Error()}
		}
		data, err := readFile(c.fsys, name, buf)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		buf = data
		h := c.headers[name]
		s := scanSegment(name, data, h.head, h.n)
		c.segs = append(c.segs, s)
		c.last = max(c.last, s.last)
		isFinal := seq == c.segSeqs[len(c.segSeqs)-1]
		if s.corrupt {
			return s.damage(s.problem)
		}
		if s.problem != "" && !isFinal {
			return s.damage(s.problem + ", and another segment follows")
		}
	}
	return c.checkEnd()
}

// checkEnd finds out that segments behind the snapshot were removed. The log may end in front of the snapshot only because its last batch
// was torn off after the snapshot had covered it.
func (c *contents) checkEnd() error {
	if len(c.segs) == 0 {
		return nil
	}
	s := &c.segs[len(c.segs)-1]
	if s.last >= c.base() || s.problem != "" {
		return nil
	}
	return &CorruptError{
		File:   segmentName(c.base() + 1),
		Reason: fmt.Sprintf("the log ends at record %d, in front of the snapshot of record %d", s.last, c.base()),
	}
}

// isNew reports whether there is no journal yet.
func (c *contents) isNew() bool { return len(c.segSeqs) == 0 && len(c.snapSeqs) == 0 }

// torn describes the torn tail of a journal that is not damaged, nil if there is none.
func (c *contents) torn() *Torn {
	if len(c.segs) == 0 {
		return nil
	}
	s := &c.segs[len(c.segs)-1]
	if s.problem == "" {
		return nil
	}
	return &Torn{File: s.name, Offset: int64(s.end), Bytes: int64(s.size - s.end), Reason: s.problem}
}

// logBytes is the size of the batches behind the snapshot, to the precision of a segment.
func (c *contents) logBytes() int64 {
	var n int64
	for _, s := range c.segs {
		if s.last > c.base() {
			n += int64(s.end)
		}
	}
	return n
}
