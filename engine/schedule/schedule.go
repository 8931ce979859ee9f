package schedule

import (
	"math"
	"time"
)

// Never is both times of the tick after the last one of a schedule that has an
// end.
var Never = time.Unix(never, 0).UTC()

const never = 253370764800 // 9999-01-01T00:00:00Z

// Tick is one due time of a schedule. Both times are whole seconds, in the
// schedule's zone.
type Tick struct {
	Session time.Time // names the session
	Run     time.Time // when it starts
}

// CatchUp says what happens to the ticks that were missed while nobody was
// there to run them (L45).
type CatchUp string

// The values of `catch_up:`.
const (
	CatchUpDefault CatchUp = "" // not given: whoever runs the schedule decides
	CatchUpAll     CatchUp = "all"
	CatchUpLast    CatchUp = "last"
	CatchUpNone    CatchUp = "none"
)

// Schedule is a workflow's `schedule:` mapping. It is immutable and safe for
// concurrent use.
type Schedule struct {
	zone   *time.Location
	series series
	delay  int64 // from session to run, in elapsed seconds; may be negative

	// Bounds of the run time, the extremes of int64 where there is none, and the
	// first session that the start allows.
	start, end, firstSession int64

	skipOnOvertime bool
	skipDelayedBy  *time.Duration
	catchUp        CatchUp
}

// SkipOnOvertime tells whether a tick is skipped while the workflow still has
// an unfinished attempt.
func (s *Schedule) SkipOnOvertime() bool { return s.skipOnOvertime }

// SkipDelayedBy returns how late a tick may start before it is skipped, if
// there is such a limit.
func (s *Schedule) SkipDelayedBy() (time.Duration, bool) {
	if s.skipDelayedBy == nil {
		return 0, false
	}
	return *s.skipDelayedBy, true
}

// CatchUp returns the schedule's own choice about missed ticks.
func (s *Schedule) CatchUp() CatchUp { return s.catchUp }

// Zone returns the zone in which the schedule was parsed.
func (s *Schedule) Zone() *time.Location { return s.zone }

// Next returns the first tick whose session time is after the given one. Both
// times of the tick are Never, and the result is false, if the schedule is over.
//
// In the minutes around a clock change Next of a time that is not itself a tick
// may pass over a tick, as Digdag does.
func (s *Schedule) Next(session time.Time) (Tick, bool) {
	return s.next(newClock(s.zone), session.Unix())
}

// First returns the first tick whose run time is not before now.
func (s *Schedule) First(now time.Time) (Tick, bool) {
	// Ticks are whole seconds, so what runs at or after now runs after the
	// last whole second before now.
	before := now.Unix()
	if now.Nanosecond() == 0 {
		before--
	}
	return s.next(newClock(s.zone), before-s.delay)
}

// Last returns the tick before a session time. It knows no start and end; the
// result is false only where the calendar begins.
func (s *Schedule) Last(session time.Time) (Tick, bool) {
	before := session.Unix()
	if session.Nanosecond() > 0 {
		before++
	}
	u := s.series.last(newClock(s.zone), min(before, never))
	const yearOne = -62135596800
	if u < yearOne {
		return Tick{}, false
	}
	return s.tick(u), true
}

// Between returns the ticks whose run time is after from and not after to: the
// newest ones, at most the given number, oldest first, and how many older ones
// it left out. It costs time in proportion to the days between and the ticks
// returned.
func (s *Schedule) Between(from, to time.Time, newest int) (ticks []Tick, skipped int) {
	until := min(min(to.Unix(), s.end-1, never-1)-s.delay, never-1)
	if from.Unix() >= never {
		return nil, 0
	}
	c := newClock(s.zone)
	u := s.after(c, from.Unix()-s.delay)
	_, total := s.series.advance(c, u, until, math.MaxInt)
	skipped = max(0, total-max(0, newest))
	u, _ = s.series.advance(c, u, until, skipped)
	for range total - skipped {
		ticks = append(ticks, s.tick(u))
		u = s.series.next(c, u)
	}
	return ticks, skipped
}

// after returns the first session time after an instant, which unlike in Next
// may be any, without regard to the end.
func (s *Schedule) after(c *clock, instant int64) int64 {
	u := s.series.next(c, s.series.last(c, instant+1))
	return s.notBeforeStart(u)
}

// notBeforeStart puts the start's first session in the place of one that would
// run too early.
func (s *Schedule) notBeforeStart(session int64) int64 {
	if session+s.delay >= s.start {
		return session
	}
	// With a negative delay the first session itself may run before the start.
	return max(session, s.firstSession)
}

func (s *Schedule) next(c *clock, after int64) (Tick, bool) {
	if after >= never {
		return Tick{Session: Never, Run: Never}, false
	}
	u := s.series.next(c, after)
	if u+s.delay >= s.end {
		return Tick{Session: Never, Run: Never}, false
	}
	u = s.notBeforeStart(u)
	if u >= never || u+s.delay >= never {
		return Tick{Session: Never, Run: Never}, false
	}
	return s.tick(u), true
}

func (s *Schedule) tick(session int64) Tick {
	return Tick{
		Session: time.Unix(session, 0).In(s.zone),
		Run:     time.Unix(session+s.delay, 0).In(s.zone),
	}
}
