package schedule

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a `schedule:` mapping, whose fields are in file order.
//
// Where every fault is an unknown key, the schedule is returned with the error:
// who only runs the workflow may go on (L49). Otherwise it is nil. Faults lists
// what is wrong.
func Parse(fields []Field, zone *time.Location) (*Schedule, error) {
	if zone == nil {
		zone = time.UTC
	}
	m := newMapping(fields)
	s := &Schedule{zone: zone, start: math.MinInt64, end: math.MaxInt64}
	t, err := readType(m)
	if err != nil {
		return nil, err
	}
	var errs []error
	if s.series, s.delay, err = t.parse(m); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, s.options(m)...)
	if err := s.bounds(m); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		s = nil
	}
	for _, f := range m.unread() {
		errs = append(errs, unknownKey(f.Key, t))
	}
	return s, errors.Join(errs...)
}

// kind is the type of a schedule: what stands before the `>`, and the value.
type kind struct {
	name string
	key  string // of the value
	form string // of the value, for the types whose value is a time
	text string // the value as text
	raw  any    // the value
}

// kinds are the types of schedules, of the value's form too where it is a time.
func kinds() []kind {
	return []kind{
		{name: "hourly", form: "MM:SS"},
		{name: "daily", form: "HH:MM:SS"},
		{name: "weekly", form: "DDD,HH:MM:SS"},
		{name: "monthly", form: "D,HH:MM:SS"},
		{name: "minutes_interval"},
		{name: "seconds_interval"},
		{name: "cron"},
	}
}

// readType finds the first `type>:` key, or `_type` with `_command` or, for a
// type whose value is a time, with `at`.
func readType(m *mapping) (kind, error) {
	name, given, err := m.text("_type")
	if err != nil {
		return kind{}, err
	}
	key := "_type"
	if !given {
		if name, key = commandKey(m.fields); key == "" {
			return kind{}, &Error{Msg: "Schedule config requires 'type>: at' parameter"}
		}
	}
	var t kind
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
		if k.name == name {
			t = k
		}
	}
	if t.name == "" {
		return kind{}, &Error{Key: key, Msg: "Unknown scheduler type: " + name, Suggestions: suggest(name, names)}
	}
	t.key = key
	if given {
		t.key = "_command"
		if _, ok := m.value(t.key); !ok && t.form != "" {
			t.key = "at"
		}
	}
	raw, ok := m.value(t.key)
	if !ok {
		return kind{}, &Error{Key: t.key, Msg: fmt.Sprintf("%s> schedule needs a value for key '%s'", t.name, t.key)}
	}
	if t.text, ok = asText(raw); !ok {
		return kind{}, wrongType(t.key, "_command", "string", raw)
	}
	t.raw = raw
	return t, nil
}

func commandKey(fields []Field) (name, key string) {
	for _, f := range fields {
		if name, ok := strings.CutSuffix(f.Key, ">"); ok {
			return name, f.Key
		}
	}
	return "", ""
}

// parse reads the value, and `delay` where the type knows it.
func (t kind) parse(m *mapping) (series, int64, error) {
	switch t.name {
	case "hourly":
		return t.hourly()
	case "daily":
		delay, err := t.timeOfDay(t.text)
		if err != nil {
			return nil, 0, err
		}
		return t.cron("0 0 * * *", delay)
	case "weekly":
		return t.weekly()
	case "monthly":
		return t.monthly()
	}
	delay, err := m.integer("delay")
	if err != nil {
		return nil, 0, err
	}
	if t.name == "cron" {
		return t.cron(t.text, delay)
	}
	n, ok := asInteger(t.raw)
	if !ok {
		return nil, 0, wrongType(t.key, "_command", "integer (int)", t.raw)
	}
	if n < 1 {
		return nil, 0, t.fault("%s> must be at least 1 but is %d", t.name, n)
	}
	if t.name == "seconds_interval" {
		// Digdag does not look at its start and end, whatever they are.
		m.value("start")
		m.value("end")
		return secondsSeries(n), delay, nil
	}
	return t.cron("*/"+strconv.FormatInt(n, 10)+" * * * *", delay)
}

func (t kind) hourly() (series, int64, error) {
	delay, ok := clockParts(t.text, 2, true)
	if !ok {
		return nil, 0, t.fault("hourly>: scheduler requires mm:ss format: %s", t.text)
	}
	return t.cron("0 * * * *", delay)
}

func (t kind) weekly() (series, int64, error) {
	weekday, at, ok := strings.Cut(t.text, ",")
	if !ok {
		return nil, 0, t.badDay()
	}
	weekday = strings.TrimSpace(weekday)
	if n, err := strconv.Atoi(weekday); err == nil && n < 0 {
		return nil, 0, t.fault("weekly>: invalid day: %s", weekday)
	}
	delay, err := t.timeOfDay(strings.TrimSpace(at))
	if err != nil {
		return nil, 0, err
	}
	s, delay, err := t.cron("0 0 * * "+weekday, delay)
	if err != nil {
		return nil, 0, t.badDay()
	}
	return s, delay, nil
}

func (t kind) monthly() (series, int64, error) {
	date, at, ok := strings.Cut(t.text, ",")
	n, err := strconv.ParseInt(date, 10, 32)
	if !ok || err != nil {
		return nil, 0, t.badDay()
	}
	delay, err := t.timeOfDay(at)
	if err != nil {
		return nil, 0, err
	}
	return t.cron(fmt.Sprintf("0 0 %d * *", n), delay)
}

func (t kind) badDay() *Error {
	return t.fault("%s>: scheduler requires day,hh:mm:ss format: %s", t.name, t.text)
}

func (t kind) timeOfDay(text string) (int64, error) {
	delay, ok := clockParts(text, 3, false)
	if !ok {
		return 0, t.fault("%s> scheduler requires hh:mm:ss format: %s", t.name, text)
	}
	return delay, nil
}

func (t kind) cron(text string, delay int64) (series, int64, error) {
	patterns, err := parsePatterns(text)
	if err != nil {
		return nil, 0, t.fault("%s", err)
	}
	return cronSeries(patterns), delay, nil
}

func (t kind) fault(format string, args ...any) *Error {
	return &Error{Key: t.key, Msg: fmt.Sprintf(format, args...)}
}

// options reads what every type knows.
func (s *Schedule) options(m *mapping) (errs []error) {
	var err error
	if s.skipOnOvertime, err = m.boolean("skip_on_overtime", false); err != nil {
		errs = append(errs, err)
	}
	text, ok, err := m.text("skip_delayed_by")
	if err != nil {
		errs = append(errs, err)
	}
	if ok {
		d, err := ParseDuration(text)
		if err != nil {
			errs = append(errs, &Error{Key: "skip_delayed_by", Msg: fmt.Sprintf("Invalid skip_delayed_by: %s", err)})
		}
		s.skipDelayedBy = &d
	}
	text, ok, err = m.text("catch_up")
	if err != nil {
		errs = append(errs, err)
	}
	if ok {
		s.catchUp = CatchUp(text)
		if s.catchUp != CatchUpAll && s.catchUp != CatchUpLast && s.catchUp != CatchUpNone {
			errs = append(errs, &Error{Key: "catch_up", Msg: fmt.Sprintf("Invalid catch_up: %s (all, last or none)", text)})
		}
	}
	return errs
}

// bounds reads start and end, days of the schedule's zone.
func (s *Schedule) bounds(m *mapping) error {
	if m.read["start"] {
		return nil
	}
	c := newClock(s.zone)
	midnight, started, err := readDate(m, "start")
	if err != nil {
		return err
	}
	if started {
		s.start = c.startOfDay(midnight)
		if cron, ok := s.series.(cronSeries); ok {
			s.firstSession = cron.firstOn(c, midnight)
		}
	}
	midnight, ended, err := readDate(m, "end")
	if err != nil {
		return err
	}
	if ended {
		s.end = c.startOfDay(midnight + day)
	}
	if s.start >= s.end {
		return &Error{Key: "end", Msg: "The schedule of end is earlier than start"}
	}
	return nil
}

// readDate reads a date as the wall time of its midnight.
func readDate(m *mapping, key string) (int64, bool, error) {
	text, ok, err := m.text(key)
	if !ok {
		return 0, false, err
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, false, &Error{Key: key, Msg: fmt.Sprintf("Invalid %s: %s", key, text)}
	}
	return t.Unix(), true, nil
}

// unknownKey is the fault of a key that nothing has read.
func unknownKey(key string, t kind) *Error {
	e := &Error{Kind: UnknownKey, Key: key, Msg: fmt.Sprintf("Parameter '%s' is not used at schedule.", key)}
	known := []string{"skip_on_overtime", "skip_delayed_by", "start", "end", "catch_up"}
	switch {
	case key == "at" && t.form != "" && t.key != "_command":
		e.Msg += fmt.Sprintf(" Write %s>: %s", t.name, t.form)
		return e
	case t.form == "":
		known = append(known, "delay")
	}
	e.Suggestions = suggest(key, known)
	return e
}
