package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"gitdag/engine/flow"
)

// liveView is where a live tree is drawn.
type liveView struct {
	width, height int // of the terminal, in cells
	color, ascii  bool
}

// tinted is a piece of a line with its colour.
type tinted struct{ color, text string }

// Colours are SGR parameters; none for the terminal's own.
const (
	plainText = ""
	dimText   = "2"
	redText   = "31"
	greenText = "32"
	cyanText  = "36"
)

// liveFrame is one drawing of a model. The higher its level, the less it shows:
//
//	0  everything, and what comes next
//	1  nothing below what has succeeded
//	2  numbers instead of what has succeeded and what comes next
//	3  only what runs or has failed
type liveFrame struct {
	m     *liveModel
	v     liveView
	now   time.Time
	level int
	lines [][]tinted
}

const topLevel = 3

// frame draws the model in at most the view's height less one line, on which
// the cursor stands.
func (m *liveModel) frame(v liveView, now time.Time) []string {
	room := max(2, v.height-1)
	f := &liveFrame{m: m, v: v, now: now}
	for ; f.level <= topLevel; f.level++ {
		f.lines = f.lines[:0]
		for _, t := range m.roots {
			f.task(t, 0)
		}
		if len(f.lines)+1 <= room {
			break
		}
	}
	if over := len(f.lines) + 1 - room; over > 0 {
		f.lines = append(f.lines[:room-2], []tinted{{dimText, fmt.Sprintf("%s %d more lines", f.pick("…", "..."), over+1)}})
	}
	f.lines = append(f.lines, f.footer())
	text := make([]string, len(f.lines))
	for i, line := range f.lines {
		text[i] = f.v.fit(line)
	}
	return text
}

func (f *liveFrame) pick(text, ascii string) string {
	if f.v.ascii {
		return ascii
	}
	return text
}

func (f *liveFrame) footer() []tinted {
	words := []string{fmt.Sprintf("%d done", f.m.done), fmt.Sprintf("%d running", f.m.running)}
	if f.m.wrong > 0 {
		words = append(words, fmt.Sprintf("%d failed", f.m.wrong))
	}
	words = append(words, taken(f.now.Sub(f.m.started)))
	return []tinted{{dimText, strings.Join(words, f.pick(" · ", ", "))}}
}

func (f *liveFrame) add(depth int, parts ...tinted) {
	f.lines = append(f.lines, append([]tinted{{plainText, strings.Repeat("  ", depth)}}, parts...))
}

// task draws a task and what is to be seen below it.
func (f *liveFrame) task(t *liveTask, depth int) {
	f.add(depth, f.line(t, depth)...)
	if t.state.Failed() || t.failure != "" {
		f.failure(t, depth+1)
	}
	if t.state == flow.Success && f.level >= 1 {
		return
	}
	hidden := t.ended
	for _, kid := range t.kids {
		if kid.state == flow.Success && f.level >= 2 {
			hidden++
			continue
		}
		if hidden > 0 {
			f.many(depth+1, hidden, "done")
			hidden = 0
		}
		f.task(kid, depth+1)
	}
	if hidden > 0 {
		f.many(depth+1, hidden, "done")
	}
	f.next(t, depth+1)
}

// many stands for tasks that are not shown one by one.
func (f *liveFrame) many(depth, n int, what string) {
	if f.level == topLevel {
		return
	}
	icon := tinted{dimText, f.pick("· ", "- ")}
	if what == "done" {
		icon = tinted{greenText, f.pick("✓ ", "+ ")}
	}
	f.add(depth, icon, tinted{dimText, fmt.Sprintf("%d %s", n, what)})
}

// next draws what has yet to begin.
func (f *liveFrame) next(t *liveTask, depth int) {
	names, more := f.m.next(t, [...]int{10, 3, 0, 0}[f.level])
	for _, name := range names {
		f.add(depth, tinted{dimText, f.pick("· ", "- ") + name})
	}
	switch {
	case more == 0:
	case len(names) > 0:
		f.many(depth, more, "more to come")
	default:
		f.many(depth, more, "to come")
	}
}

// line is a task itself: its state, name, work and time.
func (f *liveFrame) line(t *liveTask, depth int) []tinted {
	icon, color := f.icon(t)
	tail := ""
	if t.rounds > 0 {
		tail += fmt.Sprintf("  retry %d", t.rounds)
	}
	if !t.began.IsZero() {
		end := t.over
		if end.IsZero() {
			end = f.now
		}
		tail += "  " + taken(end.Sub(t.began))
	}
	parts := []tinted{{color, icon + " "}, {plainText, t.name}}
	room := f.v.width - 2*depth - 2 - cells(t.name) - cells(tail) - 3
	if t.what != "" && room > 10 {
		parts = append(parts, tinted{dimText, "  " + f.cut(t.what, room)})
	}
	return append(parts, tinted{dimText, tail})
}

func (f *liveFrame) icon(t *liveTask) (icon, color string) {
	if f.m.stopped && !t.state.Final() {
		return f.pick("∅", "o"), dimText
	}
	switch t.state {
	case flow.Success:
		return f.pick("✓", "+"), greenText
	case flow.Error, flow.GroupError:
		return f.pick("✗", "x"), redText
	case flow.Canceled:
		return f.pick("∅", "o"), dimText
	case flow.RetryWaiting, flow.GroupRetryWaiting, flow.Ready, flow.Blocked:
		return f.pick("…", "~"), dimText
	}
	wheel := []rune(f.pick("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", `|/-\`))
	return string(wheel[int(f.now.UnixMilli()/100)%len(wheel)]), cyanText
}

// failure draws what a failing task has printed last, and why it failed.
func (f *liveFrame) failure(t *liveTask, depth int) {
	most := [...]int{10, 10, 5, 2}[f.level]
	for _, line := range t.lastLines(most) {
		f.add(depth, tinted{redText, f.pick("│ ", "| ")}, tinted{dimText, line})
	}
	for i, line := range strings.Split(strings.TrimSpace(t.failure), "\n") {
		if line = printable(line); line != "" && i < most {
			f.add(depth, tinted{redText, line})
		}
	}
}

// fit is a line that ends before the terminal's last cell, with its colours.
func (v liveView) fit(line []tinted) string {
	var b strings.Builder
	room := v.width - 1
	for _, s := range line {
		text := s.text
		if n := cells(text); n > room {
			text = cutTo(text, room)
		}
		room -= cells(text)
		if text == "" {
			continue
		}
		if v.color && s.color != plainText {
			text = "\x1b[" + s.color + "m" + text + "\x1b[0m"
		}
		b.WriteString(text)
	}
	return b.String()
}

func (f *liveFrame) cut(text string, room int) string {
	if cells(text) <= room {
		return text
	}
	mark := f.pick("…", "...")
	return cutTo(text, room-cells(mark)) + mark
}

// cutTo is the beginning of a text that fills at most so many cells.
func cutTo(text string, room int) string {
	for i, r := range text {
		if room -= runeCells(r); room < 0 {
			return text[:i]
		}
	}
	return text
}

// cells is how many cells of a terminal a text fills.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	if r < 0x7f {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// taken is a time as people read it at a glance.
func taken(d time.Duration) string {
	d = max(d, 0)
	s := int(d.Seconds())
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", s)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
}

// printable is a line as a terminal may be given it: without sequences that
// move the cursor, and what a carriage return overwrites.
func printable(line string) string {
	line = strings.TrimRight(line, "\r\n")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	var b strings.Builder
	for rest := line; rest != ""; {
		if n := escapeLength(rest); n > 0 {
			rest = rest[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		switch {
		case r == '\t' || r == '\n':
			b.WriteByte(' ')
		case unicode.IsPrint(r) || unicode.In(r, unicode.Mn, unicode.Me):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// escapeLength is the length of the control sequence at the beginning of a
// text; 0 if there is none. One without an end goes on to the end of the text.
func escapeLength(text string) int {
	if len(text) < 2 || text[0] != 0x1b {
		return 0
	}
	body := text[2:]
	switch text[1] {
	case '[': // parameters, then a letter
		return 2 + through(body, func(i int) bool { return body[i] >= 0x40 && body[i] <= 0x7e })
	case ']', 'P', '_', '^': // a text up to BEL or ESC \
		return 2 + through(body, func(i int) bool {
			return body[i] == 0x07 || body[i] == '\\' && i > 0 && body[i-1] == 0x1b
		})
	}
	body = text[1:] // marks, then a letter, as in ESC ( B
	return 1 + through(body, func(i int) bool { return body[i] < 0x20 || body[i] >= 0x30 })
}

// through is the length of a text up to and with the first byte that ends it.
func through(text string, ends func(i int) bool) int {
	for i := range len(text) {
		if ends(i) {
			return i + 1
		}
	}
	return len(text)
}
