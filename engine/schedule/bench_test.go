package schedule

import (
	"testing"
	"time"
)

func BenchmarkNext(b *testing.B) {
	for _, text := range []string{"0 0 * * *", "*/5 * * * *", "* * * * *", "0 9 * * mon-fri", "0 0 29 2 mon", "0 0 13 * 5|0 0 L * *"} {
		b.Run(text, func(b *testing.B) {
			s := parse(b, "Europe/Berlin", Field{"cron>", text})
			at := instant(b, "2024-01-01T00:00:00Z")
			for b.Loop() {
				s.Next(at)
			}
		})
	}
}

func BenchmarkLast(b *testing.B) {
	for name, at := range map[string]string{"calm": "2024-06-15T00:00:00Z", "after a clock change": "2024-03-31T12:00:00Z"} {
		b.Run(name, func(b *testing.B) {
			s := parse(b, "Europe/Berlin", Field{"cron>", "* * * * *"})
			before := instant(b, at)
			for b.Loop() {
				s.Last(before)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, field := range []Field{{"daily>", "07:00:00"}, {"cron>", "*/5 8-18 * * mon-fri"}} {
		b.Run(field.Key, func(b *testing.B) {
			fields := []Field{field, {"skip_on_overtime", true}}
			for b.Loop() {
				if _, err := Parse(fields, time.UTC); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBetweenMonthOfMinutes(b *testing.B) {
	s := parse(b, "Europe/Berlin", Field{"minutes_interval>", "1"})
	from, to := instant(b, "2024-03-01T00:00:00Z"), instant(b, "2024-04-01T00:00:00Z")
	for b.Loop() {
		s.Between(from, to, 100)
	}
}
