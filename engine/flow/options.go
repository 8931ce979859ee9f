package flow

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"gitdag/engine/params"
)

// HasTemplate tells whether v, or a value in it, is a template that has to be
// evaluated before it can be read.
func HasTemplate(v any) bool {
	switch v := v.(type) {
	case params.Template:
		return strings.Contains(string(v), "${")
	case params.List:
		for _, e := range v {
			if HasTemplate(e) {
				return true
			}
		}
	case *params.Map:
		for _, e := range v.All() {
			if HasTemplate(e) {
				return true
			}
		}
	}
	return false
}

// ParseRetry reads a `_retry` option: a number of repetitions, or a mapping
// with limit, interval, interval_type and max_interval in seconds
// (language.md 4.7).
func ParseRetry(v any) (Retry, error) {
	m, ok := v.(*params.Map)
	if !ok {
		limit, err := wholeNumber(v)
		if err != nil {
			return Retry{}, fmt.Errorf("invalid _retry: %w", err)
		}
		return Retry{Limit: limit}, nil
	}
	raw, ok := m.Lookup("limit")
	if !ok {
		return Retry{}, fmt.Errorf("invalid _retry: limit is missing")
	}
	var r Retry
	var err error
	if r.Limit, err = wholeNumber(raw); err != nil {
		return Retry{}, fmt.Errorf("invalid _retry: limit: %w", err)
	}
	if r.Interval, err = seconds(m, "interval"); err != nil {
		return Retry{}, err
	}
	if r.Max, err = seconds(m, "max_interval"); err != nil {
		return Retry{}, err
	}
	kind := "constant"
	if raw, ok := m.Lookup("interval_type"); ok && raw != nil {
		if kind, ok = params.Text(raw); !ok {
			return Retry{}, fmt.Errorf("invalid _retry: interval_type must be constant or exponential")
		}
	}
	switch strings.ToLower(kind) {
	case "constant":
	case "exponential":
		r.Exponential = true
	default:
		return Retry{}, fmt.Errorf("invalid _retry: interval_type %q is neither constant nor exponential", kind)
	}
	return r, nil
}

// ParseParallel reads a `_parallel` option: a boolean, its text, or a mapping
// with a limit (language.md 3.2).
func ParseParallel(v any) (Parallel, error) {
	switch v := v.(type) {
	case bool:
		return Parallel{On: v}, nil
	case *params.Map:
		raw, ok := v.Lookup("limit")
		if !ok {
			return Parallel{}, fmt.Errorf("invalid _parallel format: limit is missing")
		}
		n, err := wholeNumber(raw)
		if err != nil {
			return Parallel{}, fmt.Errorf("invalid _parallel format: limit: %w", err)
		}
		return Parallel{On: true, Limit: max(n, 0)}, nil
	}
	text, ok := params.Text(v)
	if ok {
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true":
			return Parallel{On: true}, nil
		case "false", "":
			return Parallel{}, nil
		}
	}
	return Parallel{}, fmt.Errorf("invalid _parallel format: %v is neither a boolean nor a mapping with limit", v)
}

// seconds reads an optional whole number of seconds.
func seconds(m *params.Map, key string) (time.Duration, error) {
	raw, ok := m.Lookup(key)
	if !ok || raw == nil {
		return 0, nil
	}
	n, err := wholeNumber(raw)
	if err != nil {
		return 0, fmt.Errorf("invalid _retry: %s: %w", key, err)
	}
	return time.Duration(max(n, 0)) * time.Second, nil
}

// wholeNumber converts as Digdag's integer reads do: a number is cut off, a
// text must hold an integer, an empty text is zero (language.md 5.7).
func wholeNumber(v any) (int, error) {
	switch v := v.(type) {
	case params.Number:
		f, ok := new(big.Float).SetString(string(v))
		if !ok {
			return 0, fmt.Errorf("%s is not a number", v)
		}
		n, _ := f.Int64()
		if int64(int32(n)) != n {
			return 0, fmt.Errorf("%s is out of range", v)
		}
		return int(n), nil
	}
	text, ok := params.Text(v)
	if !ok {
		return 0, fmt.Errorf("a whole number is needed")
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return int(n), nil
}
