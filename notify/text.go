package notify

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// escapes are the terminal sequences that programs colour and redraw their output with.
var escapes = regexp.MustCompile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])")

// clean makes foreign text fit to be shown: valid UTF-8 without control characters
// (tab and newline stay) and without marks that reorder or hide what follows.
func clean(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.ContainsRune(s, '\x1b') {
		s = escapes.ReplaceAllString(s, "")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
			return -1
		}
		return r
	}, s)
}

// oneLine is the first line of a text that holds anything, its white space collapsed.
func oneLine(s string) string {
	for line := range strings.Lines(clean(s)) {
		if words := strings.Fields(line); len(words) > 0 {
			return strings.Join(words, " ")
		}
	}
	return ""
}

// capped cuts a text to n characters, the last one an ellipsis when something was cut.
func capped(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	i := 0
	for pos := range s {
		if i++; i == n {
			return s[:pos] + "…"
		}
	}
	return s
}

// logTail keeps the last lines of a log within the limits of a message, newest first
// to be kept. Of a line that a program redrew with carriage returns the last state counts.
func logTail(lines []string) []string {
	lines = lines[max(0, len(lines)-LogLines):]
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		l = strings.TrimRight(l, "\r\n")
		l = l[strings.LastIndexByte(l, '\r')+1:]
		l = strings.ReplaceAll(clean(l), "\n", " ")
		out = append(out, capped(strings.TrimRight(l, " \t"), maxLogLine))
	}
	room, from := maxLog, len(out)
	for from > 0 {
		room -= utf8.RuneCountInString(out[from-1]) + 1
		if room < 0 {
			break
		}
		from--
	}
	return out[from:]
}

// span writes a duration as people say it: the two greatest units.
func span(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	units := []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for i, u := range units[:3] {
		if d < u.size {
			continue
		}
		rest := units[i+1]
		if n := d % u.size / rest.size; n > 0 {
			return fmt.Sprintf("%d%s %d%s", d/u.size, u.name, n, rest.name)
		}
		return fmt.Sprintf("%d%s", d/u.size, u.name)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// stamp writes an instant with its zone, seconds only where there are any.
func stamp(t time.Time) string {
	if t.Second() != 0 {
		return t.Format("2006-01-02 15:04:05 MST")
	}
	return t.Format("2006-01-02 15:04 MST")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Excerpt makes what another program said fit for an error: the first line that holds
// anything, without control characters, at most n characters.
func Excerpt(s string, n int) string { return capped(oneLine(s), n) }
