package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"gitdag/agent/api"
)

// output is standard output that remembers its first error: what goes there as
// text is not checked line by line.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (n int, err error) {
	if o.err == nil {
		n, o.err = o.Writer.Write(p)
	}
	return n, o.err
}

// fileOf returns the file behind a stream, or nil.
func fileOf(stream any) *os.File {
	if o, ok := stream.(*output); ok {
		stream = o.Writer
	}
	f, _ := stream.(*os.File)
	return f
}

// field is a line of a block.
type field struct {
	label string
	value any
}

// block writes fields, one a line, and an empty line.
func block(w io.Writer, indent string, fields ...field) {
	for _, f := range fields {
		fmt.Fprintf(w, "%s%s: %v\n", indent, f.label, f.value)
	}
	fmt.Fprintln(w)
}

const clockFormat = "2006-01-02 15:04:05 -0700"

// localTime shows an instant as the clock of this machine does.
func localTime(t api.Instant) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(clockFormat)
}

// relative shows how far off a time is: "in 11h 4m 9s" or "3m 2s ago".
func relative(t api.Instant, now time.Time) string {
	d := t.Sub(now).Round(time.Second)
	if d > 0 {
		return "in " + elapsed(d)
	}
	return elapsed(-d) + " ago"
}

// localTimeFrom is localTime with how far off that is.
func localTimeFrom(t api.Instant, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return localTime(t) + " (" + relative(t, now) + ")"
}

// elapsed shows a length of time in days, hours, minutes and seconds.
func elapsed(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			parts = append(parts, fmt.Sprint(int64(n), unit.name))
			d -= n * unit.length
		}
	}
	if len(parts) == 0 {
		return "0s"
	}
	return strings.Join(parts, " ")
}

// paint colours a state on a terminal.
func (c *cli) paint(state string) string {
	colour := map[string]string{
		"success": "32", "error": "31", "group_error": "31", "killed": "33", "canceled": "33", "running": "36",
	}[state]
	if colour == "" || !c.colored() {
		return state
	}
	return "\x1b[" + colour + "m" + state + "\x1b[0m"
}

// object shows parameters as JSON on one line.
func object(v any) string {
	var text strings.Builder
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(text.String(), "\n")
}

func textOr(s *string, absent string) string {
	if s == nil {
		return absent
	}
	return *s
}

// printJSON writes data for other programs.
func (c *cli) printJSON(v any) error {
	e := json.NewEncoder(c.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// result prints what a command has found: as JSON if that is asked for, else as
// text writes it.
func (c *cli) result(o *clientOptions, v any, text func()) error {
	if o.json {
		return c.printJSON(v)
	}
	text()
	return nil
}

// hint tells people what they may do next.
func (c *cli) hint(format string, args ...any) {
	fmt.Fprintf(c.stderr, "hint: "+format+"\n", args...)
}

// warn tells people what is doubtful.
func (c *cli) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "warning: "+format+"\n", args...)
}

// quote makes one word of a text for a shell.
func quote(text string) string {
	safe := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./=@,", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
