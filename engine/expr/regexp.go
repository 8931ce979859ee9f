package expr

import (
	"errors"
	"strings"

	"github.com/dop251/goja/parser"
)

// checkRegExp refuses patterns that may never end. A match cannot be interrupted; patterns with lookaround or back
// references are matched by backtracking, which takes exponential time when repetitions are nested.
func checkRegExp(pattern string) error {
	if len(pattern) > maxCode {
		return errors.New("the regular expression is longer than 64 KiB")
	}
	var backtracking parser.RegexpErrorIncompatible
	_, err := parser.TransformRegExp(pattern, false, false)
	if errors.As(err, &backtracking) && nestsRepetition(pattern) {
		return errors.New("the regular expression may never end: it has a repetition within a repetition beside lookaround" +
			" or back references")
	}
	return nil
}

// nestsRepetition tells whether a group that holds a choice or an open repetition is itself repeated without a bound.
func nestsRepetition(pattern string) bool {
	var groups []bool // of the groups that are open: whether they hold a choice or a repetition
	inClass, holds := false, false
	for i := 0; i < len(pattern); i++ {
		c := pattern[i]
		switch {
		case c == '\\':
			i++
		case inClass:
			inClass = c != ']'
		case c == '[':
			inClass = true
		case c == '(':
			groups, holds = append(groups, holds), false
			if strings.HasPrefix(pattern[i+1:], "?") {
				i++ // belongs to the group, repeats nothing
			}
		case c == ')' && len(groups) > 0:
			if holds && repeats(pattern[i+1:]) {
				return true
			}
			holds = holds || groups[len(groups)-1]
			groups = groups[:len(groups)-1]
		case c == '|' || c == '?' || repeats(pattern[i:]):
			holds = true
		}
	}
	return false
}

// repeats tells whether rest begins with a repetition that has no upper bound.
func repeats(rest string) bool {
	if strings.HasPrefix(rest, "*") || strings.HasPrefix(rest, "+") {
		return true
	}
	count, _, closed := strings.Cut(rest, "}")
	return closed && strings.HasPrefix(count, "{") && strings.Contains(count, ",")
}
