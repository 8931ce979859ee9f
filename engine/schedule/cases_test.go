package schedule

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
)

// conformance is the recorded behaviour of Digdag, where gitdag keeps it.
type conformance struct {
	Cases []struct {
		ID       string
		Schedule mappingJSON
		Timezone string
		Op       string
		Input    time.Time
		Expect   tickJSON
	}
	Errors []struct {
		ID       string
		Schedule mappingJSON
		Valid    bool
		Contains string `json:"message_contains"`
	}
	Bounds []struct {
		Key, Value, Timezone string
		Instant              time.Time
	}
	SLA []struct {
		ID       string
		SLA      mappingJSON
		Timezone string
		Start    time.Time `json:"run_time"`
		Trigger  time.Time `json:"trigger_time"`
		Contains string    `json:"error_contains"`
	}
}

type tickJSON struct {
	Session time.Time `json:"session_time"`
	Run     time.Time `json:"run_time"`
}

// mappingJSON keeps the order of a JSON object's keys.
type mappingJSON []Field

func (m *mappingJSON) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t == nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value any
		if err := d.Decode(&value); err != nil {
			return err
		}
		*m = append(*m, Field{Key: key.(string), Value: value})
	}
	return nil
}

func readConformance(t *testing.T) conformance {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "conformance", "schedule_cases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c conformance
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// zone loads a zone by name or by offset.
func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	if at, err := time.Parse("-07:00", name); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(name, offset)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Sessions are named by midnight or the full hour (L41), and the tick before one is the true one (L47).
func TestConformanceTicks(t *testing.T) {
	cases := readConformance(t).Cases
	if len(cases) != 894 {
		t.Errorf("got %d cases, want 894", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			s, err := Parse(c.Schedule, zone(t, c.Timezone))
			if err != nil {
				t.Fatal(err)
			}
			ops := map[string]func(time.Time) (Tick, bool){"first": s.First, "next": s.Next, "last": s.Last}
			tick, ok := ops[c.Op](c.Input)
			want := Tick(c.Expect)
			if !equal(tick, want) {
				t.Errorf("%s(%s) of %v in %s: got %s, want %s", c.Op, c.Input.Format(time.RFC3339), c.Schedule, c.Timezone, show(tick), show(want))
			}
			if over := want.Session.Equal(Never); ok == over {
				t.Errorf("got ok %v, want %v", ok, !over)
			}
		})
	}
}

func equal(a, b Tick) bool { return a.Session.Equal(b.Session) && a.Run.Equal(b.Run) }

func show(t Tick) string {
	return t.Session.UTC().Format(time.RFC3339) + " run " + t.Run.UTC().Format(time.RFC3339)
}

func TestConformanceErrors(t *testing.T) {
	cases := readConformance(t).Errors
	if len(cases) != 48 {
		t.Errorf("got %d cases, want 48", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			s, err := Parse(c.Schedule, time.UTC)
			if c.Valid {
				if err != nil || s == nil {
					t.Errorf("%v: got error %v, want none", c.Schedule, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.Contains) {
				t.Errorf("%v: got error %v, want one with %q", c.Schedule, err, c.Contains)
			}
			for _, f := range Faults(err) {
				if f.Key != "" && !hasKey(c.Schedule, f.Key) {
					t.Errorf("%v: the error is about key %q, which is not there", c.Schedule, f.Key)
				}
			}
		})
	}
}

func hasKey(fields []Field, key string) bool {
	for _, f := range fields {
		if f.Key == key {
			return true
		}
	}
	return false
}

func TestConformanceBounds(t *testing.T) {
	cases := readConformance(t).Bounds
	if len(cases) != 4 {
		t.Errorf("got %d cases, want 4", len(cases))
	}
	for _, c := range cases {
		s, err := Parse([]Field{{"daily>", "00:00:00"}, {c.Key, c.Value}}, zone(t, c.Timezone))
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int64{"start": s.start, "end": s.end}[c.Key]
		if got != c.Instant.Unix() {
			t.Errorf("%s %s in %s: got %d, want %d", c.Key, c.Value, c.Timezone, got, c.Instant.Unix())
		}
	}
}

func TestConformanceSLA(t *testing.T) {
	cases := readConformance(t).SLA
	if len(cases) != 20 {
		t.Errorf("got %d cases, want 20", len(cases))
	}
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			sla, rest, err := ParseSLA(c.SLA)
			if c.Contains != "" {
				if err == nil || !strings.Contains(err.Error(), c.Contains) {
					t.Errorf("%v: got error %v, want one with %q", c.SLA, err, c.Contains)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]Field(nil), rest); diff != "" {
				t.Errorf("%v: fields given back (-want +got):\n%s", c.SLA, diff)
			}
			if got := sla.Trigger(c.Start, zone(t, c.Timezone)); !got.Equal(c.Trigger) {
				t.Errorf("%v from %s: got %s, want %s", c.SLA, c.Start, got.UTC(), c.Trigger)
			}
		})
	}
}
