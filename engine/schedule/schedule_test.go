package schedule

import (
	"math"
	"testing"
	"time"
)

func parse(t testing.TB, zoneName string, fields ...Field) *Schedule {
	t.Helper()
	s, err := Parse(fields, zone(t, zoneName))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The table of the clock changes of 2016 in Los Angeles.
// A repeated hour has one tick of an hourly pattern (L44).
func TestClockChanges(t *testing.T) {
	tests := []struct {
		cron, from string
		want       []string
	}{
		{"0 * * * *", "2016-03-13T00:30:00-08:00", []string{"01:00 PST", "03:00 PDT", "04:00 PDT"}},
		{"*/30 * * * *", "2016-03-13T01:00:00-08:00", []string{"01:30 PST", "03:00 PDT", "03:30 PDT"}},
		{"*/1 * * * *", "2016-03-13T01:58:00-08:00", []string{"01:59 PST", "03:00 PDT", "03:01 PDT"}},
		{"30 2 * * *", "2016-03-12T12:00:00-08:00", []string{"03:30 PDT", "02:30 PDT"}},
		{"30 1 * * *", "2016-03-12T12:00:00-08:00", []string{"01:30 PST", "01:30 PDT"}},
		{"0 * * * *", "2016-11-05T23:30:00-07:00", []string{"00:00 PDT", "01:00 PST", "02:00 PST"}},
		{"*/30 * * * *", "2016-11-06T00:00:00-07:00", []string{"00:30 PDT", "01:00 PST", "01:30 PST"}},
		{"*/1 * * * *", "2016-11-06T01:58:00-07:00", []string{"01:59 PDT", "01:00 PST", "01:01 PST"}},
		{"30 2 * * *", "2016-11-05T12:00:00-07:00", []string{"02:30 PST", "02:30 PST"}},
		{"30 1 * * *", "2016-11-05T12:00:00-07:00", []string{"01:30 PST", "01:30 PST"}},
	}
	for _, test := range tests {
		s := parse(t, "America/Los_Angeles", Field{"cron>", test.cron})
		at := instant(t, test.from)
		for i, want := range test.want {
			tick, _ := s.Next(at)
			if got := tick.Session.Format("15:04 MST"); got != want {
				t.Errorf("%s: tick %d after %s: got %s, want %s", test.cron, i, test.from, got, want)
			}
			at = tick.Session
		}
	}
}

// A day without a midnight begins at its first instant (L68), which is its tick too.
func TestStartWithoutMidnight(t *testing.T) {
	tests := []struct {
		zone, start string
		schedule    Field
		want        string
	}{
		{"Asia/Beirut", "2031-03-30", Field{"daily>", "07:00:00"}, "2031-03-30T01:00:00+03:00"},
		{"Asia/Beirut", "2031-03-30", Field{"cron>", "0 0 * * *"}, "2031-03-30T01:00:00+03:00"},
		{"Asia/Beirut", "2031-03-30", Field{"cron>", "30 0 * * *"}, "2031-03-30T01:30:00+03:00"},
		{"Asia/Beirut", "2031-03-30", Field{"hourly>", "00:00"}, "2031-03-30T01:00:00+03:00"},
		{"Asia/Beirut", "2031-03-30", Field{"cron>", "0 0 * * mon|0 5 * * *"}, "2031-03-30T05:00:00+03:00"},
		{"Pacific/Apia", "2011-12-30", Field{"daily>", "00:00:00"}, "2011-12-31T00:00:00+14:00"},
		{"America/Toronto", "1919-03-31", Field{"hourly>", "00:00"}, "1919-03-31T01:00:00-04:00"}, // 23:30 to 00:30
		{"America/Havana", "2019-11-03", Field{"daily>", "00:00:00"}, "2019-11-03T00:00:00-04:00"},
	}
	for _, test := range tests {
		s := parse(t, test.zone, test.schedule, Field{"start", test.start})
		tick, ok := s.First(instant(t, "1910-01-01T00:00:00Z"))
		if got := tick.Session.Format(time.RFC3339); got != test.want || !ok {
			t.Errorf("%v from %s in %s: got %s, want %s", test.schedule, test.start, test.zone, got, test.want)
		}
	}
}

func TestEndWithoutMidnight(t *testing.T) {
	s := parse(t, "Asia/Beirut", Field{"hourly>", "00:00"}, Field{"end", "2031-03-29"})
	tick, ok := s.Next(instant(t, "2031-03-29T22:30:00+02:00"))
	if got, want := tick.Session.Format(time.RFC3339), "2031-03-29T23:00:00+02:00"; got != want || !ok {
		t.Errorf("the last tick: got %s, want %s", got, want)
	}
	tick, ok = s.Next(tick.Session)
	if ok || tick != (Tick{Session: Never, Run: Never}) {
		t.Errorf("after the end: got %v, %v, want never", tick, ok)
	}
}

// A negative time of day runs before its session, so also before the start.
// The walk must get past that.
func TestStartWithNegativeDelay(t *testing.T) {
	s := parse(t, "UTC", Field{"daily>", "-30:00:00"}, Field{"start", "2024-01-10"})
	at := instant(t, "2024-01-01T00:00:00Z")
	for _, want := range []string{"2024-01-10", "2024-01-11", "2024-01-12"} {
		tick, ok := s.Next(at)
		if got := tick.Session.Format(time.DateOnly); got != want || !ok {
			t.Errorf("next(%s): got %s, want %s", at, got, want)
		}
		at = tick.Session
	}
	ticks, _ := s.Between(instant(t, "2024-01-08T00:00:00Z"), instant(t, "2024-01-10T00:00:00Z"), 10)
	if len(ticks) != 2 || ticks[0].Session.Day() != 10 || ticks[1].Session.Day() != 11 {
		t.Errorf("got %v, want the ticks of the 10th and the 11th", ticks)
	}
}

func TestFirstRoundsUp(t *testing.T) {
	tests := []struct{ now, want string }{
		{"2024-01-01T06:59:59.999Z", "2024-01-01T00:00:00Z"},
		{"2024-01-01T07:00:00Z", "2024-01-01T00:00:00Z"},
		{"2024-01-01T07:00:00.001Z", "2024-01-02T00:00:00Z"},
	}
	s := parse(t, "UTC", Field{"daily>", "07:00:00"})
	for _, test := range tests {
		tick, _ := s.First(instant(t, test.now))
		if got := tick.Session.Format(time.RFC3339); got != test.want {
			t.Errorf("first(%s): got %s, want %s", test.now, got, test.want)
		}
		if tick.Run.Sub(tick.Session) != 7*time.Hour {
			t.Errorf("first(%s): got run %s, want 7 h after the session", test.now, tick.Run)
		}
	}
}

func TestLastCountsFractions(t *testing.T) {
	s := parse(t, "UTC", Field{"hourly>", "00:00"})
	tick, _ := s.Last(instant(t, "2024-01-01T07:00:00.5Z"))
	if got, want := tick.Session.Format(time.RFC3339), "2024-01-01T07:00:00Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCalendarEnds(t *testing.T) {
	for _, schedule := range []Field{{"daily>", "00:00:00"}, {"cron>", "0 0 29 2 mon"}, {"seconds_interval>", "7"}, {"daily>", "800000:00:00"}} {
		s := parse(t, "America/New_York", schedule)
		for _, at := range []time.Time{Never.Add(-time.Second), Never, Never.AddDate(5000, 0, 0)} {
			if tick, ok := s.Next(at); ok || !tick.Session.Equal(Never) || !tick.Run.Equal(Never) {
				t.Errorf("%v: next(%s): got %s, %v, want never", schedule, at, show(tick), ok)
			}
		}
		if tick, ok := s.Last(Never.AddDate(5000, 0, 0)); !ok || tick.Session.Year() < 9900 {
			t.Errorf("%v: last(year 15000): got %s, %v, want a tick of the last years", schedule, show(tick), ok)
		}
		if tick, ok := s.Last(time.Time{}); ok {
			t.Errorf("%v: last(year 1): got %s, want none", schedule, show(tick))
		}
		if ticks, skipped := s.Between(Never, Never.AddDate(1, 0, 0), 3); len(ticks)+skipped > 0 {
			t.Errorf("%v: got %v and %d more after the end of the calendar", schedule, ticks, skipped)
		}
	}
}

func TestBetween(t *testing.T) {
	minutely := []Field{{"minutes_interval>", "1"}}
	tests := []struct {
		name           string
		zone           string
		fields         []Field
		from, to       string
		newest         int
		wantNewest     []string // the first and the last of those returned
		count, skipped int
	}{
		{
			"a month of minutes", "UTC", minutely, "2024-06-01T00:00:00Z", "2024-07-01T00:00:00Z", 100,
			[]string{"2024-06-30T22:21:00Z", "2024-07-01T00:00:00Z"},
			100, 43100,
		},
		{
			"a month with a clock change", "Europe/Berlin", minutely, "2024-03-01T00:00:00+01:00", "2024-04-01T00:00:00+02:00", 1,
			[]string{"2024-04-01T00:00:00+02:00"},
			1, (31*24-1)*60 - 1,
		},
		{
			"all minutes since the year 1", "UTC", minutely, "0001-01-01T00:00:00Z", "2024-01-01T00:00:00Z", 1,
			[]string{"2024-01-01T00:00:00Z"},
			1, 738885*1440 - 1,
		},
		{
			"a year of seconds", "UTC",
			[]Field{{"seconds_interval>", "1"}},
			"2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z", 2,
			[]string{"2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z"},
			2, 365*86400 - 2,
		},
		{
			"alternatives that overlap", "UTC",
			[]Field{{"cron>", "*/20 * * * *|*/30 1-2 * * *|0 0 13 * 5"}},
			"2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", 0,
			nil, 0, 31 * (72 + 2),
		},
		{
			"run times count", "UTC",
			[]Field{{"daily>", "07:00:00"}},
			"2024-01-01T07:00:00Z", "2024-01-03T07:00:00Z", 10,
			[]string{"2024-01-02T00:00:00Z", "2024-01-03T00:00:00Z"},
			2, 0,
		},
		{"none due yet", "UTC", []Field{{"daily>", "07:00:00"}}, "2024-01-01T07:00:00Z", "2024-01-02T06:59:59Z", 10, nil, 0, 0},
		{"an empty window", "UTC", minutely, "2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z", 10, nil, 0, 0},
		{
			"start and end", "UTC",
			[]Field{{"daily>", "00:00:00"}, {"start", "2024-01-05"}, {"end", "2024-01-07"}},
			"2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", 10,
			[]string{"2024-01-05T00:00:00Z", "2024-01-07T00:00:00Z"},
			3, 0,
		},
		{"newest below zero", "UTC", []Field{{"daily>", "00:00:00"}}, "2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z", -1, nil, 0, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := parse(t, test.zone, test.fields...)
			ticks, skipped := s.Between(instant(t, test.from), instant(t, test.to), test.newest)
			if len(ticks) != test.count || skipped != test.skipped {
				t.Errorf("got %d ticks and %d skipped, want %d and %d", len(ticks), skipped, test.count, test.skipped)
			}
			for i, want := range test.wantNewest {
				got := ticks[i*(len(ticks)-1)]
				if got.Session.Format(time.RFC3339) != want {
					t.Errorf("got %s, want %s", show(got), want)
				}
			}
		})
	}
}

func TestBetweenAllOfThem(t *testing.T) {
	s := parse(t, "UTC", Field{"minutes_interval>", "30"})
	ticks, skipped := s.Between(instant(t, "2024-01-01T00:00:00Z"), instant(t, "2024-01-11T00:00:00Z"), math.MaxInt)
	if len(ticks) != 480 || skipped != 0 {
		t.Fatalf("got %d ticks and %d skipped, want 480 and 0", len(ticks), skipped)
	}
	for i, tick := range ticks {
		if want := instant(t, "2024-01-01T00:00:00Z").Add(time.Duration(i+1) * 30 * time.Minute); !tick.Session.Equal(want) {
			t.Errorf("tick %d: got %s, want %s", i, tick.Session, want)
		}
	}
}

// A pattern that matches only at clock changes has no tick from which a walk
// could begin for many years.
func TestLastOfTicksAtClockChangesOnly(t *testing.T) {
	s := parse(t, "America/Los_Angeles", Field{"cron>", "30 2 8-14 3 0"})
	tick, ok := s.Last(instant(t, "2016-03-14T00:00:00Z"))
	if got, want := tick.Session.Format(time.RFC3339), "2016-03-13T03:30:00-07:00"; got != want || !ok {
		t.Errorf("got %s, want %s", got, want)
	}
	tick, _ = s.Last(tick.Session)
	if got, want := tick.Session.Format(time.RFC3339), "2015-03-08T03:30:00-07:00"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTicksAreInTheZone(t *testing.T) {
	s := parse(t, "Asia/Kolkata", Field{"daily>", "10:00:00"})
	tick, _ := s.Next(instant(t, "2024-01-01T00:00:00Z"))
	if got, want := tick.Session.Format(time.RFC3339), "2024-01-02T00:00:00+05:30"; got != want {
		t.Errorf("session: got %s, want %s", got, want)
	}
	if got, want := tick.Run.Format(time.RFC3339), "2024-01-02T10:00:00+05:30"; got != want {
		t.Errorf("run: got %s, want %s", got, want)
	}
	if s.Zone() != zone(t, "Asia/Kolkata") && s.Zone().String() != "Asia/Kolkata" {
		t.Errorf("got zone %s, want Asia/Kolkata", s.Zone())
	}
}
