package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// lastDay stands for `L` among the days of a month.
const lastDay = 32

// parsePatterns reads Digdag's cron dialect: alternatives separated by `|`,
// each of five fields. The result is never empty.
func parsePatterns(text string) ([]pattern, error) {
	const most = 100 // each costs time at every tick
	alternatives := tokens(text, '|')
	if len(alternatives) > most {
		return nil, fmt.Errorf("invalid pattern: it has %d alternatives, at most %d are allowed", len(alternatives), most)
	}
	var ps []pattern
	for _, alternative := range alternatives {
		if strings.TrimSpace(alternative) == "" {
			continue
		}
		specs, err := rewrite(alternative)
		if err != nil {
			return nil, fmt.Errorf("invalid pattern %q: %w", text, err)
		}
		var alive bool
		for _, s := range specs {
			p, err := s.pattern()
			if err != nil {
				return nil, fmt.Errorf("invalid pattern %q: %w", text, err)
			}
			if p.possible() {
				alive = true
				ps = append(ps, p)
			}
		}
		if !alive {
			return nil, fmt.Errorf("invalid pattern %q: %q never matches", text, strings.TrimSpace(alternative))
		}
	}
	if len(ps) == 0 {
		return nil, fmt.Errorf("invalid pattern %q: it is empty", text)
	}
	return ps, nil
}

// spec is an alternative in robfig/cron's field syntax.
type spec struct {
	fields [5]string
	last   bool
}

// rewrite turns one alternative into robfig/cron's syntax, in which ranges do
// not wrap around, `5/15` is not just 5 and the last day has no name. `L` takes
// a spec of its own.
func rewrite(alternative string) ([]spec, error) {
	fields := [5]cronField{
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of month", min: 1, max: 31, last: true},
		{name: "month", min: 1, max: 12, names: "jan feb mar apr may jun jul aug sep oct nov dec"},
		{name: "day of week", max: 7, names: "sun mon tue wed thu fri sat", week: true},
	}
	texts := strings.Fields(alternative)
	if len(texts) != len(fields) {
		return nil, fmt.Errorf("expected 5 fields but got %d", len(texts))
	}
	var s spec
	var last bool
	for i, f := range fields {
		if texts[i] == "*" {
			s.fields[i] = "*"
			continue
		}
		values, err := f.values(texts[i])
		if err != nil {
			return nil, err
		}
		if n := len(values); f.last && values[n-1] == lastDay {
			last = true
			values = values[:n-1]
		}
		s.fields[i] = join(values)
	}
	specs := make([]spec, 0, 2)
	if s.fields[2] != "" {
		specs = append(specs, s)
	}
	if last {
		s.fields[2], s.last = "28-31", true
		specs = append(specs, s)
	}
	return specs, nil
}

func join(values []int) string {
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(v), 10)
	}
	return string(b)
}

// cronField is one of the five fields of a pattern.
type cronField struct {
	name     string
	min, max int
	names    string // space-separated names of the values from min on
	week     bool   // 7 is another name of 0
	last     bool   // L is a value
}

// values lists what a field stands for, in order and without duplicates. It is
// never empty.
func (f cronField) values(text string) ([]int, error) {
	var set uint64
	for _, element := range tokens(text, ',') {
		s, err := f.element(element)
		if err != nil {
			return nil, err
		}
		set |= s
	}
	if set == 0 {
		return nil, fmt.Errorf("%s %q is empty", f.name, text)
	}
	var values []int
	for v, ok := bit(set, 0, 1); ok; v, ok = bit(set, v+1, 1) {
		values = append(values, v)
	}
	return values, nil
}

// element reads `*`, a value or a range, with or without a step, as a set. The
// step counts along the range, through its wrap.
func (f cronField) element(text string) (uint64, error) {
	parts := tokens(text, '/')
	if len(parts) < 1 || len(parts) > 2 {
		return 0, fmt.Errorf("%s %q is not understood", f.name, text)
	}
	values, err := f.span(parts[0])
	if err != nil {
		return 0, err
	}
	step := 1
	if len(parts) == 2 {
		if step, err = strconv.Atoi(parts[1]); err != nil || step < 1 {
			return 0, fmt.Errorf("%s %q has a bad step", f.name, text)
		}
	}
	var set uint64
	for i := 0; i < len(values); i += min(step, len(values)) {
		// A range over the end of the week passes 0 twice, as 7 and as 0, and
		// Digdag's step counts both; as a value 7 matches nothing.
		if !f.week || values[i] < 7 {
			set |= 1 << values[i]
		}
	}
	return set, nil
}

func (f cronField) span(text string) ([]int, error) {
	if text == "*" {
		return count(nil, f.min, f.max), nil
	}
	// A leading minus is an empty first bound, which is ignored: -1 is 1.
	bounds := tokens(text, '-')
	if len(bounds) < 1 || len(bounds) > 2 {
		return nil, fmt.Errorf("%s %q is not understood", f.name, text)
	}
	from, err := f.value(bounds[0])
	if err != nil || len(bounds) == 1 {
		return []int{from}, err
	}
	to, err := f.value(bounds[1])
	if err != nil {
		return nil, err
	}
	if from <= to {
		return count(nil, from, to), nil
	}
	return count(count(nil, from, f.max), f.min, to), nil
}

func (f cronField) value(text string) (int, error) {
	if f.last && strings.EqualFold(text, "L") {
		return lastDay, nil
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		if i := slices.Index(strings.Fields(f.names), strings.ToLower(text)); i >= 0 {
			return f.min + i, nil
		}
		return 0, fmt.Errorf("%s %q is not understood", f.name, text)
	}
	if v < f.min || v > f.max {
		return 0, fmt.Errorf("%s %q is not in %d–%d", f.name, text, f.min, f.max)
	}
	if f.week {
		v %= 7
	}
	return v, nil
}

// tokens splits at a separator and drops empty parts.
func tokens(text string, separator rune) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == separator })
}

func count(to []int, from, last int) []int {
	for v := from; v <= last; v++ {
		to = append(to, v)
	}
	return to
}
