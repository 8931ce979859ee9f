package tasklog

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

const (
	packHeader  = "gitdag task logs 1\n"
	packMagic   = "gdlogpk1"
	trailerSize = 8 + 8 + 4 + len(packMagic)
	blockSize   = 64 << 10
	// maxIndex is far above the index of the largest attempt: a damaged one
	// must not take all memory.
	maxIndex = 1 << 30
)

// pack is the index of a pack file.
type pack struct {
	path   string
	file   os.FileInfo // tells whether path still names the same file
	blocks []block
	logs   []packed // in the order of their times
}

// block is one deflate stream; its end is where the next one begins.
type block struct {
	off int64 // in the file
	raw int64 // in all logs, one after another
}

// packed is a log; its Name is formed when it is asked for.
type packed struct {
	Info
	off int64 // in all logs
}

func (l packed) info() Info {
	l.Name = wireName(l.FullName, l.Time, l.Agent)
	return l.Info
}

// current reports whether the file is still the one that was read.
func (p *pack) current() bool {
	info, err := os.Stat(p.path)
	return err == nil && p.same(info)
}

// same compares more than the file's number, which may have been used again.
func (p *pack) same(info os.FileInfo) bool {
	return os.SameFile(info, p.file) && info.Size() == p.file.Size() && info.ModTime().Equal(p.file.ModTime())
}

func (p *pack) infos() []Info {
	infos := make([]Info, len(p.logs))
	for i := range p.logs {
		infos[i] = p.logs[i].info()
	}
	return infos
}

func readPack(path string) (*pack, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := &pack{path: path}
	if p.file, err = f.Stat(); err != nil {
		return nil, err
	}
	index, end, err := readIndex(f, p.file.Size())
	if err == nil {
		err = p.decode(&cursor{b: index}, end)
	}
	if err != nil {
		return nil, fmt.Errorf("read log pack %s: %w", path, err)
	}
	return p, nil
}

var errDamaged = errors.New("damaged")

// readIndex returns the index and its offset, where the blocks end.
func readIndex(f io.ReaderAt, size int64) ([]byte, int64, error) {
	header := make([]byte, len(packHeader))
	trailer := make([]byte, trailerSize)
	if size < int64(len(header)+len(trailer)) {
		return nil, 0, errDamaged
	}
	if _, err := f.ReadAt(header, 0); err != nil {
		return nil, 0, err
	}
	if string(header) != packHeader {
		return nil, 0, errHeader
	}
	at := size - int64(trailerSize)
	if _, err := f.ReadAt(trailer, at); err != nil {
		return nil, 0, err
	}
	off, length := int64(binary.BigEndian.Uint64(trailer)), int64(binary.BigEndian.Uint64(trailer[8:]))
	if string(trailer[20:]) != packMagic || off < int64(len(header)) || off > at || length != at-off {
		return nil, 0, errDamaged
	}
	deflated := make([]byte, length)
	if _, err := f.ReadAt(deflated, off); err != nil {
		return nil, 0, err
	}
	if crc32.Checksum(deflated, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(trailer[16:]) {
		return nil, 0, errDamaged
	}
	index, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(deflated)), maxIndex))
	return index, off, err
}

func (p *pack) decode(c *cursor, end int64) error {
	at := block{off: int64(len(packHeader))}
	for range c.count() {
		p.blocks = append(p.blocks, at)
		deflated, raw := c.uvarint(), c.uvarint()
		if deflated > uint64(end) || raw == 0 || raw > blockSize {
			return errDamaged
		}
		at.off += int64(deflated)
		at.raw += int64(raw)
	}
	p.blocks = append(p.blocks, at)
	if at.off != end {
		return errDamaged
	}
	agents := make([]string, c.count())
	for i := range agents {
		agents[i] = c.text()
	}
	p.logs = make([]packed, c.count())
	var off int64
	for i := range p.logs {
		l := &p.logs[i]
		l.Task, l.Execution = c.uvarint(), int(c.uvarint())
		l.Time = time.Unix(0, c.varint()).UTC()
		agent := c.uvarint()
		l.Size, l.off = int64(c.uvarint()), off
		l.FullName = c.text()
		if c.bad || agent >= uint64(len(agents)) || l.Size < 0 || l.Size > at.raw-off {
			return errDamaged
		}
		l.Agent = agents[agent]
		off += l.Size
	}
	if c.bad || len(c.b) > 0 || off != at.raw {
		return errDamaged
	}
	return nil
}

// count reads how many things follow, each of which has at least one byte.
func (c *cursor) count() int {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad = true
		return 0
	}
	return int(n)
}

func (p *pack) open(name string, t time.Time, offset int64) (io.ReadCloser, error) {
	i, ok := slices.BinarySearchFunc(p.logs, t, func(l packed, t time.Time) int { return l.Time.Compare(t) })
	if !ok || p.logs[i].info().Name != name {
		return nil, fs.ErrNotExist
	}
	f, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	// A pack that was written again since is another file with the same logs
	// at other places; offsets into the old one are worthless then.
	if info, err := f.Stat(); err != nil || !p.same(info) {
		return nil, errors.Join(fmt.Errorf("log pack %s was replaced while it was opened", p.path), err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{p.read(f, p.logs[i], offset), f}, nil
}

func (p *pack) read(f io.ReaderAt, l packed, offset int64) io.Reader {
	return &packReader{pack: p, file: f, at: l.off + min(offset, l.Size), end: l.off + l.Size}
}

// packReader reads a part of all logs.
type packReader struct {
	pack    *pack
	file    io.ReaderAt
	at, end int64
	stream  io.ReadCloser // nil, or at `at`
	left    int64         // what the stream still has
}

func (r *packReader) Read(p []byte) (int, error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	if r.left == 0 {
		if err := r.next(); err != nil {
			return 0, fmt.Errorf("read log pack %s: %w", r.pack.path, err)
		}
	}
	p = p[:min(int64(len(p)), r.left, r.end-r.at)]
	n, err := r.stream.Read(p)
	r.at += int64(n)
	r.left -= int64(n)
	if err == io.EOF && n == len(p) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("read log pack %s: %w", r.pack.path, err)
	}
	return n, err
}

// next opens the block that holds the byte at r.at.
func (r *packReader) next() error {
	blocks := r.pack.blocks
	i, found := slices.BinarySearchFunc(blocks, r.at, func(b block, at int64) int {
		if b.raw > at {
			return 1
		}
		return -1 // the first block beyond
	})
	if found || i == 0 || i == len(blocks) {
		return errDamaged
	}
	b, after := blocks[i-1], blocks[i]
	r.stream = flate.NewReader(io.NewSectionReader(r.file, b.off, after.off-b.off))
	r.left = after.raw - r.at
	_, err := io.CopyN(io.Discard, r.stream, r.at-b.raw)
	return err
}
