package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
)

// TruncateOptions are those of Truncate.
type TruncateOptions struct {
	Options
	// DryRun only tells what would be cut.
	DryRun bool
}

// Cut is what Truncate drops from a journal.
type Cut struct {
	Damage *CorruptError
	Last   uint64   // the last record that is kept
	Bytes  int64    // dropped
	Saved  []string // files that hold what is dropped, relative to the data directory
}

func (c *Cut) String() string {
	return fmt.Sprintf("%s\nrecords up to %d are kept, %d bytes are dropped and saved in %v", c.Damage, c.Last, c.Bytes, c.Saved)
}

// Truncate mends a damaged journal: it cuts at the first damage, so that every record in front of it stays and none behind it does, and
// keeps what it drops in files beside the journal that nothing reads. It takes the lock. The answer for a journal without damage is
// ErrSound; damage that leaves nothing to build on, like that of the only snapshot, is returned as the *CorruptError that it is.
func Truncate(fsys FS, options TruncateOptions) (_ *Cut, err error) {
	o := options.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	names, err := fsys.List(journalDir)
	if err != nil {
		return nil, fmt.Errorf("list the journal: %w", err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("truncate the journal: %w", fs.ErrNotExist)
	}
	lock, err := lockData(fsys)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	c, err := load(fsys, o.Schema)
	if err == nil {
		return nil, ErrSound
	}
	damage := (*CorruptError)(nil)
	if !errors.As(err, &damage) || c.unmendable {
		return nil, err
	}
	cut, err := planCut(c, damage)
	if err != nil || options.DryRun {
		return cut, err
	}
	if err := c.cut(cut, o); err != nil {
		return nil, fmt.Errorf("truncate the journal: %w", err)
	}
	return cut, nil
}

// planCut finds what a cut drops: the damaged segment from the damage on, and the segments behind it.
func planCut(c *contents, damage *CorruptError) (*Cut, error) {
	names, err := c.fsys.List(journalDir)
	if err != nil {
		return nil, fmt.Errorf("list the journal: %w", err)
	}
	cut := &Cut{Damage: damage, Last: c.last}
	for _, seq := range c.dropped(damage) {
		name := segmentName(seq)
		data, err := readFile(c.fsys, name, nil)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		offset := int64(0)
		if name == damage.File {
			offset = damage.Offset
		}
		cut.Bytes += int64(len(data)) - offset
		cut.Saved = append(cut.Saved, cutName(name, offset, names))
	}
	return cut, nil
}

// cutName is a new name: numbers come again after a cut, so an earlier one may have saved a segment of the same name.
func cutName(name string, offset int64, taken []string) string {
	for n := 1; ; n++ {
		saved := fmt.Sprintf("%s.%d.%d%s", name, offset, n, cutExt)
		if !slices.Contains(taken, path.Base(saved)) {
			return saved
		}
	}
}

// dropped returns the first sequence numbers of the damaged segment, if it exists, and of those behind it.
func (c *contents) dropped(damage *CorruptError) []uint64 {
	for i, seq := range c.segSeqs {
		if segmentName(seq) == damage.File {
			return c.segSeqs[i:]
		}
	}
	return nil
}

// cut goes from the end to the damage, so that after a crash the damage is still there, or a gap is, and the cut can be made again.
func (c *contents) cut(cut *Cut, o Options) error {
	dropped := c.dropped(cut.Damage)
	for i := len(dropped) - 1; i >= 0; i-- {
		name := segmentName(dropped[i])
		if err := c.setAside(name, cut.Saved[i], cut.Damage); err != nil {
			return err
		}
	}
	if err := c.fsys.SyncDir(journalDir); err != nil {
		return syncError(journalDir, err)
	}
	if n := len(c.segs); n > 0 && c.segs[n-1].last == c.last {
		return nil
	}
	head := header{magic: segmentMagic, format: formatVersion, writer: o.Writer, schema: o.Schema, seq: c.last + 1}
	_, err := publishSegment(c.fsys, &head)
	return err
}

// setAside moves a segment away, or what lies behind the damage in it.
func (c *contents) setAside(name, saved string, damage *CorruptError) (err error) {
	if name != damage.File || damage.Offset == 0 {
		return c.fsys.Rename(name, saved)
	}
	data, err := readFile(c.fsys, name, nil)
	if err != nil {
		return err
	}
	_, err = publish(c.fsys, saved, func(f File) (int64, error) {
		n, err := f.WriteAt(data[damage.Offset:], 0)
		return int64(n), err
	})
	if err != nil {
		return err
	}
	f, err := c.fsys.Edit(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(damage.Offset); err != nil {
		return err
	}
	return syncError(name, f.Sync())
}
