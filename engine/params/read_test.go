package params_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	. "gitdag/engine/params"
)

// readCase is one row: what a conversion makes of a value, or the words of its refusal.
type readCase struct {
	value any
	want  any
}

const refused = "refused"

func checkReads[T any](t *testing.T, name string, as Conversion[T], show func(T) any, cases []readCase) {
	t.Helper()
	for _, c := range cases {
		got, err := Required(Of("k", c.value), "k", as)
		if c.want == refused {
			if readError := new(ReadError); !errors.As(err, &readError) {
				t.Errorf("%s of %s: got %v, %v, want a refusal", name, Encode(c.value), got, err)
			}
			continue
		}
		if err != nil || show(got) != c.want {
			t.Errorf("%s of %s: got %v, %v, want %v", name, Encode(c.value), show(got), err, c.want)
		}
	}
}

func itself[T any](v T) any { return v }

// language.md §5.7, operators.md §2.8
func TestTypedReads(t *testing.T) {
	checkReads(t, "string", String, itself, []readCase{
		{"x", "x"},
		{Template("y"), "y"},
		{Number("5"), "5"},
		{Number("1.50"), "1.5"},
		{Number("1e3"), "1000.0"},
		{Number("123456789012345678901"), "123456789012345678901"},
		{true, "true"},
		{"", ""},
		{List{}, refused},
		{NewMap(0), refused},
	})
	checkReads(t, "int", Int, itself, []readCase{
		{Number("5"), 5},
		{Number("3.99"), 3},
		{Number("-3.99"), -3},
		{Number("1e3"), 1000},
		{" 7\n", 7},
		{"-7", -7},
		{"+7", 7},
		{"", 0},
		{" ", 0},
		{"null", 0},
		{"3.7", refused},
		{"x", refused},
		{true, refused},
		{List{}, refused},
		{Number("2147483647"), math.MaxInt32},
		{Number("2147483648"), refused},
		{"-2147483649", refused},
		{Number("1e300"), refused},
	})
	checkReads(t, "long", Long, itself, []readCase{
		{Number("2147483648"), int64(2147483648)},
		{"9223372036854775807", int64(math.MaxInt64)},
		{Number("9223372036854775808"), refused},
		{Number("1e19"), refused},
		{"", int64(0)},
		{false, refused},
	})
	checkReads(t, "boolean", Bool, itself, []readCase{
		{true, true},
		{false, false},
		{"true", true},
		{" True ", true},
		{"false", false},
		{"False", false},
		{"", false},
		{"null", false},
		{Number("0"), false},
		{Number("-0"), false},
		{Number("1"), true},
		{Number("-2"), true},
		{"yes", refused},
		{"1", refused},
		{"0", refused},
		{"TRUE", refused},
		{Number("1.0"), refused},
		{Number("0.0"), refused},
		{List{}, refused},
		{NewMap(0), refused},
	})
	shown := func(v List) any { return string(Encode(v)) }
	checkReads(t, "list", Array, shown, []readCase{{List{"x"}, `["x"]`}, {`["x"]`, refused}, {NewMap(0), refused}})
	checkReads(t, "parsed list", ParsedArray, shown, []readCase{
		{List{"x"}, `["x"]`}, {`["x", 1]`, `["x",1]`}, {`{}`, refused}, {`x`, refused}, {Number("1"), refused},
	})
	shownMap := func(v *Map) any { return string(Encode(v)) }
	checkReads(t, "object", Object, shownMap, []readCase{{Of("a", 1), `{"a":1}`}, {`{"a":1}`, refused}, {List{}, refused}})
	checkReads(t, "parsed object", ParsedObject, shownMap, []readCase{
		{Of("a", 1), `{"a":1}`}, {`{"a": 1}`, `{"a":1}`}, {`[]`, refused}, {``, refused},
	})
}

func TestTimesAndDurations(t *testing.T) {
	utc := func(v time.Time) any { return v.UTC().Format(time.RFC3339Nano) }
	checkReads(t, "instant", Instant, utc, []readCase{
		{"2016-01-02T03:04:05Z", "2016-01-02T03:04:05Z"},
		{"2016-01-02T03:04:05.25+09:00", "2016-01-01T18:04:05.25Z"},
		{"2016-01-02T03:04+00:00", "2016-01-02T03:04:00Z"},
		{"2016-01-02T03:04:05+0900", "2016-01-01T18:04:05Z"},
		{"2016-01-02T03:04:05", refused},
		{"2016-01-02", refused},
		{Number("0"), refused},
		{"", refused},
	})
	zone := time.FixedZone("", 9*3600)
	checkReads(t, "timestamp", Timestamp(zone), utc, []readCase{
		{Number("60"), "1970-01-01T00:01:00Z"},
		{"60", "1970-01-01T00:01:00Z"},
		{"2016-01-02T03:04:05Z", "2016-01-02T03:04:05Z"},
		{"2016-01-02T09:00:00", "2016-01-02T00:00:00Z"},
		{"2016-01-02T09:00", "2016-01-02T00:00:00Z"},
		{"", refused},
		{"2016-01-02", refused},
		{Number("1.5"), refused},
		{"99999999999999999999", refused},
		{true, refused},
	})
	checkReads(t, "duration", Duration, itself, []readCase{
		{"1h 30m", 90 * time.Minute},
		{"1d2h3m4s", 26*time.Hour + 3*time.Minute + 4*time.Second},
		{" 5 S ", 5 * time.Second},
		{"10D", 240 * time.Hour},
		{"0s", time.Duration(0)},
		{"1m1h", refused},
		{"1m 1m", refused},
		{"10", refused},
		{Number("10"), refused},
		{"", refused},
		{"m", refused},
		{"1x", refused},
		{"1.5h", refused},
		{"9999999999999d", refused},
		{"-1s", refused},
		{"1h 9", refused},
	})
}

func TestMissingAndDefaults(t *testing.T) {
	m := Of("null", nil, "n", 5, "bad", "x")
	if got, err := Optional(m, "absent", Int, 7); got != 7 || err != nil {
		t.Errorf("absent: got %v, %v, want 7", got, err)
	}
	if got, err := Optional(m, "null", Int, 7); got != 7 || err != nil {
		t.Errorf("null: got %v, %v, want 7", got, err)
	}
	if got, err := Optional(m, "n", Int, 7); got != 5 || err != nil {
		t.Errorf("given: got %v, %v, want 5", got, err)
	}
	if _, err := Optional(m, "bad", Int, 7); err == nil {
		t.Error("bad: want an error")
	}
	long := strings.Repeat("é", 200)
	for want, read := range map[string]func() error{
		`Parameter 'absent' is required but not set`: func() error { _, err := Required(m, "absent", String); return err },
		`Parameter 'null' is required but null`:      func() error { _, err := Required(m, "null", String); return err },
		`Expected integer (int) type for key '_command' but got "x" (string)`: func() error {
			_, err := Required(Of("_command", "x"), "_command", Int)
			return err
		},
		`Expected 'true' or 'false' for key 'b' but got [1] (array)`: func() error {
			_, err := Optional(Of("b", List{Number("1")}), "b", Bool, true)
			return err
		},
		`Expected string type for key 'o' but got {"a":null} (object)`: func() error {
			_, err := Required(Of("o", Of("a", nil)), "o", String)
			return err
		},
		`Expected integer (long) type for key 't' but got true (boolean)`: func() error {
			_, err := Required(Of("t", true), "t", Long)
			return err
		},
		`Expected array type for key 'n' but got 1.50 (number)`: func() error {
			_, err := Required(Of("n", Number("1.50")), "n", Array)
			return err
		},
		`Expected object type for key 'l' but got "` + strings.Repeat("é", 96) + `... (string)`: func() error {
			_, err := Required(Of("l", long), "l", Object)
			return err
		},
	} {
		if err := read(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// L65
func TestNumberNotations(t *testing.T) {
	for literal, want := range map[string][2]string{
		"1e3": {"1000.0", "1000"}, "2.0": {"2.0", "2"}, "1e-7": {"1.0E-7", "1e-7"}, "5": {"5", "5"}, "-0": {"-0", "0"}, "0.0": {"0.0", "0"},
		"1.50": {"1.5", "1.5"}, "0.001": {"0.001", "0.001"}, "0.0001": {"1.0E-4", "0.0001"}, "1e7": {"1.0E7", "10000000"},
		"9999999.5": {"9999999.5", "9999999.5"}, "1.25e21": {"1.25E21", "1.25e+21"}, "1e21": {"1.0E21", "1e+21"}, "1e20": {"1.0E20", "100000000000000000000"},
		"123456789012345678": {"123456789012345678", "123456789012345680"}, "0.000001": {"1.0E-6", "0.000001"}, "-1.5e-10": {"-1.5E-10", "-1.5e-10"},
		"1e400": {"Infinity", "null"}, "-1e400": {"-Infinity", "null"}, "0.1": {"0.1", "0.1"},
	} {
		n := Number(literal)
		if got := n.Java(); got != want[0] {
			t.Errorf("%s in Java: got %s, want %s", literal, got, want[0])
		}
		if got := n.JavaScript(); got != want[1] {
			t.Errorf("%s in JavaScript: got %s, want %s", literal, got, want[1])
		}
	}
}

func TestEnvText(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{"x\n", "x\n"},
		{Template("y"), "y"},
		{Number("1e3"), "1000.0"},
		{true, "true"},
		{nil, "null"},
		{List{Number("1e3"), "a", Number("3")}, `[1000.0,"a",3]`},
		{Of("k", Number("1e-7")), `{"k":1.0E-7}`},
	} {
		if got := EnvText(c.value); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
