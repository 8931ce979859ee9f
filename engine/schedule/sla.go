package schedule

import (
	"fmt"
	"time"
)

// SLA is a workflow's `sla:` mapping, as far as it is not tasks.
type SLA struct {
	Fail  bool // a miss makes the attempt end in error
	Alert bool // a miss sends a notification
	Warn  any  // the value of `warn`, as given; nil if absent

	seconds int64
	elapsed bool // seconds count from the start, not from its midnight
}

// ParseSLA reads an `sla:` mapping. It gives back the fields that are not its
// own: the tasks, or the operator, that run on a miss.
func ParseSLA(fields []Field) (sla SLA, rest []Field, err error) {
	m := newMapping(fields)
	clock, isClock, err := m.text("time")
	if err != nil {
		return SLA{}, nil, err
	}
	duration, isDuration, err := m.text("duration")
	if err != nil {
		return SLA{}, nil, err
	}
	if isClock == isDuration {
		return SLA{}, nil, &Error{Msg: "SLA must be specified using either the 'time' or 'duration' option"}
	}
	key, text := "time", clock
	if isDuration {
		key, text = "duration", duration
	}
	seconds, ok := clockParts(text, 3, false)
	if !ok {
		seconds, ok = clockParts(text, 2, false)
	}
	if !ok {
		msg := fmt.Sprintf("SLA %s option needs to be HH:MM or HH:MM:SS format: %s", key, text)
		return SLA{}, nil, &Error{Key: key, Msg: msg}
	}
	sla = SLA{seconds: seconds, elapsed: isDuration}
	if sla.Fail, err = m.boolean("fail", false); err != nil {
		return SLA{}, nil, err
	}
	if sla.Alert, err = m.boolean("alert", true); err != nil {
		return SLA{}, nil, err
	}
	sla.Warn, _ = m.value("warn")
	return sla, m.unread(), nil
}

// Trigger returns when an attempt that starts at start has missed its SLA. A
// time that lies before start on its day in the zone counts 24 hours later; one
// that the clock skips moves forward, of a repeated one the later counts.
func (s SLA) Trigger(start time.Time, zone *time.Location) time.Time {
	if s.elapsed {
		return start.Add(time.Duration(s.seconds) * time.Second).In(zone)
	}
	c := newClock(zone)
	midnight := floor(c.wall(start.Unix()), day)
	u := c.find(midnight + s.seconds).later
	t := time.Unix(u, int64(start.Nanosecond())).In(zone)
	if t.Before(start) {
		t = t.Add(24 * time.Hour)
	}
	return t
}
