package expr

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"
	"github.com/dop251/goja/parser"
)

// Regular expressions are matched here and not by the JavaScript engine, whose matches can be neither interrupted nor
// bounded. Go's own matcher takes linear time and reads through a reader that ends when the watch interrupts. What it
// lacks, lookaround and back references, is matched by backtracking, which has a deadline and a limit of memory.

const (
	maxPattern   = 8 << 10 // bytes of a regular expression
	maxBacktrack = 4 << 20 // entries of the backtracking matcher's stack
	maxPatterns  = 100     // compiled ones that a runtime keeps
	// leastMatch is the time that a backtracking match gets when there is next to none left.
	leastMatch = 50 * time.Millisecond
)

// patternKey is a regular expression: JavaScript's source, and the flags i, m and s that change what it matches.
type patternKey struct{ source, flags string }

// A pattern is a compiled regular expression. Positions are counted in UTF-16 units.
type pattern struct {
	patternKey
	linear       *regexp.Regexp // nil if it needs backtracking
	looksBehind  bool           // linear looks at what stands before the place where it begins
	backtracking *regexp2.Regexp
}

// compilePattern tells, in JavaScript's words, what is wrong with a pattern.
func compilePattern(key patternKey) (*pattern, error) {
	if len(key.source) > maxPattern {
		return nil, fmt.Errorf("the regular expression is longer than %d KiB", maxPattern>>10)
	}
	p := &pattern{patternKey: patternKey{source: escapeAstral(key.source), flags: key.flags}}
	linear, err := parser.TransformRegExp(p.source, strings.Contains(p.flags, "s"), false)
	if err == nil {
		if p.flags != "" {
			linear = "(?" + p.flags + ":" + linear + ")"
		}
		if p.linear, err = regexp.Compile(linear); err == nil {
			p.looksBehind = looksBehind(linear)
			return p, nil
		}
	}
	backtracking := parser.RegexpErrorIncompatible{}
	tooLarge := (*syntax.Error)(nil)
	if errors.As(err, &backtracking) || errors.As(err, &tooLarge) && tooLarge.Code == syntax.ErrInvalidRepeatSize {
		err = p.backtrack()
	}
	if err != nil {
		return nil, fmt.Errorf("Invalid regular expression: /%s/: %w", key.source, err) //nolint:staticcheck // JavaScript's words
	}
	return p, nil
}

func (p *pattern) backtrack() (err error) {
	if p.backtracking != nil {
		return nil
	}
	options := regexp2.ECMAScript
	if strings.Contains(p.flags, "i") {
		options |= regexp2.IgnoreCase
	}
	if strings.Contains(p.flags, "m") {
		options |= regexp2.Multiline
	}
	if strings.Contains(p.flags, "s") {
		options |= regexp2.Singleline
	}
	p.backtracking, err = regexp2.Compile(p.source, options, regexp2.OptionMaxBacktrackingStackSize(maxBacktrack))
	return err
}

// escapeAstral writes characters beyond the first 65536 as the two units that a text holds for each.
func escapeAstral(source string) string {
	if !strings.ContainsFunc(source, func(c rune) bool { return c > 0xffff }) {
		return source
	}
	var out strings.Builder
	for _, c := range source {
		if high, low := utf16.EncodeRune(c); c > 0xffff {
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		} else {
			out.WriteRune(c)
		}
	}
	return out.String()
}

func looksBehind(linear string) bool {
	tree, err := syntax.Parse(linear, syntax.Perl)
	if err != nil {
		return true
	}
	var within func(*syntax.Regexp) bool
	within = func(tree *syntax.Regexp) bool {
		switch tree.Op {
		case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
			return true
		}
		for _, part := range tree.Sub {
			if within(part) {
				return true
			}
		}
		return false
	}
	return within(tree)
}

// match finds the first match at or behind start: where it and its groups begin and end, -1 for a group without one.
// It returns nil if there is none.
func (p *pattern) match(text []rune, start int, stopped func() bool, left time.Duration) ([]int, error) {
	if p.linear == nil || start > 0 && p.looksBehind {
		return p.matchBacktracking(text, start, left)
	}
	found := p.linear.FindReaderSubmatchIndex(&unitReader{units: text[start:], stopped: stopped})
	if stopped() {
		return nil, errors.New("the regular expression takes too long")
	}
	for i := range found {
		if found[i] >= 0 {
			found[i] += start
		}
	}
	return found, nil
}

func (p *pattern) matchBacktracking(text []rune, start int, left time.Duration) ([]int, error) {
	if err := p.backtrack(); err != nil {
		return nil, err
	}
	// The matcher's clock ticks so seldom that it may be two ticks late.
	p.backtracking.MatchTimeout = max(left-2*regexp2.DefaultClockPeriod, leastMatch)
	match, err := p.backtracking.FindRunesMatchStartingAt(text, start)
	switch {
	case errors.Is(err, regexp2.ErrBacktrackingStackLimit):
		return nil, errors.New("the regular expression needs too much memory for this text")
	case err != nil:
		return nil, errors.New("the regular expression takes too long") // its own words hold the text
	case match == nil:
		return nil, nil
	}
	groups := match.Groups()
	found := make([]int, 0, 2*len(groups))
	for _, group := range groups {
		if len(group.Captures) == 0 {
			found = append(found, -1, -1)
		} else {
			found = append(found, group.RuneIndex, group.RuneIndex+group.RuneLength)
		}
	}
	return found, nil
}

// A unitReader reads UTF-16 units one by one, and ends early when the evaluation is stopped.
type unitReader struct {
	units   []rune
	at      int
	stopped func() bool
}

func (r *unitReader) ReadRune() (c rune, size int, err error) {
	if r.at >= len(r.units) || r.at%64 == 0 && r.stopped() {
		return 0, 0, io.EOF
	}
	r.at++
	return r.units[r.at-1], 1, nil
}

// patterns is what a runtime remembers of regular expressions: the compiled ones, and the last text as units.
type patterns struct {
	compiled map[patternKey]*pattern
	text     goja.String
	units    []rune
}

func (c *patterns) get(key patternKey) (*pattern, error) {
	if p := c.compiled[key]; p != nil {
		return p, nil
	}
	p, err := compilePattern(key)
	if err != nil {
		return nil, err
	}
	if len(c.compiled) >= maxPatterns || c.compiled == nil {
		c.compiled = map[patternKey]*pattern{}
	}
	c.compiled[key] = p
	return p, nil
}

func (c *patterns) unitsOf(text goja.String) []rune {
	if c.text != nil && c.text.StrictEquals(text) {
		return c.units
	}
	c.text, c.units = text, make([]rune, text.Length())
	for i := range c.units {
		c.units[i] = rune(text.CharAt(i))
	}
	return c.units
}

// matchRegExp finds the next match: (source, flags, text, start) to a list of positions, or null.
func (r *runtime) matchRegExp(call goja.FunctionCall) goja.Value {
	p, err := r.patterns.get(patternKey{call.Argument(0).String(), call.Argument(1).String()})
	if err != nil {
		r.throw("SyntaxError", err.Error())
	}
	text := call.Argument(2).ToString().(goja.String)
	start := call.Argument(3).ToInteger()
	if start < 0 || start > int64(text.Length()) {
		return goja.Null()
	}
	if text.Length() > maxChars {
		r.throw("RangeError", fmt.Sprintf("a text of %d characters is too long", text.Length()))
	}
	found, err := p.match(r.patterns.unitsOf(text), int(start), r.stopped.Load, time.Until(r.deadline))
	if err != nil {
		r.throw("RangeError", err.Error())
	}
	if found == nil {
		return goja.Null()
	}
	positions := make([]any, len(found))
	for i, at := range found {
		positions[i] = at
	}
	return r.vm.NewArray(positions...)
}

// checkRegExp refuses a pattern before the engine compiles it as well.
func (r *runtime) checkRegExp(call goja.FunctionCall) goja.Value {
	key := patternKey{source: call.Argument(0).String()}
	for _, flag := range call.Argument(1).String() {
		switch flag {
		case 'i', 'm':
			key.flags += string(flag)
		case 'g':
		default:
			r.throw("SyntaxError", "Invalid flags supplied to RegExp constructor '"+call.Argument(1).String()+"'")
		}
	}
	if _, err := r.patterns.get(key); err != nil {
		r.throw("SyntaxError", err.Error())
	}
	return goja.Undefined()
}
