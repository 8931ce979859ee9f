package schedule

import (
	"errors"
	"slices"
	"strings"
)

// Kind tells faults apart that callers treat differently.
type Kind int

// The kinds of faults.
const (
	// Invalid is a fault without which there is no schedule.
	Invalid Kind = iota
	// UnknownKey is a key that nothing reads; the schedule works without it.
	UnknownKey
)

// Error is one fault of a mapping. Its text is Digdag's where Digdag has one.
type Error struct {
	Kind        Kind
	Key         string   // the key it is about, empty for the mapping as a whole
	Msg         string   // without the suggestions
	Suggestions []string // keys that may have been meant, closest first
}

func (e *Error) Error() string {
	if len(e.Suggestions) == 0 {
		return e.Msg
	}
	return e.Msg + " > Did you mean '[" + strings.Join(e.Suggestions, ", ") + "]'?"
}

// Faults lists the faults that an error of Parse or ParseSLA consists of.
func Faults(err error) []*Error {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var faults []*Error
		for _, e := range joined.Unwrap() {
			faults = append(faults, Faults(e)...)
		}
		return faults
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return nil
}

// suggest returns the candidates that differ from a key in at most half of
// their characters, closest first.
func suggest(key string, candidates []string) []string {
	var found []string
	distances := map[string]int{}
	for _, c := range candidates {
		if len(key) > len(c)+len(c)/2 {
			continue // too far away however long the key is
		}
		if d := distance(key, c); d <= len(c)/2 {
			found = append(found, c)
			distances[c] = d
		}
	}
	slices.SortStableFunc(found, func(a, b string) int { return distances[a] - distances[b] })
	return found
}

// distance is the edit distance of two texts.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
