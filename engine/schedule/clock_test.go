package schedule

import (
	"testing"
	"time"
)

func TestParseLocal(t *testing.T) {
	tests := []struct{ text, zone, want string }{
		{"2016-01-01", "Asia/Tokyo", "2016-01-01T00:00:00+09:00"},
		{"2016-01-01 12:34:56", "Asia/Tokyo", "2016-01-01T12:34:56+09:00"},
		{"2016-03-13 02:30:00", "America/Los_Angeles", "2016-03-13T03:30:00-07:00"}, // skipped
		{"2016-11-06 01:30:00", "America/Los_Angeles", "2016-11-06T01:30:00-07:00"}, // repeated
		{"2017-10-15", "America/Sao_Paulo", "2017-10-15T01:00:00-02:00"},
		{"2011-12-30 10:00:00", "Pacific/Apia", "2011-12-31T10:00:00+14:00"},
		{"2011-12-29 23:59:59", "Pacific/Apia", "2011-12-29T23:59:59-10:00"},
		{"2024-04-07 01:45:00", "Australia/Lord_Howe", "2024-04-07T01:45:00+11:00"},
		{"2024-10-06 02:15:00", "Australia/Lord_Howe", "2024-10-06T02:45:00+11:00"},
		{"2016-01-01", "-03:30", "2016-01-01T00:00:00-03:30"},
	}
	for _, test := range tests {
		got, err := ParseLocal(test.text, zone(t, test.zone))
		if err != nil || got.Format(time.RFC3339) != test.want {
			t.Errorf("%s in %s: got %s, %v, want %s", test.text, test.zone, got.Format(time.RFC3339), err, test.want)
		}
	}
	for _, text := range []string{"", "2016", "2016-1-1", "2016-02-30", "2016-01-01 1:00:00", "2016-01-01T00:00:00", "2016-01-01 00:00:00.5", "2016-01-01 24:00:00", "2016-01-01 00:00"} {
		if got, err := ParseLocal(text, time.UTC); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestTruncate(t *testing.T) {
	tests := []struct{ at, zone, hour, day string }{
		{"2016-02-03T10:59:59.9Z", "UTC", "2016-02-03T10:00:00Z", "2016-02-03T00:00:00Z"},
		{"2016-02-03T20:10:00Z", "Asia/Kolkata", "2016-02-04T01:00:00+05:30", "2016-02-04T00:00:00+05:30"},
		{"2016-03-13T10:15:00Z", "America/Los_Angeles", "2016-03-13T03:00:00-07:00", "2016-03-13T00:00:00-08:00"},
		{"2016-11-06T08:15:00Z", "America/Los_Angeles", "2016-11-06T01:00:00-07:00", "2016-11-06T00:00:00-07:00"},
		{"2016-11-06T09:15:00Z", "America/Los_Angeles", "2016-11-06T01:00:00-08:00", "2016-11-06T00:00:00-07:00"},
		{"2017-10-15T12:00:00Z", "America/Sao_Paulo", "2017-10-15T10:00:00-02:00", "2017-10-15T01:00:00-02:00"},
		{"2019-11-03T12:00:00Z", "America/Havana", "2019-11-03T07:00:00-05:00", "2019-11-03T00:00:00-05:00"},
		{"2024-04-06T15:10:00Z", "Australia/Lord_Howe", "2024-04-07T01:00:00+11:00", "2024-04-07T00:00:00+11:00"},
		{"1969-12-31T23:59:59Z", "UTC", "1969-12-31T23:00:00Z", "1969-12-31T00:00:00Z"},
	}
	for _, test := range tests {
		loc := zone(t, test.zone)
		if got := TruncateHour(instant(t, test.at), loc).Format(time.RFC3339); got != test.hour {
			t.Errorf("hour of %s in %s: got %s, want %s", test.at, test.zone, got, test.hour)
		}
		if got := TruncateDay(instant(t, test.at), loc).Format(time.RFC3339); got != test.day {
			t.Errorf("day of %s in %s: got %s, want %s", test.at, test.zone, got, test.day)
		}
	}
}

// Zones before the standard times have offsets of odd seconds. Ticks then are
// still increasing and on full minutes of the wall.
func TestOffsetsOfSeconds(t *testing.T) {
	for _, name := range []string{"Europe/Amsterdam", "America/New_York", "Africa/Monrovia", "Asia/Manila"} {
		s := parse(t, name, Field{"cron>", "*/30 * * * *"})
		at := instant(t, "1844-12-01T00:00:00Z")
		for range 5000 {
			tick, _ := s.Next(at)
			if !tick.Session.After(at) || tick.Session.Second() != 0 {
				t.Fatalf("%s: next(%s): got %s, want a later full minute", name, at, tick.Session)
			}
			at = tick.Session
		}
	}
}
