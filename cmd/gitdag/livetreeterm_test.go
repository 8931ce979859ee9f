package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"

	"gitdag/engine/flow"
	"gitdag/engine/local"
)

// screen is a terminal as far as a live tree uses one: it wraps lines, scrolls,
// and knows the two sequences that move and erase.
type screen struct {
	width, height int
	lines         [][]rune // all, the last height of them are to be seen
	row, col      int
	wrapped       map[int]bool // rows that go on in the next one
	unknown       []string     // sequences that it does not know
}

func newScreen(width, height int) *screen {
	return &screen{width: width, height: height, lines: [][]rune{nil}, wrapped: map[int]bool{}}
}

func (s *screen) newLine() {
	s.row++
	s.col = 0
	if s.row == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

func (s *screen) Write(p []byte) (int, error) {
	for text := string(p); text != ""; {
		if n := escapeLength(text); n > 0 {
			s.control(text[:n])
			text = text[n:]
			continue
		}
		r, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		switch r {
		case '\r':
			s.col = 0
		case '\n':
			s.newLine()
		default:
			s.put(r)
		}
	}
	return len(p), nil
}

func (s *screen) put(r rune) {
	if s.col+runeCells(r) > s.width {
		s.wrapped[s.row] = true
		s.newLine()
	}
	line := s.lines[s.row]
	for len(line) <= s.col {
		line = append(line, ' ')
	}
	line[s.col] = r
	s.lines[s.row] = line
	s.col += max(1, runeCells(r))
}

func (s *screen) control(sequence string) {
	var n int
	switch {
	case sequence == "\x1b[J":
		s.lines = s.lines[:s.row+1]
		s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		for row := range s.wrapped {
			if row >= s.row {
				delete(s.wrapped, row)
			}
		}
	case strings.HasSuffix(sequence, "A"):
		if _, err := fmt.Sscanf(sequence, "\x1b[%dA", &n); err != nil {
			s.unknown = append(s.unknown, sequence)
		}
		s.row = max(s.row-n, len(s.lines)-s.height, 0)
	case strings.HasSuffix(sequence, "m"):
	default:
		s.unknown = append(s.unknown, sequence)
	}
}

// resize wraps the lines anew, as most terminals do.
func (s *screen) resize(width, height int) {
	old := *s
	*s = *newScreen(width, height)
	s.unknown = old.unknown
	for i, line := range old.lines {
		for _, r := range line {
			s.put(r)
		}
		if !old.wrapped[i] && i < len(old.lines)-1 {
			s.newLine()
		}
	}
}

func (s *screen) text() string {
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// drawnByHand is a live tree that draws when the test says so.
func drawnByHand(s *screen) *liveTree {
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	t := &liveTree{
		out: s, size: func() (int, int) { return s.width, s.height }, now: func() time.Time { return now },
		view: liveView{ascii: true}, printing: true, model: newLiveModel(now), open: map[uint64]*openLine{},
		stop: make(chan struct{}), idle: make(chan struct{}),
	}
	close(t.idle)
	return t
}

// The tree stays at the bottom and whole, whatever is printed and however the
// terminal changes its size.
func TestLiveTreeOnTheScreen(t *testing.T) {
	s := newScreen(60, 10)
	tree := drawnByHand(s)
	fmt.Fprintln(tree, "before")
	tree.draw()
	tree.Moved(local.Move{Task: 1, Name: "+w", Group: true, State: flow.Planned})
	tree.Moved(local.Move{Task: 2, Parent: 1, Name: "+a", State: flow.Running})
	tree.Began(2, "sh>: "+strings.Repeat("x", 100))
	tree.draw()
	for i := range 30 {
		tree.Output(2, "+w+a", fmt.Appendf(nil, "\x1b[Hline %d\npart", i))
		tree.draw()
	}
	s.resize(25, 8)
	tree.draw()
	tree.draw()
	s.resize(70, 12)
	tree.draw()
	tree.Moved(local.Move{Task: 2, Parent: 1, Name: "+a", State: flow.Success})
	tree.Moved(local.Move{Task: 1, Name: "+w", Group: true, State: flow.Success})
	tree.Close()
	fmt.Fprintln(tree, "after")

	want := []string{"before", "+a | line 0"}
	for i := 1; i < 30; i++ {
		want = append(want, fmt.Sprintf("+a | partline %d", i))
	}
	want = append(want, "+a | part", "+ +w  0.0s", "  + +a  sh>: "+strings.Repeat("x", 47)+"...  0.0s", "1 done, 0 running, 0.0s", "after", "")
	if diff := cmp.Diff(strings.Join(want, "\n"), s.text()); diff != "" {
		t.Errorf("screen (-want +got):\n%s", diff)
	}
	if len(s.unknown) > 0 {
		t.Errorf("sequences beyond the simplest: %q", s.unknown)
	}
}

// Much output is written at once, not collected; an endless line is cut.
func TestLiveTreeTakesAFlood(t *testing.T) {
	s := newScreen(80, 10)
	tree := drawnByHand(s)
	tree.Moved(local.Move{Task: 1, Name: "+w", State: flow.Running})
	for range 100 {
		tree.Output(1, "+w", bytes.Repeat([]byte("x"), 10_000))
		if len(tree.above) > mostAbove || len(tree.open[1].text) > 2*mostOpen {
			t.Fatalf("got %d and %d bytes waiting", len(tree.above), len(tree.open[1].text))
		}
	}
	tree.Close()
	if got := strings.Count(s.text(), "x"); got != 1_000_000 {
		t.Errorf("got %d characters, want 1000000", got)
	}
}

func TestShortName(t *testing.T) {
	for name, want := range map[string]string{"+w": "+w", "+w+a": "+a", "+w+a^sub+b": "+a^sub+b", "+w^error": "^error", "": ""} {
		if got := shortName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// terminalRun is a gitdag on a terminal of its own.
type terminalRun struct {
	cmd *exec.Cmd
	tty *os.File // the program's end
	pty *os.File // the user's end
	out bytes.Buffer
}

func onTerminal(t *testing.T, workflow string, env, args []string) *terminalRun {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(workflow), 0o644); err != nil {
		t.Fatal(err)
	}
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(user, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	r := &terminalRun{pty: user, tty: tty}
	t.Cleanup(func() { user.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r.cmd = exec.CommandContext(ctx, program(t), append([]string{"run", "w.dig", "--session", "2031-04-05"}, args...)...)
	r.cmd.Dir = dir
	r.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "NO_COLOR=") || strings.HasPrefix(s, "LC_") || strings.HasPrefix(s, "LANG=")
	}), append([]string{"TERM=xterm-256color", "LANG=C.UTF-8"}, env...)...)
	r.cmd.Stdin, r.cmd.Stdout, r.cmd.Stderr = tty, tty, tty
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return r
}

// readUntil reads what the program writes until that has the text.
func (r *terminalRun) readUntil(t *testing.T, text string) {
	t.Helper()
	buffer := make([]byte, 4096)
	for !strings.Contains(r.out.String(), text) {
		n, err := r.pty.Read(buffer)
		r.out.Write(buffer[:n])
		if err != nil {
			t.Fatalf("%v before %q was written: %s", err, text, r.out.String())
		}
	}
}

// end waits for the end and returns the exit status and what the screen shows.
func (r *terminalRun) end(t *testing.T) (status int, s *screen) {
	t.Helper()
	r.tty.Close()
	_, err := io.Copy(&r.out, r.pty)
	if err != nil && !errors.Is(err, syscall.EIO) { // what Linux says when the other end is closed
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := r.cmd.Wait(); errors.As(err, &exit) {
		status = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	s = newScreen(80, 24)
	_, _ = s.Write(r.out.Bytes())
	return status, s
}

const terminalWorkflow = `
+hello: {echo>: "hello, ${session_date}"}
+two:
  _parallel: true
  +a: {sh>: "printf '\\033[2Jfirst\\nsecond\\n'"}
  +b: {sh>: "sleep 0.3; echo some; echo more >&2; exit 7"}
+never: {echo>: x}
`

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

func lacks(t *testing.T, text string, unwanted ...string) {
	t.Helper()
	for _, text2 := range unwanted {
		if strings.Contains(text, text2) {
			t.Errorf("%q is in\n%s", text2, text)
		}
	}
}

func TestRunOnATerminal(t *testing.T) {
	r := onTerminal(t, terminalWorkflow, nil, nil)
	status, s := r.end(t)
	if status != 1 {
		t.Errorf("got status %d, want 1", status)
	}
	contains(t, s.text(),
		"+hello │ hello, 2031-04-05\n", "+two+a │ first\n+two+a │ second\n",
		"  ✓ +hello  echo>: hello, 2031-04-05  0.", "    ✗ +b  sh>: sleep 0.3; echo some; echo more >&2; exit 7  0.",
		"      │ some\n      │ more\n", "Command failed with code 7", "1 failed", "error:\n  * +w+two+b:\n")
	lacks(t, s.text(), "Task +w+two+b failed", "] (0", "+never")
	if len(s.unknown) > 0 {
		t.Errorf("sequences that move the cursor: %q", s.unknown)
	}
	contains(t, r.out.String(), "\x1b[31m✗ \x1b[0m", "\x1b[32m✓ \x1b[0m")
}

func TestRunOnATerminalWithoutColour(t *testing.T) {
	r := onTerminal(t, terminalWorkflow, []string{"NO_COLOR=1", "LANG=C"}, nil)
	_, s := r.end(t)
	contains(t, s.text(), "  + +hello  echo>: hello, 2031-04-05  0.", "    x +b  sh>: ")
	if strings.Contains(strings.ReplaceAll(r.out.String(), "\x1b[2J", ""), "m\x1b") || strings.Contains(r.out.String(), "\x1b[0m") {
		t.Errorf("colours: %q", r.out.String())
	}
	for _, c := range s.text() {
		if c > 0x7f {
			t.Errorf("the character %q in a terminal without UTF-8", c)
		}
	}
}

// Where no tree can be drawn, or log lines are wanted, all is as in a pipe.
func TestRunWithoutATree(t *testing.T) {
	for name, c := range map[string]struct{ env, args []string }{
		"dumb terminal":    {[]string{"TERM=dumb"}, nil},
		"unknown terminal": {[]string{"TERM="}, nil},
		"log lines wanted": {nil, []string{"-l", "debug"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := onTerminal(t, terminalWorkflow, c.env, c.args)
			status, _ := r.end(t)
			if status != 1 {
				t.Errorf("got status %d, want 1", status)
			}
			contains(t, r.out.String(), "]+w+hello): echo>: hello, 2031-04-05", "\nhello, 2031-04-05\r\n", "Task +w+two+b failed.\r\n")
			lacks(t, r.out.String(), "✓", "1 done", "\x1b[J")
		})
	}
}

// With a directory for logs, what tasks print goes there and not on the screen.
func TestRunOnATerminalWithTaskLogs(t *testing.T) {
	r := onTerminal(t, terminalWorkflow, nil, []string{"--task-log", "logs", "--log", "gitdag.log"})
	_, s := r.end(t)
	contains(t, s.text(), "      │ some\n      │ more\n")
	lacks(t, s.text(), "+two+a │", "starting a new session")
	logs, err := filepath.Glob(filepath.Join(r.cmd.Dir, "logs", "*", "*", "+w+two+a@*"))
	if err != nil || len(logs) != 1 {
		t.Errorf("logs: got %v, %v", logs, err)
	}
	lines, err := os.ReadFile(filepath.Join(r.cmd.Dir, "gitdag.log"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(lines), "starting a new session", "]+w+hello): echo>: hello", "Task +w+two+b failed.")
}

// Ctrl-C leaves the terminal as it was, and the tree of what was done.
func TestInterruptOnATerminal(t *testing.T) {
	r := onTerminal(t, "+a: {echo>: a}\n+b: {sh>: \"echo now; exec sleep 1000\"}\n", nil, nil)
	before, err := term.GetState(int(r.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	r.readUntil(t, "+b │ ")
	if err := pty.Setsize(r.pty, &pty.Winsize{Rows: 20, Cols: 40}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pty.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	r.readUntil(t, "error: interrupted")
	after, err := term.GetState(int(r.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if *before != *after {
		t.Errorf("the terminal's mode: got %v, want %v", after, before)
	}
	status, s := r.end(t)
	if status != 130 {
		t.Errorf("got status %d, want 130", status)
	}
	contains(t, s.text(), "✓ +a  ", "∅ +b  ", "1 done · ", "error: interrupted\n")
	lacks(t, r.out.String(), "\x1b[?25l", "\x1b[?1049h")
}
