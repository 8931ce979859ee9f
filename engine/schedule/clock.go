package schedule

import (
	"fmt"
	"math"
	"time"
)

// Wall times are seconds since 1970-01-01 00:00:00 as the clock on the wall
// shows them, instants are seconds since that moment in UTC.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour

	// maxShift bounds what a clock change or an offset amounts to: the largest
	// known is the 24 hours that Samoa skipped.
	maxShift = 26 * hour
)

// span is a stretch of time, [start, end), in which a zone keeps one offset.
type span struct{ start, end, offset int64 }

// clock converts between instants and wall times of one zone. It remembers the
// span that it was asked for last, so it belongs to one computation.
type clock struct {
	loc *time.Location
	at  span
}

func newClock(loc *time.Location) *clock { return &clock{loc: loc} }

// span returns the span that holds an instant.
func (c *clock) span(instant int64) span {
	if c.at.start <= instant && instant < c.at.end {
		return c.at
	}
	t := time.Unix(instant, 0).In(c.loc)
	_, offset := t.Zone()
	start, end := t.ZoneBounds()
	c.at = span{start: math.MinInt64, end: math.MaxInt64, offset: int64(offset)}
	if !start.IsZero() {
		c.at.start = start.Unix()
	}
	if !end.IsZero() {
		c.at.end = end.Unix()
	}
	return c.at
}

// wall returns the wall time of an instant.
func (c *clock) wall(instant int64) int64 { return instant + c.span(instant).offset }

// moment is what a wall time means in a zone.
type moment struct {
	earlier, later int64 // differ if the clock shows the wall time twice
	missing        bool  // the clock skips it; earlier and later are moved forward by what it skips
	jump           int64 // if missing: the instant at which the clock skips
}

// moment finds the instants at which the clock shows a wall time. It looks no
// earlier than from, whose own wall time must not be later.
func (c *clock) moment(wall, from int64) moment {
	s := c.span(max(from, wall-maxShift))
	for wall-s.offset >= s.end {
		next := c.span(s.end)
		if wall-next.offset < next.start {
			u := wall - s.offset
			return moment{earlier: u, later: u, missing: true, jump: s.end}
		}
		s = next
	}
	m := moment{earlier: wall - s.offset, later: wall - s.offset}
	for s.end <= m.earlier+maxShift {
		s = c.span(s.end)
		if u := wall - s.offset; s.start <= u && u < s.end {
			m.later = u
		}
	}
	return m
}

// find is moment without a lower bound.
func (c *clock) find(wall int64) moment { return c.moment(wall, wall-maxShift) }

// startOfDay returns the first instant of the day that begins at the wall time.
func (c *clock) startOfDay(midnight int64) int64 {
	m := c.find(midnight)
	if m.missing {
		return m.jump
	}
	return m.earlier
}

// floor rounds down to a multiple of unit.
func floor(v, unit int64) int64 {
	r := v % unit
	if r < 0 {
		r += unit
	}
	return v - r
}

// ParseLocal reads `yyyy-MM-dd` or `yyyy-MM-dd HH:mm:ss` as the time that a
// clock of the zone shows. A time that the clock skips moves forward by what
// it skips; of a repeated time the earlier counts.
func ParseLocal(text string, zone *time.Location) (time.Time, error) {
	layout := time.DateTime
	if len(text) == len(time.DateOnly) {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, text)
	// time.Parse takes one-digit hours and fractions of seconds as well.
	if err != nil || len(text) != len(layout) {
		return time.Time{}, fmt.Errorf("expected yyyy-MM-dd or yyyy-MM-dd HH:mm:ss but got %q", text)
	}
	return time.Unix(newClock(zone).find(t.Unix()).earlier, 0).In(zone), nil
}

// TruncateHour returns the full hour of the zone that t lies in.
func TruncateHour(t time.Time, zone *time.Location) time.Time { return truncate(t, zone, hour) }

// TruncateDay returns the midnight of the zone's day that t lies in, or the
// first instant after it that exists.
func TruncateDay(t time.Time, zone *time.Location) time.Time { return truncate(t, zone, day) }

func truncate(t time.Time, zone *time.Location, unit int64) time.Time {
	c := newClock(zone)
	s := c.span(t.Unix())
	wall := floor(t.Unix()+s.offset, unit)
	u := wall - s.offset
	if u < s.start { // the clock changed since; the offset of t does not reach back that far
		u = c.find(wall).earlier
	}
	return time.Unix(u, 0).In(zone)
}
