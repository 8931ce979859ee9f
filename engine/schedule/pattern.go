package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// pattern is one alternative of a cron text as bit sets. All of its fields must
// match, day of month and day of week too.
type pattern struct {
	minute, hour, dom, month uint64
	last                     bool      // of dom only the last day of the month counts
	weekdays                 [7]uint64 // by the weekday of the 1st: the days that the day-of-week field allows
}

// pattern has robfig/cron parse the fields to bit sets.
func (s spec) pattern() (pattern, error) {
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	parsed, err := parser.Parse(strings.Join(s.fields[:], " "))
	if err != nil {
		return pattern{}, err
	}
	sets, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return pattern{}, fmt.Errorf("%T is not a set of fields", parsed)
	}
	const star = 1 << 63 // robfig's mark for `*`, which only its own OR of the days needs
	p := pattern{
		minute: sets.Minute &^ star,
		hour:   sets.Hour &^ star,
		dom:    sets.Dom &^ star,
		month:  sets.Month &^ star,
		last:   s.last,
	}
	for first := range p.weekdays {
		for d := 1; d <= 31; d++ {
			p.weekdays[first] |= sets.Dow >> ((first + d - 1) % 7) & 1 << d
		}
	}
	return p, nil
}

// possible tells whether any date matches. Every date of the year falls on
// every weekday sooner or later, so the weekdays do not matter.
func (p *pattern) possible() bool {
	for m := time.January; m <= time.December; m++ {
		const leapYear = 2000
		if p.month>>m&1 == 1 && p.dom&upTo(daysIn(leapYear, m)) != 0 {
			return true
		}
	}
	return false
}

// nearest finds the matching wall minute that is closest to a wall minute: for
// step 1 the first one not before it, for step -1 the last one not after it.
func (p *pattern) nearest(wall int64, step int) int64 {
	t := time.Unix(wall, 0).UTC()
	y, m, d := t.Date()
	days := p.days(y, m)
	if days>>d&1 == 1 {
		if h, minute, ok := p.timeOfDay(t.Hour(), t.Minute(), step); ok {
			return time.Date(y, m, d, h, minute, 0, 0, time.UTC).Unix()
		}
	}
	for next, ok := bit(days, d+step, step); ; next, ok = bit(days, end(step), step) {
		if ok {
			h, _ := bit(p.hour, end(step), step)
			minute, _ := bit(p.minute, end(step), step)
			return time.Date(y, m, next, h, minute, 0, 0, time.UTC).Unix()
		}
		y, m = addMonth(y, m, step)
		days = p.days(y, m)
	}
}

// timeOfDay is nearest within one day.
func (p *pattern) timeOfDay(h, m, step int) (int, int, bool) {
	if p.hour>>h&1 == 1 {
		if next, ok := bit(p.minute, m, step); ok {
			return h, next, true
		}
	}
	h, ok := bit(p.hour, h+step, step)
	m, _ = bit(p.minute, end(step), step)
	return h, m, ok
}

// days returns the days of a month that match.
func (p *pattern) days(y int, m time.Month) uint64 {
	if p.month>>m&1 == 0 {
		return 0
	}
	length := daysIn(y, m)
	days := p.dom & upTo(length)
	if p.last {
		days &= 1 << length
	}
	if days == 0 {
		return 0
	}
	return days & p.weekdays[time.Date(y, m, 1, 0, 0, 0, 0, time.UTC).Weekday()]
}

// upTo is the set of 0 to n.
func upTo(n int) uint64 { return 1<<(n+1) - 1 }

func daysIn(y int, m time.Month) int {
	switch m {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if y%4 == 0 && (y%100 != 0 || y%400 == 0) {
			return 29
		}
		return 28
	default:
		return 31
	}
}

func addMonth(y int, m time.Month, step int) (int, time.Month) {
	switch m += time.Month(step); m {
	case 0:
		return y - 1, time.December
	case 13:
		return y + 1, time.January
	default:
		return y, m
	}
}

// end is where a search through a set begins that has no other place to begin.
func end(step int) int {
	if step > 0 {
		return 0
	}
	return 63
}

// bit finds the member of a set that is closest to from, which counts too, in
// the direction of step.
func bit(set uint64, from, step int) (int, bool) {
	if from < 0 {
		return 0, false
	}
	if step > 0 {
		set = set >> from << from
		return bits.TrailingZeros64(set), set != 0
	}
	set &= upTo(from)
	return bits.Len64(set) - 1, set != 0
}

// countDay returns how many minutes of the day that begins at a wall time match.
func (s cronSeries) countDay(midnight int64) int {
	y, m, d := time.Unix(midnight, 0).UTC().Date()
	var minutes [24]uint64
	for i := range s {
		p := &s[i]
		if p.days(y, m)>>d&1 == 0 {
			continue
		}
		for h, ok := bit(p.hour, 0, 1); ok; h, ok = bit(p.hour, h+1, 1) {
			minutes[h] |= p.minute
		}
	}
	total := 0
	for _, set := range minutes {
		total += bits.OnesCount64(set)
	}
	return total
}
