package history

import (
	"encoding/binary"
	"errors"
	"time"
)

// A row of the index holds what the first line of an attempt's file says, field
// by field in a fixed order: a list reads a hundred of them, and JSON would
// take most of its time. A change of the order is a change of indexVersion.

// encodeRow returns the row of a first line.
func encodeRow(h *wireHead) []byte {
	var w rowWriter
	s, a := &h.Session, &h.Attempt
	w.number(s.ID)
	w.text(s.UUID)
	w.number(s.Project)
	w.text(s.Workflow)
	w.time(s.Time)
	w.number(a.ID)
	w.number(uint64(a.Index))
	w.text(a.RetryName)
	w.number(a.Project)
	w.text(a.ProjectName)
	w.text(a.Workflow)
	w.number(a.Definition)
	w.text(a.Ref)
	w.text(a.Revision)
	w.text(a.Commit.ID)
	w.text(a.Commit.Author)
	w.text(a.Commit.Email)
	w.text(a.Commit.Subject)
	w.time(a.Commit.Time)
	w.text(a.Checkout)
	w.text(a.Timezone)
	w.text(string(a.Params))
	sla := wireSLA{}
	if a.SLA != nil {
		sla = *a.SLA
	}
	w.time(sla.At)
	w.flags(a.Params != nil, a.SLA != nil, sla.Alert, sla.Fail, a.CaughtUp, h.Killed, h.Succeeded)
	w.number(a.Scheduled)
	w.time(h.CreatedAt)
	w.time(h.FinishedAt)
	w.number(uint64(h.Tasks))
	return w
}

var errRow = errors.New("a row is cut short")

// decodeRow is the inverse: it returns the first line as a summary shows it.
func decodeRow(row []byte) (Summary, error) {
	r := rowReader{rest: string(row)}
	h := wireHead{}
	s, a := &h.Session, &h.Attempt
	s.ID = r.number()
	s.UUID = r.text()
	s.Project = r.number()
	s.Workflow = r.text()
	s.Time = r.time()
	a.ID = r.number()
	a.Index = int(r.number())
	a.RetryName = r.text()
	a.Project = r.number()
	a.ProjectName = r.text()
	a.Workflow = r.text()
	a.Definition = r.number()
	a.Ref = r.text()
	a.Revision = r.text()
	a.Commit.ID = r.text()
	a.Commit.Author = r.text()
	a.Commit.Email = r.text()
	a.Commit.Subject = r.text()
	a.Commit.Time = r.time()
	a.Checkout = r.text()
	a.Timezone = r.text()
	given := r.text()
	sla := wireSLA{At: r.time()}
	var hasParams, hasSLA bool
	r.flags(&hasParams, &hasSLA, &sla.Alert, &sla.Fail, &a.CaughtUp, &h.Killed, &h.Succeeded)
	if hasParams {
		a.Params = []byte(given)
	}
	if hasSLA {
		a.SLA = &sla
	}
	a.Scheduled = r.number()
	h.CreatedAt = r.time()
	h.FinishedAt = r.time()
	h.Tasks = int(r.number())
	if r.bad || r.rest != "" {
		return Summary{}, errRow
	}
	return h.summary()
}

type rowWriter []byte

func (w *rowWriter) number(n uint64) { *w = binary.AppendUvarint(*w, n) }

func (w *rowWriter) text(s string) {
	w.number(uint64(len(s)))
	*w = append(*w, s...)
}

// time keeps the offset, and the zero time as nothing.
func (w *rowWriter) time(t time.Time) {
	if t.IsZero() {
		w.number(0)
		return
	}
	_, offset := t.Zone()
	w.number(1 + uint64(offset+secondsPerDay)) // offsets are less than a day
	*w = binary.AppendVarint(*w, t.Unix())
	w.number(uint64(t.Nanosecond()))
}

func (w *rowWriter) flags(list ...bool) {
	bits := uint64(0)
	for i, on := range list {
		if on {
			bits |= 1 << i
		}
	}
	w.number(bits)
}

// rowReader reads what a rowWriter wrote; bad tells that it did not.
type rowReader struct {
	rest string
	bad  bool
}

func (r *rowReader) number() uint64 {
	n := uint64(0)
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.bad, r.rest = true, ""
	return 0
}

func (r *rowReader) signed() int64 {
	n := r.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (r *rowReader) text() string {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func (r *rowReader) time() time.Time {
	offset := r.number()
	if offset == 0 {
		return time.Time{}
	}
	t := time.Unix(r.signed(), int64(r.number())).UTC()
	if at := int(offset) - 1 - secondsPerDay; at != 0 {
		t = t.In(time.FixedZone("", at))
	}
	return t
}

func (r *rowReader) flags(list ...*bool) {
	bits := r.number()
	for i, on := range list {
		*on = bits&(1<<i) != 0
	}
}
