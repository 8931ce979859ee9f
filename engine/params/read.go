package params

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A Conversion reads a value that is not null as a T. It returns what it expected, in the words of the error message,
// when the value is something else, and the empty string when all is well.
type Conversion[T any] func(v any) (value T, expected string)

// ReadError says that a parameter is missing, null or of another type than an operator needs.
type ReadError struct{ message string }

func (e *ReadError) Error() string { return e.message }

// Required reads the parameter key of m, for instance Required(m, "limit", Int). It fails when the parameter is
// absent, null or of another type, always with a *ReadError.
func Required[T any](m *Map, key string, as Conversion[T]) (T, error) {
	v, ok := m.Lookup(key)
	if ok && v != nil {
		return convert(key, v, as)
	}
	state := "null"
	if !ok {
		state = "not set"
	}
	var none T
	return none, &ReadError{fmt.Sprintf("Parameter '%s' is required but %s", key, state)}
}

// Optional reads like Required; a parameter that is absent or null has the value def.
func Optional[T any](m *Map, key string, as Conversion[T], def T) (T, error) {
	if v, _ := m.Lookup(key); v != nil {
		return convert(key, v, as)
	}
	return def, nil
}

func convert[T any](key string, v any, as Conversion[T]) (T, error) {
	value, expected := as(v)
	if expected == "" {
		return value, nil
	}
	var none T
	return none, &ReadError{
		fmt.Sprintf("Expected %s for key '%s' but got %s (%s)", expected, key, sample(v), typeName(v)),
	}
}

// sample is the JSON text of v, cut for error messages.
func sample(v any) string {
	const limit, mark = 100, "..."
	text := string(AppendJSON(nil, v))
	if utf8.RuneCountInString(text) < limit {
		return text
	}
	return string([]rune(text)[:limit-len(mark)]) + mark
}

func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case Number:
		return "number"
	case List:
		return "array"
	case *Map:
		return "object"
	}
	return "string"
}

// String takes texts, numbers (integers exactly, decimals in Java's notation) and booleans.
func String(v any) (string, string) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), ""
	case Number:
		return v.Java(), ""
	}
	if text, ok := Text(v); ok {
		return text, ""
	}
	return "", "string type"
}

// Int takes numbers within 32 bits, decimals cut off, and texts that hold an integer; blank text and "null" are 0.
func Int(v any) (int, string) {
	if n, ok := integer(v); ok && n >= math.MinInt32 && n <= math.MaxInt32 {
		return int(n), ""
	}
	return 0, "integer (int) type"
}

// Long is Int within 64 bits.
func Long(v any) (int64, string) {
	if n, ok := integer(v); ok {
		return n, ""
	}
	return 0, "integer (long) type"
}

func integer(v any) (int64, bool) {
	if number, ok := v.(Number); ok && !number.IsInteger() {
		f := math.Trunc(number.Float())
		return int64(f), f >= -1<<63 && f < 1<<63
	} else if ok {
		n, err := strconv.ParseInt(string(number), 10, 64)
		return n, err == nil
	}
	text, ok := trimmed(v)
	if ok && (text == "" || text == "null") {
		return 0, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, ok && err == nil
}

// trimmed is the text of v without the characters that Java's trim takes off.
func trimmed(v any) (string, bool) {
	text, ok := Text(v)
	return strings.TrimFunc(text, func(r rune) bool { return r <= ' ' }), ok
}

// Bool takes booleans, integers (0 is false), and the texts true, True, false, False; blank text and "null" are false.
func Bool(v any) (bool, string) {
	const expected = "'true' or 'false'"
	switch v := v.(type) {
	case bool:
		return v, ""
	case Number:
		if v.IsInteger() {
			return strings.Trim(string(v), "-0") != "", ""
		}
		return false, expected
	}
	text, ok := trimmed(v)
	if !ok {
		return false, expected
	}
	switch text {
	case "true", "True":
		return true, ""
	case "false", "False", "", "null":
		return false, ""
	}
	return false, expected
}

// Array takes lists.
func Array(v any) (List, string) {
	if list, ok := v.(List); ok {
		return list, ""
	}
	return nil, "array type"
}

// ParsedArray takes lists and texts that hold one as JSON.
func ParsedArray(v any) (List, string) { return Array(parsed(v)) }

// Object takes objects.
func Object(v any) (*Map, string) {
	if m, ok := v.(*Map); ok {
		return m, ""
	}
	return nil, "object type"
}

// ParsedObject takes objects and texts that hold one as JSON.
func ParsedObject(v any) (*Map, string) { return Object(parsed(v)) }

func parsed(v any) any {
	text, ok := Text(v)
	if !ok {
		return v
	}
	value, err := Parse([]byte(text))
	if err != nil {
		return v
	}
	return value
}

// Instant takes an ISO date and time with an offset or Z.
func Instant(v any) (time.Time, string) {
	text, _ := trimmed(v)
	if t, ok := parseTime(text, time.UTC, "T15:04:05Z07:00", "T15:04Z07:00", "T15:04:05Z0700", "T15:04:05Z07"); ok {
		return t, ""
	}
	return time.Time{}, "date and time with offset"
}

// Timestamp returns a conversion that takes what Instant takes, seconds since 1970 as integer or digits, and a date and
// time without an offset, which is then one of the zone.
func Timestamp(zone *time.Location) Conversion[time.Time] {
	return func(v any) (time.Time, string) {
		if t, expected := Instant(v); expected == "" {
			return t, ""
		}
		number, isNumber := v.(Number)
		text, isText := trimmed(v)
		digits := isText && text != "" && strings.Trim(text, "0123456789") == ""
		if digits || isNumber && number.IsInteger() {
			if seconds, ok := integer(v); ok {
				return time.Unix(seconds, 0), ""
			}
		}
		if t, ok := parseTime(text, zone, "T15:04:05", "T15:04"); ok {
			return t, ""
		}
		return time.Time{}, "timestamp"
	}
}

func parseTime(text string, zone *time.Location, clocks ...string) (time.Time, bool) {
	for _, clock := range clocks {
		if t, err := time.ParseInLocation(time.DateOnly+clock, text, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Duration takes text of the parts Nd Nh Nm Ns in this order, at least one, in any case, spaces allowed.
func Duration(v any) (time.Duration, string) {
	const expected = "duration such as '1h 30m'"
	text, _ := trimmed(v)
	var total time.Duration
	units := []struct {
		letter string
		length time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}
	if text == "" {
		return 0, expected
	}
	for text != "" {
		digits := text[:len(text)-len(strings.TrimLeft(text, "0123456789"))]
		n, err := strconv.ParseInt(digits, 10, 64)
		text = strings.TrimLeft(text[len(digits):], " \t\n\r")
		for len(units) > 0 && (text == "" || !strings.EqualFold(units[0].letter, text[:1])) {
			units = units[1:]
		}
		if err != nil || len(units) == 0 || n > int64((math.MaxInt64-total)/units[0].length) {
			return 0, expected
		}
		total += time.Duration(n) * units[0].length
		units = units[1:]
		text = strings.TrimLeft(text[1:], " \t\n\r")
	}
	return total, ""
}
