package journal

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	// formatVersion is that of segments and snapshots. It rises only at a new segment or snapshot.
	formatVersion = 1

	// MaxBatch is the number of bytes that the records of one batch may have, each counted with its line end. With its commit line a
	// batch has no more than 512 KiB.
	MaxBatch = maxFrame - commitRoom

	maxFrame   = 512 << 10
	commitRoom = 64 // more than "#commit ", two numbers of 20 digits, a checksum, two spaces and a line end
	maxHeader  = 256
	maxWriter  = 64

	segmentMagic  = "#gitdag-journal"
	snapshotMagic = "#gitdag-snapshot"
	commitPrefix  = "#commit "
	footerFormat  = "\n#end %016d %020d "
	footerSize    = len("\n#end ") + 16 + 1 + 20 + 1 + 8 + 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crcOf(seed uint32, b []byte) uint32 { return crc32.Update(seed, castagnoli, b) }

// header is the first line of a segment or a snapshot. Its first three fields and its checksum, which is the last, have the same place
// in every format version, so that a file of a newer one can be refused by name.
type header struct {
	magic  string
	format int
	writer string // version of the program, without blanks
	schema int    // version of the records
	seq    uint64 // segment: first sequence number; snapshot: the last one that it covers
	crc    uint32 // of the line before it; the seed of every checksum in the file
}

// encode returns the line and sets crc.
func (h *header) encode() []byte {
	line := fmt.Appendf(nil, "%s %d %s %d %d ", h.magic, h.format, h.writer, h.schema, h.seq)
	h.crc = crcOf(0, line)
	return fmt.Appendf(line, "%08x\n", h.crc)
}

// parseHeader reads the header at the beginning of data and returns its length. It is strict: what it accepts encodes to the same bytes.
// A whole line of a newer format gives a *VersionError without a file.
func parseHeader(data []byte, magic string) (h header, n int, err error) {
	end := bytes.IndexByte(data[:min(len(data), maxHeader)], '\n')
	if end < 0 {
		return h, 0, fmt.Errorf("no header line")
	}
	line := data[:end+1]
	fields := strings.Split(string(data[:end]), " ")
	if len(fields) < 4 || fields[0] != magic {
		return h, 0, fmt.Errorf("header line is not that of %s", magic[1:])
	}
	sum := fields[len(fields)-1]
	if fmt.Sprintf("%08x", crcOf(0, line[:end-len(sum)])) != sum {
		return h, 0, fmt.Errorf("checksum of the header line is wrong")
	}
	h.magic, h.writer = magic, fields[2]
	if h.format, err = strconv.Atoi(fields[1]); err != nil {
		return h, 0, fmt.Errorf("header line has no version")
	}
	if h.format > formatVersion {
		return h, 0, &VersionError{What: "format", Version: h.format, Supported: formatVersion, Writer: h.writer}
	}
	if len(fields) != 6 {
		return h, 0, fmt.Errorf("header line has %d fields", len(fields))
	}
	h.schema, err = strconv.Atoi(fields[3])
	if err == nil {
		h.seq, err = strconv.ParseUint(fields[4], 10, 64)
	}
	if err != nil || !bytes.Equal(h.encode(), line) {
		return h, 0, fmt.Errorf("header line is not one of format %d", h.format)
	}
	return h, len(line), nil
}

// appendCommit closes the batch that begins at start of buf: last sequence number, bytes of the records, checksum.
func appendCommit(buf []byte, start int, last uint64, seed uint32) []byte {
	size := len(buf) - start
	buf = append(buf, commitPrefix...)
	buf = strconv.AppendUint(buf, last, 10)
	buf = append(buf, ' ')
	buf = strconv.AppendInt(buf, int64(size), 10)
	buf = append(buf, ' ')
	return appendSum(buf, crcOf(seed, buf[start:]))
}

func appendSum(buf []byte, sum uint32) []byte {
	const digits = "0123456789abcdef"
	for shift := 28; shift >= 0; shift -= 4 {
		buf = append(buf, digits[sum>>shift&15])
	}
	return append(buf, '\n')
}

// parseCommit splits a commit line, without its line end. prefix is the length of what the checksum covers of it.
func parseCommit(line []byte) (last uint64, size, prefix int, sum []byte, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(commitPrefix))
	if !ok {
		return 0, 0, 0, nil, false
	}
	seq, rest, ok := bytes.Cut(rest, []byte{' '})
	if !ok {
		return 0, 0, 0, nil, false
	}
	count, sum, ok := bytes.Cut(rest, []byte{' '})
	if !ok || len(sum) != 8 {
		return 0, 0, 0, nil, false
	}
	last, ok = parseDigits(seq)
	if !ok {
		return 0, 0, 0, nil, false
	}
	bytes64, ok := parseDigits(count)
	if !ok || bytes64 > MaxBatch {
		return 0, 0, 0, nil, false
	}
	return last, int(bytes64), len(line) - len(sum), sum, true
}

// parseDigits accepts what AppendUint writes below 10^18, and nothing else.
func parseDigits(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 18 || b[0] == '0' {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, true
}

// sumEqual compares a checksum with its text. Upper case is not accepted: no flipped bit may go unnoticed.
func sumEqual(sum uint32, text []byte) bool {
	var buf [9]byte
	return bytes.Equal(appendSum(buf[:0], sum)[:8], text)
}

// appendFooter ends a snapshot whose body has size bytes; crc is that of header and body.
func appendFooter(buf []byte, seq uint64, size int64, crc uint32) []byte {
	start := len(buf)
	buf = fmt.Appendf(buf, footerFormat, seq, size)
	return appendSum(buf, crcOf(crc, buf[start:]))
}
