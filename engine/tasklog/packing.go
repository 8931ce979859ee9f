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

	"gitdag/internal/atomicfile"
)

// Pack ends the logs of an attempt and puts them into one file. It may be
// called again, after a crash for instance; an attempt that never logged has no
// pack. Readers are served all the while.
func (s *Store) Pack(attempt uint64) error {
	l := s.find(attempt)
	if l == nil {
		return nil
	}
	l.packOne.Lock()
	defer l.packOne.Unlock()
	files := fileSet{}
	defer files.Close()
	sources, err := l.seal(files)
	if errors.Is(err, errPacked) {
		return nil // by another call, meanwhile
	}
	if err == nil {
		err = s.writePack(attempt, sources)
	}
	if err == nil {
		err = l.drop()
	}
	if err != nil {
		return fmt.Errorf("pack logs of attempt %d: %w", attempt, err)
	}
	s.leave(l)
	return nil
}

// source is a log and how it is opened.
type source struct {
	Info
	open func() (io.Reader, error)
}

// seal ends all writing and returns the logs, to be read from files. From now
// on they do not change, so they can be read without the lock.
func (l *live) seal(files fileSet) ([]source, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.load(); err != nil {
		return nil, err
	}
	if err := l.flush(); err != nil {
		return nil, err
	}
	if err := l.stop(errPacked); err != nil {
		return nil, err
	}
	var sources []source
	for i := range l.logs {
		e := &l.logs[i]
		if info := l.info(e); info.Size > 0 {
			sources = append(sources, source{info, func() (io.Reader, error) { return l.read(e, files.open) }})
		}
	}
	return sources, nil
}

// drop removes the live logs.
func (l *live) drop() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.packed = true
	l.logs, l.lanes = nil, nil
	return os.RemoveAll(l.dir)
}

// writePack publishes the logs, and those of an earlier pack that they lack.
func (s *Store) writePack(attempt uint64, sources []source) error {
	path := s.path(attempt, ".pack")
	old, err := readPack(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if old != nil {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		sources = merge(old, file, sources)
	}
	if len(sources) == 0 {
		return nil
	}
	f, err := atomicfile.Options{NoSync: true}.Create(path, 0o600)
	if err != nil {
		return err
	}
	defer f.Close() // without Commit nothing is published
	w, _ := s.packers.Get().(*packer)
	if w == nil {
		w = newPacker()
	}
	defer s.packers.Put(w)
	if err := w.write(f, sources); err != nil {
		return err
	}
	return f.Commit()
}

// merge adds the logs of a pack that are not among the sources, which happens
// only if something logged after the attempt's end, or a crash left both.
func merge(old *pack, file *os.File, sources []source) []source {
	has := make(map[string]bool, len(sources))
	for _, s := range sources {
		has[s.Name] = true
	}
	for _, l := range old.logs {
		if info := l.info(); !has[info.Name] {
			sources = append(sources, source{info, func() (io.Reader, error) { return old.read(file, l, 0), nil }})
		}
	}
	slices.SortFunc(sources, func(a, b source) int { return a.Time.Compare(b.Time) })
	return sources
}

// packer writes packs, one at a time; its buffers outlive a pack.
type packer struct {
	deflate *flate.Writer
	block   []byte // not deflated yet
	out     bytes.Buffer
	index   []byte
	blocks  int
	off     int64
	w       io.Writer
}

func newPacker() *packer {
	// Logs are many and read seldom, but the agent has better to do than to
	// search for the last percent.
	deflate, err := flate.NewWriter(io.Discard, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &packer{deflate: deflate, block: make([]byte, 0, blockSize)}
}

func (p *packer) write(w io.Writer, sources []source) error {
	p.w, p.off, p.blocks = w, int64(len(packHeader)), 0
	p.block, p.index = p.block[:0], p.index[:0]
	if _, err := io.WriteString(w, packHeader); err != nil {
		return err
	}
	for i := range sources {
		if err := p.add(&sources[i]); err != nil {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.finish(sources)
}

// add appends a log and sets its size to what it really has.
func (p *packer) add(s *source) error {
	r, err := s.open()
	if err != nil {
		return err
	}
	s.Size = 0
	for {
		room := p.block[len(p.block):cap(p.block)]
		n, err := r.Read(room)
		p.block = p.block[:len(p.block)+n]
		s.Size += int64(n)
		if len(p.block) == cap(p.block) {
			if err := p.flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// flush writes the block.
func (p *packer) flush() error {
	if len(p.block) == 0 {
		return nil
	}
	n, err := p.stream(p.block)
	if err != nil {
		return err
	}
	p.index = binary.AppendUvarint(p.index, uint64(n))
	p.index = binary.AppendUvarint(p.index, uint64(len(p.block)))
	p.off += int64(n)
	p.blocks++
	p.block = p.block[:0]
	return nil
}

// stream writes a deflate stream and returns its length; p.out holds it.
func (p *packer) stream(b []byte) (int, error) {
	p.out.Reset()
	p.deflate.Reset(&p.out)
	if _, err := p.deflate.Write(b); err != nil {
		return 0, err
	}
	if err := p.deflate.Close(); err != nil {
		return 0, err
	}
	return p.w.Write(p.out.Bytes())
}

// finish writes the index and the trailer.
func (p *packer) finish(sources []source) error {
	index := binary.AppendUvarint(nil, uint64(p.blocks))
	index = append(index, p.index...)
	numbers := map[string]uint64{}
	var agents []string
	for _, s := range sources {
		if _, ok := numbers[s.Agent]; !ok {
			numbers[s.Agent] = uint64(len(agents))
			agents = append(agents, s.Agent)
		}
	}
	index = binary.AppendUvarint(index, uint64(len(agents)))
	for _, agent := range agents {
		index = appendText(index, agent)
	}
	index = binary.AppendUvarint(index, uint64(len(sources)))
	for _, s := range sources {
		index = binary.AppendUvarint(index, s.Task)
		index = binary.AppendUvarint(index, uint64(s.Execution))
		index = binary.AppendVarint(index, s.Time.UnixNano())
		index = binary.AppendUvarint(index, numbers[s.Agent])
		index = binary.AppendUvarint(index, uint64(s.Size))
		index = appendText(index, s.FullName)
	}
	n, err := p.stream(index)
	if err != nil {
		return err
	}
	trailer := binary.BigEndian.AppendUint64(nil, uint64(p.off))
	trailer = binary.BigEndian.AppendUint64(trailer, uint64(n))
	trailer = binary.BigEndian.AppendUint32(trailer, crc32.Checksum(p.out.Bytes(), crc32.MakeTable(crc32.Castagnoli)))
	_, err = p.w.Write(append(trailer, packMagic...))
	return err
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
