package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"gitdag/engine/flow"
	"gitdag/engine/local"
)

// liveTree shows a run on a terminal: a tree that is drawn again and again at
// the bottom, and above it what tasks print and the command says. The terminal
// stays in its mode and keeps its cursor, so that there is nothing to restore,
// whatever ends the process. It implements local.Watcher, and io.Writer for
// what stands above.
type liveTree struct {
	out  io.Writer
	size func() (width, height int)
	now  func() time.Time
	view liveView
	// printing tells that what tasks print is shown above the tree, line by line,
	// and not only kept for when they fail.
	printing bool

	mu     sync.Mutex // held for all below, and while out is written to
	model  *liveModel
	above  []byte // whole lines that have yet to be written
	open   map[uint64]*openLine
	drawn  []int // cells of the lines that stand on the terminal
	closed bool

	stop chan struct{}
	idle chan struct{} // closed when the drawing goroutine has ended
}

// openLine is the line that a task has begun to print.
type openLine struct {
	name string // of the task
	text []byte
}

const (
	drawEvery = 100 * time.Millisecond
	mostAbove = 64 << 10 // bytes that wait for the next drawing
	mostOpen  = 16 << 10 // bytes of a line without an end
)

// newLiveTree begins to draw. Close ends it.
func newLiveTree(out *os.File, view liveView, printing bool) *liveTree {
	t := &liveTree{
		out: out, view: view, printing: printing, now: time.Now,
		size: func() (int, int) {
			width, height, err := term.GetSize(int(out.Fd()))
			if err != nil || width < 1 || height < 1 {
				return 80, 24
			}
			return width, height
		},
		open: map[uint64]*openLine{},
		stop: make(chan struct{}), idle: make(chan struct{}),
	}
	t.model = newLiveModel(t.now())
	go t.run()
	return t
}

// run draws until Close stops it.
func (t *liveTree) run() {
	defer close(t.idle)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGCONT)
	defer signal.Stop(signals)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case s := <-signals:
			if s == syscall.SIGCONT { // others have written since
				t.mu.Lock()
				t.drawn = nil
				t.mu.Unlock()
			}
		case <-tick.C:
		}
		t.mu.Lock()
		t.draw()
		t.mu.Unlock()
	}
}

// Close draws the tree for the last time and leaves it there.
func (t *liveTree) Close() {
	close(t.stop)
	<-t.idle
	t.mu.Lock()
	defer t.mu.Unlock()
	for id := range t.open {
		t.endLine(id)
	}
	t.model.stopped = true
	t.draw()
	t.closed = true
}

// draw replaces what stands on the terminal. Lines that were drawn wider than
// the terminal is now have been wrapped by it.
func (t *liveTree) draw() {
	t.view.width, t.view.height = t.size()
	var b bytes.Buffer
	rows := 0
	for _, cells := range t.drawn {
		rows += max(1, (cells+t.view.width-1)/t.view.width)
	}
	if rows = min(rows, t.view.height-1); rows > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", rows)
	}
	b.WriteString("\r\x1b[J")
	b.Write(t.above)
	t.above = t.above[:0]
	t.drawn = t.drawn[:0]
	if len(t.model.roots) > 0 {
		for _, line := range t.model.frame(t.view, t.now()) {
			b.WriteString(line + "\n")
			t.drawn = append(t.drawn, cells(printable(line)))
		}
	}
	_, _ = t.out.Write(b.Bytes()) // nowhere to report that the terminal is gone
}

// Write puts whole lines above the tree.
func (t *liveTree) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return t.out.Write(p)
	}
	t.above = append(t.above, p...)
	if len(t.above) > mostAbove {
		t.draw()
	}
	return len(p), nil
}

// Start implements [local.Watcher].
func (t *liveTree) Start(tree *flow.Tree) { t.with(func() { t.model.tree = tree }) }

// Moved implements [local.Watcher].
func (t *liveTree) Moved(m local.Move) {
	t.with(func() {
		t.model.move(m, t.now())
		if m.State.Final() {
			t.endLine(m.Task)
		}
	})
}

// Began implements [local.Watcher].
func (t *liveTree) Began(task uint64, what string) { t.with(func() { t.model.begin(task, what) }) }

// Failed implements [local.Watcher].
func (t *liveTree) Failed(task uint64, message string) {
	t.with(func() { t.model.fail(task, message) })
}

func (t *liveTree) with(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// Output implements [local.Watcher].
func (t *liveTree) Output(task uint64, fullName string, p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.model.print(task, p)
	if !t.printing {
		return
	}
	line := t.open[task]
	if line == nil {
		line = &openLine{name: shortName(fullName)}
		t.open[task] = line
	}
	line.text = append(line.text, p...)
	text := line.text
	for {
		end := bytes.IndexByte(text, '\n')
		if end < 0 && len(text) > mostOpen {
			end = len(text) - 1
		}
		if end < 0 {
			break
		}
		t.line(line.name, text[:end+1])
		text = text[end+1:]
	}
	line.text = append(line.text[:0], text...)
	if len(t.above) > mostAbove {
		t.draw()
	}
}

// endLine puts what a task has printed last above the tree, though the line has
// no end.
func (t *liveTree) endLine(task uint64) {
	if line := t.open[task]; line != nil && len(line.text) > 0 {
		t.line(line.name, line.text)
	}
	delete(t.open, task)
}

// line puts a line of a task above the tree, behind the task's name.
func (t *liveTree) line(name string, text []byte) {
	mark := " │ "
	if t.view.ascii {
		mark = " | "
	}
	if t.view.color {
		name, mark = "\x1b["+dimText+"m"+name, mark+"\x1b[0m"
	}
	t.above = append(t.above, name+mark+printable(string(text))+"\n"...)
}

// shortName is a task's full name without the workflow's.
func shortName(fullName string) string {
	if i := strings.IndexAny(fullName[min(1, len(fullName)):], "+^"); i >= 0 {
		return fullName[i+1:]
	}
	return fullName
}

// liveView tells whether a run is to be shown as a live tree, and how: standard
// output is a terminal that can move its cursor, and nobody wants to read log
// lines.
func (c *cli) liveView(o *runOptions) (v liveView, live bool) {
	f, ok := c.stdout.(*os.File)
	terminal := c.getenv("TERM")
	if !ok || !term.IsTerminal(int(f.Fd())) || terminal == "" || terminal == "dumb" {
		return v, false
	}
	if o.logLevel == "debug" || o.logLevel == "trace" {
		return v, false
	}
	v.color = c.getenv("NO_COLOR") == ""
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToUpper(c.getenv(name)); locale != "" {
			v.ascii = !strings.Contains(locale, "UTF-8") && !strings.Contains(locale, "UTF8")
			break
		}
	}
	return v, true
}
