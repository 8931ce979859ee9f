package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOptions(t *testing.T) {
	s := parse(t, "UTC",
		Field{"daily>", "07:00:00"},
		Field{"skip_on_overtime", true},
		Field{"skip_delayed_by", "1h 30m"},
		Field{"catch_up", "last"})
	if !s.SkipOnOvertime() {
		t.Error("skip_on_overtime: got false, want true")
	}
	if d, ok := s.SkipDelayedBy(); !ok || d != 90*time.Minute {
		t.Errorf("skip_delayed_by: got %s, %v, want 1h30m", d, ok)
	}
	if s.CatchUp() != CatchUpLast {
		t.Errorf("catch_up: got %q, want last", s.CatchUp())
	}

	s = parse(t, "UTC", Field{"daily>", "07:00:00"}, Field{"skip_on_overtime", nil}, Field{"skip_delayed_by", nil}, Field{"catch_up", nil})
	if s.SkipOnOvertime() || s.CatchUp() != CatchUpDefault {
		t.Errorf("of nulls: got %v and %q, want the defaults", s.SkipOnOvertime(), s.CatchUp())
	}
	if d, ok := s.SkipDelayedBy(); ok {
		t.Errorf("of nulls: got skip_delayed_by %s, want none", d)
	}
}

func TestSkipOnOvertimeIsReadAsBoolean(t *testing.T) {
	for value, want := range map[any]bool{"True": true, " false ": false, "": false, json.Number("2"): true, json.Number("0"): false} {
		s := parse(t, "UTC", Field{"daily>", "07:00:00"}, Field{"skip_on_overtime", value})
		if s.SkipOnOvertime() != want {
			t.Errorf("%v: got %v, want %v", value, s.SkipOnOvertime(), want)
		}
	}
}

// delay and at cannot be deployed with Digdag (L48).
func TestDelayAndAt(t *testing.T) {
	tests := []struct {
		fields       []Field
		session, run string
	}{
		{[]Field{{"cron>", "0 3 * * *"}, {"delay", json.Number("600")}}, "03:00:00", "03:10:00"},
		{[]Field{{"minutes_interval>", json.Number("90")}, {"delay", "30"}}, "01:00:00", "01:00:30"},
		{[]Field{{"minutes_interval>", json.Number("90.7")}, {"delay", ""}}, "01:00:00", "01:00:00"},
		{[]Field{{"seconds_interval>", "5"}, {"delay", json.Number("-1")}}, "00:00:05", "00:00:04"},
		{[]Field{{"_type", "hourly"}, {"at", "05:00"}}, "01:00:00", "01:05:00"},
		{[]Field{{"_type", "daily"}, {"at", "06:00:00"}}, "00:00:00", "06:00:00"},
		{[]Field{{"_type", "weekly"}, {"at", "tue,06:00:00"}}, "00:00:00", "06:00:00"},
		{[]Field{{"_type", "monthly"}, {"_command", nil}, {"at", "2,06:00:00"}}, "00:00:00", "06:00:00"},
		{[]Field{{"_command", "0 3 * * *"}, {"_type", "cron"}}, "03:00:00", "03:00:00"},
	}
	for _, test := range tests {
		tick, _ := parse(t, "UTC", test.fields...).Next(instant(t, "2024-01-01T00:00:00Z"))
		got := tick.Session.Format(time.TimeOnly) + " " + tick.Run.Format(time.TimeOnly)
		if got != test.session+" "+test.run {
			t.Errorf("%v: got %s, want %s %s", test.fields, got, test.session, test.run)
		}
	}
}

// Unknown keys leave a schedule that `run` can go on with (L49).
func TestUnknownKeys(t *testing.T) {
	tests := []struct {
		fields []Field
		want   []*Error
	}{
		{
			[]Field{{"daily>", "07:00:00"}, {"skip_on_over_time", true}, {"ned", "2024-01-01"}},
			[]*Error{
				{Key: "skip_on_over_time", Suggestions: []string{"skip_on_overtime"}},
				{Key: "ned", Suggestions: nil},
			},
		},
		{[]Field{{"daily>", "07:00:00"}, {"dely", "1"}}, []*Error{{Key: "dely"}}},
		{[]Field{{"cron>", "0 0 * * *"}, {"dely", "1"}}, []*Error{{Key: "dely", Suggestions: []string{"delay"}}}},
		{[]Field{{"cron>", "0 0 * * *"}, {"star", nil}}, []*Error{{Key: "star", Suggestions: []string{"start"}}}},
		{[]Field{{"daily>", "07:00:00"}, {"delay", "1"}}, []*Error{{Key: "delay"}}},
		{[]Field{{"daily>", "07:00:00"}, {"hourly>", "07:00"}}, []*Error{{Key: "hourly>"}}},
		{[]Field{{"_type", "daily"}, {"_command", "07:00:00"}, {"at", "08:00:00"}}, []*Error{{Key: "at"}}},
		{[]Field{{"daily>", "07:00:00"}, {"_command", "08:00:00"}}, []*Error{{Key: "_command"}}},
		{[]Field{{"cron>", "0 0 * * *"}, {"at", "08:00:00"}}, []*Error{{Key: "at"}}},
	}
	for _, test := range tests {
		s, err := Parse(test.fields, nil)
		if s == nil {
			t.Errorf("%v: got no schedule, want one: %v", test.fields, err)
		}
		for _, e := range test.want {
			e.Kind = UnknownKey
			e.Msg = "Parameter '" + e.Key + "' is not used at schedule."
		}
		if diff := cmp.Diff(test.want, Faults(err)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", test.fields, diff)
		}
	}
}

func TestAtBesideACommand(t *testing.T) {
	_, err := Parse([]Field{{"daily>", "07:00:00"}, {"at", "08:00:00"}}, time.UTC)
	want := []*Error{{Kind: UnknownKey, Key: "at", Msg: "Parameter 'at' is not used at schedule. Write daily>: HH:MM:SS"}}
	if diff := cmp.Diff(want, Faults(err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestInvalid(t *testing.T) {
	list := []any{"x"}
	tests := []struct {
		fields []Field
		key    string
		msg    string
	}{
		{nil, "", "Schedule config requires 'type>: at' parameter"},
		{[]Field{{"_type", list}}, "_type", "Expected string type for key '_type' but got a list or a mapping"},
		{[]Field{{"dayly>", "07:00:00"}}, "dayly>", "Unknown scheduler type: dayly > Did you mean '[daily]'?"},
		{[]Field{{">", "07:00:00"}}, ">", "Unknown scheduler type: "},
		{[]Field{{"daily>", nil}}, "daily>", "daily> schedule needs a value for key 'daily>'"},
		{[]Field{{"_type", "cron"}, {"at", "1"}}, "_command", "cron> schedule needs a value for key '_command'"},
		{[]Field{{"daily>", list}}, "daily>", "Expected string type for key '_command' but got a list or a mapping"},
		{[]Field{{"daily>", true}}, "daily>", "daily> scheduler requires hh:mm:ss format: true"},
		{[]Field{{"daily>", "99999999:00:00"}}, "daily>", "daily> scheduler requires hh:mm:ss format: 99999999:00:00"},
		{[]Field{{"monthly>", "31,1"}}, "monthly>", "monthly> scheduler requires hh:mm:ss format: 1"},
		{[]Field{{"minutes_interval>", json.Number("0")}}, "minutes_interval>", "minutes_interval> must be at least 1 but is 0"},
		{[]Field{{"seconds_interval>", "null"}}, "seconds_interval>", "seconds_interval> must be at least 1 but is 0"},
		{[]Field{{"seconds_interval>", true}}, "seconds_interval>", "Expected integer (int) type for key '_command' but got true (boolean)"},
		{[]Field{{"minutes_interval>", json.Number("1e99")}}, "minutes_interval>", "Expected integer (int) type for key '_command' but got 1e99 (number)"},
		{[]Field{{"cron>", "* * * * *"}, {"delay", list}}, "delay", "Expected integer (int) type for key 'delay' but got a list or a mapping"},
		{[]Field{{"daily>", "07:00:00"}, {"skip_on_overtime", "yes"}}, "skip_on_overtime", `Expected boolean type for key 'skip_on_overtime' but got "yes" (string)`},
		{[]Field{{"daily>", "07:00:00"}, {"skip_delayed_by", json.Number("5")}}, "skip_delayed_by", `Invalid skip_delayed_by: expected a duration such as 1d 2h 3m 4s but got "5"`},
		{[]Field{{"daily>", "07:00:00"}, {"skip_delayed_by", list}}, "skip_delayed_by", "Expected string type for key 'skip_delayed_by' but got a list or a mapping"},
		{[]Field{{"daily>", "07:00:00"}, {"catch_up", "some"}}, "catch_up", "Invalid catch_up: some (all, last or none)"},
		{[]Field{{"daily>", "07:00:00"}, {"catch_up", list}}, "catch_up", "Expected string type for key 'catch_up' but got a list or a mapping"},
		{[]Field{{"daily>", "07:00:00"}, {"start", list}}, "start", "Expected string type for key 'start' but got a list or a mapping"},
		{[]Field{{"daily>", "07:00:00"}, {"start", "2024-1-1"}}, "start", "Invalid start: 2024-1-1"},
		{[]Field{{"daily>", "07:00:00"}, {"end", json.Number("2024")}}, "end", "Invalid end: 2024"},
	}
	for _, test := range tests {
		s, err := Parse(test.fields, time.UTC)
		if s != nil || err == nil || err.Error() != test.msg {
			t.Errorf("%v: got %v and error %q, want %q", test.fields, s, err, test.msg)
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Key != test.key || e.Kind != Invalid {
			t.Errorf("%v: got error about %q, want about %q", test.fields, e.Key, test.key)
		}
	}
}

func TestEveryFaultIsTold(t *testing.T) {
	s, err := Parse([]Field{{"daily>", "7"}, {"start", "x"}, {"catch_up", "x"}, {"x", "x"}}, time.UTC)
	var keys []string
	for _, f := range Faults(err) {
		keys = append(keys, f.Key)
	}
	if diff := cmp.Diff([]string{"daily>", "catch_up", "start", "x"}, keys); diff != "" || s != nil {
		t.Errorf("got schedule %v, keys (-want +got):\n%s", s, diff)
	}
	if got := Faults(fmt.Errorf("read x.dig: %w", err)); len(got) != 4 {
		t.Errorf("of a wrapped error: got %v, want all 4", got)
	}
	if got := Faults(nil); got != nil {
		t.Errorf("of no error: got %v, want none", got)
	}
}

// Digdag does not look at the start and end of seconds_interval>.
func TestSecondsIntervalIgnoresBounds(t *testing.T) {
	s := parse(t, "UTC", Field{"seconds_interval>", "5"}, Field{"start", "soon"}, Field{"end", "1999-01-01"})
	tick, ok := s.Next(instant(t, "2024-01-01T00:00:00Z"))
	if got, want := tick.Session.Format(time.RFC3339), "2024-01-01T00:00:05Z"; got != want || !ok {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
	}{
		{"30s", 30 * time.Second},
		{"1d2h3m4s", 26*time.Hour + 3*time.Minute + 4*time.Second},
		{" 1 D  2 H ", 26 * time.Hour},
		{"90m", 90 * time.Minute},
		{"0s", 0},
		{"106751d", 106751 * 24 * time.Hour},
	}
	for _, test := range tests {
		if got, err := ParseDuration(test.text); err != nil || got != test.want {
			t.Errorf("%q: got %s, %v, want %s", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", " ", "5", "1h1d", "1h1h", "-1s", "1.5h", "1x", "h", "1m 5", "106752d", "99999999999999999999s", "1h,2m"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestParseSLA(t *testing.T) {
	task := Field{"+page", map[string]any{"sh>": "page.sh"}}
	sla, rest, err := ParseSLA([]Field{{"duration", "00:30"}, {"fail", "true"}, {"alert", false}, {"warn", "00:20"}, task})
	if err != nil {
		t.Fatal(err)
	}
	if !sla.Fail || sla.Alert || sla.Warn != "00:20" {
		t.Errorf("got %+v, want fail, no alert, warn 00:20", sla)
	}
	if diff := cmp.Diff([]Field{task}, rest); diff != "" {
		t.Errorf("fields given back (-want +got):\n%s", diff)
	}
	sla, _, err = ParseSLA([]Field{{"time", "24:00"}})
	if err != nil || sla.Fail || !sla.Alert || sla.Warn != nil {
		t.Errorf("got %+v, %v, want the defaults", sla, err)
	}
	for _, fields := range [][]Field{
		{{"time", []any{}}},
		{{"duration", []any{}}},
		{{"time", "10:00"}, {"fail", "maybe"}},
		{{"time", "10:00"}, {"alert", []any{}}},
	} {
		if _, _, err := ParseSLA(fields); len(Faults(err)) != 1 || Faults(err)[0].Key != fields[len(fields)-1].Key {
			t.Errorf("%v: got error %v, want one about the last key", fields, err)
		}
	}
}

func TestSLATriggerKeepsFractions(t *testing.T) {
	tests := []struct {
		field Field
		want  string
	}{
		{Field{"time", "10:00"}, "2024-01-01T10:00:00.25Z"},
		{Field{"time", "09:59:59"}, "2024-01-02T09:59:59.25Z"},
		{Field{"time", "30:15"}, "2024-01-02T06:15:00.25Z"},
		{Field{"time", "-1:00"}, "2024-01-01T23:00:00.25Z"},
		{Field{"duration", "24:00"}, "2024-01-02T10:00:00.25Z"},
	}
	for _, test := range tests {
		sla, _, err := ParseSLA([]Field{test.field})
		if err != nil {
			t.Fatal(err)
		}
		if got := sla.Trigger(instant(t, "2024-01-01T10:00:00.25Z"), time.UTC).Format(time.RFC3339Nano); got != test.want {
			t.Errorf("%v: got %s, want %s", test.field, got, test.want)
		}
	}
}
