package dig

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity tells an error, which keeps a workflow from being used, from a warning, which does not.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Diagnostic is one thing that is wrong, or doubtful, in a file.
type Diagnostic struct {
	// File is the path inside the project, with slashes.
	File string `json:"file"`
	// Line and Column count from 1, columns in characters. Both are 0 where no file is to blame.
	Line   int `json:"line"`
	Column int `json:"column"`

	Severity Severity `json:"severity"`
	// Key is the key in question; empty where there is none, as in a syntax error.
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
	// Hint says what to do about it; empty when the message says it all.
	Hint string `json:"hint,omitempty"`
}

// String is the diagnostic on one line, or two when there is a hint.
func (d Diagnostic) String() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		b.WriteByte(':')
		if d.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", d.Line, d.Column)
		}
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%s: %s", d.Severity, d.Message)
	if d.Hint != "" {
		b.WriteString("\n  hint: ")
		b.WriteString(d.Hint)
	}
	return b.String()
}

// Diagnostics are sorted by place. As an error they are the text of all of them.
type Diagnostics []Diagnostic

// Error is one diagnostic after the other, each on its own lines.
func (ds Diagnostics) Error() string { return ds.String() }

// String is one diagnostic after the other, each on its own lines.
func (ds Diagnostics) String() string {
	lines := make([]string, len(ds))
	for i, d := range ds {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}

// Errors returns those that are errors.
func (ds Diagnostics) Errors() Diagnostics { return ds.only(Error) }

// Warnings returns those that are warnings.
func (ds Diagnostics) Warnings() Diagnostics { return ds.only(Warning) }

func (ds Diagnostics) only(s Severity) Diagnostics {
	var out Diagnostics
	for _, d := range ds {
		if d.Severity == s {
			out = append(out, d)
		}
	}
	return out
}

// asError returns the errors among ds as an error, nil when there is none.
func (ds Diagnostics) asError() error {
	if errs := ds.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

func (ds Diagnostics) sort() {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
}

// maxReported is how many diagnostics of one severity a file may have before the rest is only counted: a hostile file
// could otherwise have one for every two bytes.
const maxReported = 100

// reports collects the diagnostics of one load.
type reports struct {
	list  Diagnostics
	count map[countKey]int
	seen  map[Diagnostic]bool // a file included twice is reported once
}

type countKey struct {
	file     string
	severity Severity
}

func (r *reports) add(d Diagnostic) {
	key := countKey{d.File, d.Severity}
	if r.full(key) || r.seen[d] {
		return
	}
	if r.seen == nil {
		r.seen, r.count = map[Diagnostic]bool{}, map[countKey]int{}
	}
	r.seen[d] = true
	r.count[key]++
	r.list = append(r.list, d)
	if r.full(key) {
		r.list = append(r.list, Diagnostic{
			File: d.File, Line: d.Line, Column: d.Column, Severity: d.Severity,
			Message: fmt.Sprintf("too many %ss in this file, the rest is not shown", d.Severity),
		})
	}
}

func (r *reports) full(key countKey) bool { return r.count[key] >= maxReported }
