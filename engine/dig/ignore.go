package dig

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
)

const ignoreFile = ".digdagignore"

// Ignore are the patterns of a project's .digdagignore, in the syntax of .gitignore. A nil Ignore ignores nothing.
type Ignore struct{ rules []ignoreRule }

type ignoreRule struct {
	keep     bool // a ! pattern
	dirsOnly bool
	segments []string // of the path from the root; ** stands for any number of them
}

// ReadIgnore reads the .digdagignore of a project; without one it is nil.
func ReadIgnore(root *os.Root) (*Ignore, error) {
	l := newLoader(root)
	text, err := l.slurp(ignoreFile, maxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseIgnore(string(text)), nil
}

func parseIgnore(text string) *Ignore {
	ignore := &Ignore{}
	for line := range strings.Lines(text) {
		if r, ok := parseRule(strings.TrimRight(line, "\r\n")); ok {
			ignore.rules = append(ignore.rules, r)
		}
	}
	return ignore
}

func parseRule(line string) (ignoreRule, bool) {
	for strings.HasSuffix(line, " ") && !strings.HasSuffix(line, `\ `) {
		line = line[:len(line)-1]
	}
	if line == "" || line[0] == '#' {
		return ignoreRule{}, false
	}
	var r ignoreRule
	line, r.keep = strings.CutPrefix(line, "!")
	line, r.dirsOnly = strings.CutSuffix(line, "/")
	anchored := strings.Contains(line, "/")
	line = strings.TrimPrefix(line, "/")
	if line == "" {
		return ignoreRule{}, false
	}
	if !anchored {
		r.segments = []string{"**"}
	}
	for s := range strings.SplitSeq(line, "/") {
		n := len(r.segments)
		if s == "**" && n > 0 && r.segments[n-1] == "**" {
			continue
		}
		r.segments = append(r.segments, strings.ReplaceAll(s, "[!", "[^"))
	}
	if r.segments[len(r.segments)-1] == "**" { // what is in a directory, not the directory
		r.segments = append(r.segments, "*")
	}
	return r, true
}

// Match tells whether a path of the project, with slashes, is ignored: it, or a directory above it.
func (i *Ignore) Match(name string, dir bool) bool {
	if i == nil {
		return false
	}
	segments := strings.Split(name, "/")
	for n := 1; n < len(segments); n++ {
		if i.matches(segments[:n], true) {
			return true
		}
	}
	return i.matches(segments, dir)
}

// matches tells what the last rule that fits says.
func (i *Ignore) matches(segments []string, dir bool) bool {
	for n := len(i.rules) - 1; n >= 0; n-- {
		r := &i.rules[n]
		if (dir || !r.dirsOnly) && fits(r.segments, segments) {
			return !r.keep
		}
	}
	return false
}

// fits matches segment by segment. After a mismatch the last ** takes one segment more, so it costs at most the
// product of both lengths.
func fits(pattern, segments []string) bool {
	p, s := 0, 0
	star, mark := -1, 0
	for s < len(segments) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			star, mark = p, s
			p++
		case p < len(pattern) && fitsSegment(pattern[p], segments[s]):
			p++
			s++
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	return p == len(pattern)
}

func fitsSegment(pattern, segment string) bool {
	ok, err := path.Match(pattern, segment)
	return ok && err == nil
}
