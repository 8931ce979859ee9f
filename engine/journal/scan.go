package journal

import (
	"bytes"
	"fmt"
)

// batch is one whole batch of a segment.
type batch struct {
	start, records, end int // offsets: of the first record, behind the last one, behind the commit line
	last                uint64
}

// readBatch takes the batch that begins at start, whose first record has the sequence number next. If it is not whole, problem says why.
func readBatch(data []byte, start int, next uint64, seed uint32) (b batch, problem string) {
	last := next - 1
	for at := start; ; last++ {
		n := bytes.IndexByte(data[at:], '\n')
		if n < 0 {
			return b, "it ends before a commit line"
		}
		if n == 0 {
			return b, "a line is empty"
		}
		if data[at] == '#' {
			return closeBatch(data, batch{start: start, records: at, end: at + n + 1, last: last}, next, seed)
		}
		if at += n + 1; at-start > MaxBatch {
			return b, "no commit line within the size of a batch"
		}
	}
}

func closeBatch(data []byte, b batch, next uint64, seed uint32) (batch, string) {
	last, size, prefix, sum, ok := parseCommit(data[b.records : b.end-1])
	switch {
	case !ok:
		return b, "a commit line is malformed"
	case size != b.records-b.start:
		return b, fmt.Sprintf("the commit line counts %d bytes, there are %d", size, b.records-b.start)
	case last != b.last || last < next:
		return b, fmt.Sprintf("the commit line ends at record %d, there are records %d to %d", last, next, b.last)
	case !sumEqual(crcOf(seed, data[b.start:b.records+prefix]), sum):
		return b, "the checksum is wrong"
	}
	return b, ""
}

// laterBatch reports whether a whole batch lies anywhere behind start: then what begins at start was not torn by a crash.
func laterBatch(data []byte, start int, seed uint32) bool {
	mark := []byte("\n" + commitPrefix)
	for at := start; ; {
		n := bytes.Index(data[at:], mark)
		if n < 0 {
			return false
		}
		at += n + 1
		end := bytes.IndexByte(data[at:], '\n')
		if end < 0 {
			return false
		}
		_, size, prefix, sum, ok := parseCommit(data[at : at+end])
		if ok && size <= at-start && sumEqual(crcOf(seed, data[at-size:at+prefix]), sum) {
			return true
		}
	}
}

// segment is what a scan finds in the file of one segment.
type segment struct {
	head    header
	name    string
	last    uint64 // sequence number of the last record that counts; head.seq-1 if there is none
	batches int
	final   batch // the last whole one
	start   int   // offset behind the header
	end     int   // of the last whole batch, or of the header
	size    int
	problem string // why what lies behind end does not count
	corrupt bool   // no crash explains what lies behind end
}

// scanSegment takes the whole batches of a segment.
func scanSegment(name string, data []byte, head header, offset int) segment {
	s := segment{head: head, name: name, last: head.seq - 1, start: offset, end: offset, size: len(data)}
	for s.end < len(data) {
		b, problem := readBatch(data, s.end, s.last+1, head.crc)
		if problem != "" {
			s.problem = problem
			break
		}
		s.final, s.last, s.end = b, b.last, b.end
		s.batches++
	}
	if s.problem == "" {
		return s
	}
	switch {
	case laterBatch(data, s.end, head.crc):
		s.corrupt = true
		s.problem += ", and a whole batch follows"
	case len(data)-s.end > maxFrame:
		s.corrupt = true
		s.problem += ", and what follows is longer than a batch"
	}
	return s
}

func (s *segment) records() uint64 { return s.last - (s.head.seq - 1) }

// damage describes what lies behind the last whole batch as damage.
func (s *segment) damage(reason string) *CorruptError {
	return &CorruptError{File: s.name, Offset: int64(s.end), Reason: fmt.Sprintf("after record %d: %s", s.last, reason)}
}
