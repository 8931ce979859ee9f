package agent

import (
	"reflect"
	"strings"
)

// keysOf returns the keys that a part of the configuration knows.
func keysOf(part string) []string {
	var keys []string
	for _, t := range []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Repo](), reflect.TypeFor[RepoAuth](), reflect.TypeFor[Webhook](),
		reflect.TypeFor[Tasks](), reflect.TypeFor[Auth](), reflect.TypeFor[Alerts](), reflect.TypeFor[Slack](),
		reflect.TypeFor[Sync](), reflect.TypeFor[Limits](), reflect.TypeFor[Retention](),
		reflect.TypeFor[AttemptRetention](), reflect.TypeFor[LogRetention](),
	} {
		if t.Name() != part {
			continue
		}
		for i := range t.NumField() {
			if key := t.Field(i).Tag.Get("yaml"); key != "-" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// nearest returns the known key that a mistyped one is closest to, if it is
// close at all.
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := edits(strings.ToLower(key), k); d < distance {
			best, distance = k, d
		}
	}
	return best
}

// edits is the number of letters to change, add or drop between two words.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(diagonal+cost, row[j]+1, row[j+1]+1)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
