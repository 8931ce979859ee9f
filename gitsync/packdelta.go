package gitsync

import (
	"bufio"
	"bytes"
	"container/list"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
)

// content is an inflated object: in memory if it is small, else in a file
// without a name.
type content struct {
	mem  []byte
	file *os.File
	size int64
	name plumbing.Hash
}

func (c *content) at() io.ReaderAt {
	if c.file != nil {
		return c.file
	}
	return bytes.NewReader(c.mem)
}

func (c *content) bytes() ([]byte, error) {
	if c.file == nil {
		return c.mem, nil
	}
	b := make([]byte, c.size)
	_, err := io.ReadFull(io.NewSectionReader(c.file, 0, c.size), b)
	return b, err
}

func (c *content) close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

// contentWriter receives a content of a known size and hashes it.
type contentWriter struct {
	c    content
	hash plumbing.Hasher
	buf  *bufio.Writer // in front of the file
}

func (p *pack) newContent(t plumbing.ObjectType, size int64) (*contentWriter, error) {
	w := &contentWriter{c: content{size: size}, hash: plumbing.NewHasher(t, size)}
	if size <= p.limits.spill {
		w.c.mem = make([]byte, 0, size)
		return w, nil
	}
	f, err := os.CreateTemp(p.dir, "object-")
	if err != nil {
		return nil, err
	}
	w.c.file, w.buf = f, bufio.NewWriterSize(f, 64<<10)
	return w, os.Remove(f.Name())
}

func (w *contentWriter) Write(b []byte) (int, error) {
	_, _ = w.hash.Write(b) // a hash does not fail
	if w.buf != nil {
		return w.buf.Write(b)
	}
	if int64(len(w.c.mem)+len(b)) > w.c.size {
		return 0, errors.New("it is larger than it declares")
	}
	w.c.mem = append(w.c.mem, b...)
	return len(b), nil
}

func (w *contentWriter) finish(n int64) (*content, error) {
	if n != w.c.size {
		return nil, errors.Join(fmt.Errorf("it declares %d bytes and holds %d", w.c.size, n), w.c.close())
	}
	if w.buf != nil {
		if err := w.buf.Flush(); err != nil {
			return nil, errors.Join(err, w.c.close())
		}
	}
	w.c.name = w.hash.Sum()
	return &w.c, nil
}

// inflate reads a whole object.
func (p *pack) inflate(i int) (*content, error) {
	e := p.entries[i]
	w, err := p.newContent(e.typ, e.size)
	if err != nil {
		return nil, err
	}
	if _, err := p.scan.SeekObjectHeader(e.offset); err != nil {
		return nil, errors.Join(err, w.c.close())
	}
	n, _, err := p.scan.NextObject(w)
	if err != nil {
		return nil, errors.Join(err, w.c.close())
	}
	return w.finish(n)
}

// applyDelta makes an object of its base. Nothing but the result is held, and
// that only in memory if it is small.
func (p *pack) applyDelta(i int, base *content) (*content, error) {
	e := p.entries[i]
	if _, err := p.scan.SeekObjectHeader(e.offset); err != nil {
		return nil, err
	}
	r, err := p.scan.ReadObject()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	w, err := p.newContent(e.typ, e.size)
	if err != nil {
		return nil, err
	}
	n, err := patch(w, base, bufio.NewReader(r), e.size)
	if err != nil {
		return nil, errors.Join(err, w.c.close())
	}
	return w.finish(n)
}

const maxVarint = 10

var errDelta = errors.New("its delta is malformed")

// deltaSizes reads the size of the base and of the result.
func deltaSizes(head []byte) (src, dst int64, err error) {
	r := bytes.NewReader(head)
	if src, err = deltaVarint(r); err != nil {
		return 0, 0, err
	}
	dst, err = deltaVarint(r)
	return src, dst, err
}

func deltaVarint(r io.ByteReader) (int64, error) {
	var v int64
	for shift := uint(0); shift < 63; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, errDelta
		}
		v |= int64(b&0x7f) << shift
		if b&0x80 == 0 {
			return v, nil
		}
	}
	return 0, errDelta
}

// patch runs a delta's instructions and says how much came out, which is never
// more than limit.
func patch(w io.Writer, base *content, delta *bufio.Reader, limit int64) (int64, error) {
	src, err := deltaVarint(delta)
	if err != nil {
		return 0, err
	}
	dst, err := deltaVarint(delta)
	if err != nil {
		return 0, err
	}
	if src != base.size || dst != limit {
		return 0, errDelta
	}
	from := base.at()
	var n int64
	for {
		op, err := delta.ReadByte()
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		var chunk io.Reader
		var size int64
		switch {
		case op&0x80 != 0:
			var off int64
			if off, size, err = copyArgs(op, delta); err != nil {
				return n, err
			}
			if off+size > base.size {
				return n, errDelta
			}
			chunk = io.NewSectionReader(from, off, size)
		case op != 0:
			size = int64(op)
			chunk = delta
		default:
			return n, errDelta
		}
		if size > limit-n {
			return n, errDelta
		}
		if _, err := io.CopyN(w, chunk, size); err != nil {
			return n, err
		}
		n += size
	}
}

// copyArgs reads the offset and the size of a copy: the bits of op say which of
// their bytes are there.
func copyArgs(op byte, delta io.ByteReader) (off, size int64, err error) {
	for i := range 7 {
		if op&(1<<i) == 0 {
			continue
		}
		b, err := delta.ReadByte()
		if err != nil {
			return 0, 0, errDelta
		}
		if i < 4 {
			off |= int64(b) << (8 * i)
		} else {
			size |= int64(b) << (8 * (i - 4))
		}
	}
	if size == 0 {
		size = 0x10000
	}
	return off, size, nil
}

// recentContents keeps the small contents that were read last: trees and their
// bases are asked for again and again.
type recentContents struct {
	limit int64
	bytes int64
	order list.List // of recentContent, newest in front
	byIdx map[int]*list.Element
}

type recentContent struct {
	i int
	c *content
}

func (r *recentContents) get(i int) *content {
	el, ok := r.byIdx[i]
	if !ok {
		return nil
	}
	r.order.MoveToFront(el)
	return el.Value.(recentContent).c
}

func (r *recentContents) put(i int, c *content) {
	if c.file != nil || r.byIdx[i] != nil {
		return
	}
	if r.byIdx == nil {
		r.byIdx = map[int]*list.Element{}
	}
	r.byIdx[i] = r.order.PushFront(recentContent{i, c})
	for r.bytes += c.size; r.bytes > r.limit; {
		last := r.order.Back()
		old := r.order.Remove(last).(recentContent)
		delete(r.byIdx, old.i)
		r.bytes -= old.c.size
	}
}
