package local

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/flow"
)

// record is a watcher that notes what it is told of each task.
type record struct {
	mu    sync.Mutex
	tree  *flow.Tree
	names map[uint64]string
	what  map[uint64][]string // of tasks, until their name is known
	moves []string
}

func newRecord() *record {
	return &record{names: map[uint64]string{0: ""}, what: map[uint64][]string{}}
}

func (r *record) Start(tree *flow.Tree) { r.tree = tree }

func (r *record) Moved(m Move) {
	r.mu.Lock()
	defer r.mu.Unlock()
	parent, ok := r.names[m.Parent]
	if !ok {
		parent = "?"
	}
	r.names[m.Task] = parent + m.Name
	r.moves = append(r.moves, fmt.Sprintf("%s %v %s", r.names[m.Task], m.Group, m.State))
}

func (r *record) note(task uint64, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.what[task] = append(r.what[task], text)
}

func (r *record) Began(task uint64, what string)     { r.note(task, what) }
func (r *record) Failed(task uint64, message string) { r.note(task, "failed: "+message) }
func (r *record) Output(task uint64, name string, p []byte) {
	r.note(task, name+" printed "+strings.TrimSpace(string(p)))
}

// notes are what was told of the tasks, by name.
func (r *record) notes() map[string][]string {
	notes := map[string][]string{}
	for id, list := range r.what {
		notes[r.names[id]] = append(notes[r.names[id]], list...)
	}
	return notes
}

func TestWatcher(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
+a: {sh>: "echo out"}
+loop: {loop>: 1, _do: {+x: {echo>: "${i}"}}}
+bad: {sh>: "exit 3", _retry: {limit: 1, interval: 0}}
`})
	r := newRecord()
	report, printed := b.run(func(o *Options) { o.Watcher, o.Console = r, o.Console.Beside(b.log) })
	if report.Succeeded || printed != "" {
		t.Errorf("got %+v, and printed %q", report, printed)
	}
	if len(r.tree.Nodes) != 4 {
		t.Errorf("got a tree of %d tasks, want 4", len(r.tree.Nodes))
	}
	failed := "failed: Command failed with code 3 (runtime)"
	want := map[string][]string{
		"+w+a":                 {"sh>: echo out", "+w+a printed out"},
		"+w+loop":              {"loop>: 1"},
		"+w+loop^sub+loop-0+x": {"echo>: 0", "+w+loop^sub+loop-0+x printed 0"},
		"+w+bad":               {"sh>: exit 3", failed, "sh>: exit 3", failed},
	}
	if diff := cmp.Diff(want, r.notes()); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	moves := strings.Join(r.moves, "\n")
	for _, part := range []string{
		"+w true planned\n+w+a false ready\n+w+a false running\n+w+a false success\n+w+loop false ready",
		"+w+loop false planned\n+w+loop^sub true planned\n+w+loop^sub+loop-0 true planned",
		"+w+bad false running\n+w+bad false retry_waiting\n+w+bad false ready\n+w+bad false running\n+w+bad false error\n+w true",
	} {
		if !strings.Contains(moves, part) {
			t.Errorf("moves lack\n%s\ngot\n%s", part, moves)
		}
	}
	if !strings.HasSuffix(moves, "+w true group_error") || strings.Contains(moves, failureAlert) || strings.Contains(moves, "?") {
		t.Errorf("got moves\n%s", moves)
	}
	log := b.log.String()
	if !strings.Contains(log, "starting a new session") || strings.Contains(log, "sh>: ") || strings.Contains(log, "failed") {
		t.Errorf("a console beside a watcher has other lines: %s", log)
	}
}

// What is left out and why is told, too; what tasks print goes into their logs
// as ever, and never to the file that is standard output.
func TestWatcherOfSkippedTasks(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: a}\n+b: {echo>: b}\n+c: {sh>: echo c}\n"})
	b.run(func(o *Options) { o.End = "+c" })
	r := newRecord()
	out, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	o := b.options(func(o *Options) { o.Watcher, o.Stdout, o.Start = r, out, "+b" })
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"+w+a": {"skipped: done already in this session"},
		"+w+b": {"echo>: b", "+w+b printed b"},
		"+w+c": {"sh>: echo c", "+w+c printed c"},
	}
	if diff := cmp.Diff(want, r.notes()); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if info, err := out.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("standard output: got %v, %v", info.Size(), err)
	}
	if log := b.log.String(); !strings.Contains(log, "Skipped: done already") || !strings.Contains(log, "sh>: echo c") {
		t.Errorf("a console that is not beside has all lines, got %s", log)
	}
}
