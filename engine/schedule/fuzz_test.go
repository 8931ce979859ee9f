package schedule

import (
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	f.Add("cron>", "*/15 8-18/2 L,1-5 nov-feb fri-mon|0 0 29 2 mon", "", "", "Europe/Berlin", int64(1711846800))
	f.Add("daily>", "-1:00:00", "2031-03-30", "2031-04-30", "Asia/Beirut", int64(1932501600))
	f.Add("weekly>", "mon-fri,09:00:00", "2024-01-01", "", "Pacific/Apia", int64(1325203200))
	f.Add("monthly>", "31,30:00:00", "", "2024-01-01", "America/Havana", int64(0))
	f.Add("hourly>", "15:00", "", "", "Australia/Lord_Howe", int64(-5000000000))
	f.Add("minutes_interval>", "59", "", "", "UTC", int64(253370764799))
	f.Add("seconds_interval>", "7", "x", "y", "Africa/Casablanca", int64(1))
	f.Fuzz(func(t *testing.T, key, value, start, end, name string, at int64) {
		loc, err := time.LoadLocation(name)
		if err != nil {
			loc = time.UTC
		}
		fields := []Field{{key, value}, {"start", start}, {"end", end}}
		if start == "" {
			fields[1].Value = nil
		}
		if end == "" {
			fields[2].Value = nil
		}
		s, err := Parse(fields, loc)
		if s == nil {
			if err == nil || len(Faults(err)) == 0 {
				t.Fatalf("%q: got no schedule and no fault: %v", fields, err)
			}
			return
		}
		checkTicks(t, s, time.Unix(at%(2*never), 0))
	})
}

// checkTicks asks for what must hold whatever the schedule is.
func checkTicks(t *testing.T, s *Schedule, at time.Time) {
	t.Helper()
	for range 3 {
		tick, ok := s.Next(at)
		if !ok {
			break
		}
		if !tick.Session.After(at) {
			t.Fatalf("next(%s): got %s, which is not after it", at, tick.Session)
		}
		at = tick.Session
	}
	last, ok := s.Last(at)
	if !ok {
		return
	}
	if !last.Session.Before(at) {
		t.Fatalf("last(%s): got %s, which is not before it", at, last.Session)
	}
	if at.Before(Never) {
		if u := s.series.next(newClock(s.zone), last.Session.Unix()); u < at.Unix() {
			t.Fatalf("last(%s): got %s, but %s is between", at, last.Session, time.Unix(u, 0))
		}
	}
	s.Between(at.AddDate(0, -1, 0), at, 10)
}
