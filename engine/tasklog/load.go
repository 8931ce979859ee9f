package tasklog

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// load reads what an earlier process has left, once. It needs the lock.
func (l *live) load() error {
	if l.packed {
		return errPacked
	}
	if l.loaded {
		return nil
	}
	if err := l.readFile(); err != nil {
		return fmt.Errorf("read live logs of attempt %d: %w", l.attempt, err)
	}
	// Logs that follow a pack must not have the times of those in it.
	p, err := readPack(l.store.path(l.attempt, ".pack"))
	switch {
	case err == nil && len(p.logs) > 0:
		if last := p.logs[len(p.logs)-1].Time; last.After(l.last) {
			l.last = last
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	l.loaded = true
	return nil
}

func (l *live) readFile() error {
	f, err := os.OpenFile(filepath.Join(l.dir, liveName), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	l.logs, l.lanes, l.last, l.agent, l.written = nil, nil, time.Time{}, "", 0
	r := bufio.NewReaderSize(f, 64<<10)
	header := make([]byte, len(liveHeader))
	n, err := io.ReadFull(r, header)
	switch {
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		if string(header[:n]) != liveHeader[:n] {
			return errHeader
		}
		return f.Truncate(0)
	case err != nil:
		return err
	case string(header) != liveHeader:
		return errHeader
	}
	l.written = int64(len(header))
	for {
		n, err := l.readRecord(r)
		switch {
		case err == nil:
			l.written += n
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errTorn):
			return f.Truncate(l.written)
		default:
			return err
		}
	}
}

var (
	errHeader = errors.New("not a file of this version's logs")
	errTorn   = errors.New("torn record")
)

// maxPayload is more than any record but 'd' has; a longer one is torn.
const maxPayload = 16 << 20

// readRecord takes in one record and returns its length.
func (l *live) readRecord(r *bufio.Reader) (int64, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	length, err := binary.ReadUvarint(r)
	if err != nil || length > maxPayload {
		return 0, errors.Join(errTorn, err)
	}
	head := int64(1 + len(binary.AppendUvarint(nil, length)))
	if kind == recordData {
		return head + int64(length), l.readData(r, l.written+head, int(length))
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, err
	}
	return head + int64(length), l.take(kind, &cursor{b: payload})
}

// readData notes where the bytes are, and passes over them.
func (l *live) readData(r *bufio.Reader, off int64, length int) error {
	log, err := binary.ReadUvarint(r)
	if err != nil || log >= uint64(len(l.logs)) {
		return errors.Join(errTorn, err)
	}
	skip := len(binary.AppendUvarint(nil, log))
	c := chunk{off: off + int64(skip), n: length - skip}
	if c.n <= 0 {
		return errTorn
	}
	if _, err := r.Discard(c.n); err != nil {
		return err
	}
	e := &l.logs[log]
	if e.head == 0 {
		e.first = c
	} else {
		e.more = append(e.more, c)
	}
	e.head += int64(c.n)
	return nil
}

func (l *live) take(kind byte, c *cursor) error {
	switch kind {
	case recordAgent:
		l.agent = string(c.b)
	case recordBegin:
		e := entry{agent: l.agent, task: c.uvarint(), execution: int(c.uvarint()), lane: -1}
		e.time = time.Unix(0, c.varint()).UTC()
		if c.bad || !e.time.After(l.last) {
			return errTorn
		}
		e.name = string(c.b)
		l.last = e.time
		l.logs = append(l.logs, e)
	case recordLane:
		log, n, start := c.uvarint(), c.uvarint(), c.uvarint()
		if c.bad || log >= uint64(len(l.logs)) || n > uint64(len(l.lanes)) || l.logs[log].inLane() || start > 1<<62 {
			return errTorn
		}
		l.place(int(log), int(n), int64(start))
	default:
		return errTorn
	}
	return nil
}

// cursor reads numbers and names off the front of a slice. After an error it is
// bad and yields zeros.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.b)
	return take(c, v, n)
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	return take(c, v, n)
}

func take[T uint64 | int64](c *cursor, v T, n int) T {
	if n <= 0 || c.bad {
		c.bad, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// text reads a length and as many bytes.
func (c *cursor) text() string {
	n := c.uvarint()
	if n > uint64(len(c.b)) {
		c.bad = true
		return ""
	}
	s := string(c.b[:n])
	c.b = c.b[n:]
	return s
}
