package schedule

import "math"

// series is the fixed, strictly increasing series of a schedule's session
// times, as instants. The clock carries the zone.
type series interface {
	// next returns the first session time after an instant.
	next(c *clock, after int64) int64
	// last returns the session time before an instant.
	last(c *clock, before int64) int64
	// advance goes forward from a session time, over at most n session times
	// and none later than until; it returns the first one that it did not go
	// over and how many it did.
	advance(c *clock, session, until int64, n int) (int64, int)
}

// cronSeries are the minutes that match any of its patterns.
type cronSeries []pattern

// next follows Digdag's rule: the minute after the given one counts as it is;
// beyond it a wall time is searched, of which a skipped one is moved forward
// and of a repeated one the later counts. Hence the first pass of a repeated
// hour has ticks only where the minutes before it lead into it one by one.
func (s cronSeries) next(c *clock, after int64) int64 {
	offset := c.span(after + minute).offset
	wall := floor(after+minute+offset, minute)
	found := int64(math.MaxInt64)
	for i := range s {
		n := s[i].nearest(wall, 1)
		if n == wall {
			return wall - offset
		}
		found = min(found, c.moment(n, wall-offset).later)
	}
	return found
}

// last walks forward from a tick that every walk passes. Away from clock
// changes that is the tick wanted.
func (s cronSeries) last(c *clock, before int64) int64 {
	u := s.anchor(c, before)
	for {
		n := s.next(c, u)
		if n >= before {
			return u
		}
		u = n
	}
}

// anchor finds the last session time before an instant that is no less than
// maxShift away from any clock change: whatever came before, next arrives there.
func (s cronSeries) anchor(c *clock, before int64) int64 {
	for upTo := before - 1; ; {
		at := c.span(upTo)
		top := min(upTo, at.end-maxShift-1)
		low := at.start
		if low != math.MinInt64 {
			low += maxShift
		}
		if top < low {
			upTo = at.start - 1
			continue
		}
		wall := int64(math.MinInt64)
		for i := range s {
			wall = max(wall, s[i].nearest(floor(top+at.offset, minute), -1))
		}
		if u := wall - at.offset; u >= low {
			return u
		}
		// No match in this span, so the next candidate shows that wall time or less.
		upTo = min(at.start-1, wall+maxShift)
	}
}

// firstOn returns the first session time of the days from the one that begins
// at a wall time.
func (s cronSeries) firstOn(c *clock, midnight int64) int64 {
	m := c.find(midnight)
	if !m.missing {
		return s.next(c, m.earlier-1)
	}
	// The day has no midnight: what is skipped is moved forward into it.
	found := int64(math.MaxInt64)
	for i := range s {
		found = min(found, c.moment(s[i].nearest(midnight, 1), m.jump-1).later)
	}
	return found
}

// advance passes over whole days without clock changes at once, because a
// schedule may have millions of ticks to be counted.
func (s cronSeries) advance(c *clock, session, until int64, n int) (int64, int) {
	passed := 0
	for firstOfDay := false; session <= until && passed < n; {
		at := c.span(session)
		today := floor(session+at.offset, day)
		tomorrow := today + day - at.offset
		if firstOfDay && at.start <= tomorrow-day-maxShift && tomorrow+maxShift < at.end && tomorrow <= until {
			if k := s.countDay(today); passed+k <= n {
				passed += k
				session = s.next(c, tomorrow-1)
				continue
			}
		}
		session = s.next(c, session)
		passed++
		firstOfDay = floor(c.wall(session), day) != today
	}
	return session, passed
}

// secondsSeries are the instants that its number of seconds divides.
type secondsSeries int64

func (s secondsSeries) next(_ *clock, after int64) int64 { return floor(after, int64(s)) + int64(s) }

func (s secondsSeries) last(_ *clock, before int64) int64 { return floor(before-1, int64(s)) }

func (s secondsSeries) advance(_ *clock, session, until int64, n int) (int64, int) {
	if session > until {
		return session, 0
	}
	passed := min(int64(n), (until-session)/int64(s)+1)
	return session + passed*int64(s), int(passed)
}
