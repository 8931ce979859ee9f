package schedule

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Field is one entry of a mapping. Its value is nil, a bool, a string or a
// json.Number; any other type stands for a value that no key here accepts.
type Field struct {
	Key   string
	Value any
}

// mapping reads fields by key and type, and remembers what was read.
type mapping struct {
	fields []Field
	read   map[string]bool
}

func newMapping(fields []Field) *mapping {
	return &mapping{fields: fields, read: map[string]bool{}}
}

// value returns what a key has; a null is like no key.
func (m *mapping) value(key string) (any, bool) {
	m.read[key] = true
	for _, f := range m.fields {
		if f.Key == key {
			return f.Value, f.Value != nil
		}
	}
	return nil, false
}

func (m *mapping) text(key string) (string, bool, error) {
	v, ok := m.value(key)
	if !ok {
		return "", false, nil
	}
	text, ok := asText(v)
	if !ok {
		return "", false, wrongType(key, key, "string", v)
	}
	return text, true, nil
}

func (m *mapping) boolean(key string, otherwise bool) (bool, error) {
	v, ok := m.value(key)
	if !ok {
		return otherwise, nil
	}
	b, ok := asBool(v)
	if !ok {
		return false, wrongType(key, key, "boolean", v)
	}
	return b, nil
}

func (m *mapping) integer(key string) (int64, error) {
	v, ok := m.value(key)
	if !ok {
		return 0, nil
	}
	n, ok := asInteger(v)
	if !ok {
		return 0, wrongType(key, key, "integer (int)", v)
	}
	return n, nil
}

// wrongType is the fault of a key whose value has a type that cannot be read.
// Digdag knows the command under another name than its key.
func wrongType(key, name, want string, v any) *Error {
	got := "a list or a mapping"
	switch v := v.(type) {
	case string:
		got = strconv.Quote(v) + " (string)"
	case json.Number:
		got = v.String() + " (number)"
	case bool:
		got = strconv.FormatBool(v) + " (boolean)"
	}
	return &Error{Key: key, Msg: fmt.Sprintf("Expected %s type for key '%s' but got %s", want, name, got)}
}

func asText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	default:
		return "", false
	}
}

// asBool reads a boolean as Digdag does: also from text and integers.
func asBool(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		n, err := v.Int64()
		return n != 0, err == nil
	case string:
		switch strings.TrimSpace(v) {
		case "true", "True":
			return true, true
		case "false", "False", "", "null":
			return false, true
		}
	}
	return false, false
}

// asInteger reads a 32-bit integer as Digdag does: decimals are truncated,
// text may hold one, and empty text is 0.
func asInteger(v any) (int64, bool) {
	switch v := v.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 32); err == nil {
			return n, true
		}
		f, err := v.Float64()
		if err != nil || !(math.Abs(f) < math.MaxInt32) {
			return 0, false
		}
		return int64(f), true
	case string:
		text := strings.TrimSpace(v)
		if text == "" || text == "null" {
			return 0, true
		}
		n, err := strconv.ParseInt(text, 10, 32)
		return n, err == nil
	default:
		return 0, false
	}
}

// unread lists the fields that nothing has asked for.
func (m *mapping) unread() []Field {
	var rest []Field
	for _, f := range m.fields {
		if !m.read[f.Key] {
			rest = append(rest, f)
		}
	}
	return rest
}
