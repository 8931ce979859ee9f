package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/local"
)

// liveRun is a model that a test moves by hand, with a clock that stands.
type liveRun struct {
	*liveModel
	now time.Time
}

func newLiveRun(t *testing.T, workflow string) *liveRun {
	t.Helper()
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	r := &liveRun{newLiveModel(now), now}
	if workflow == "" {
		return r
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(workflow), 0o644); err != nil {
		t.Fatal(err)
	}
	p, ds := dig.Load(dir, dig.Options{})
	if len(p.Workflows) != 1 {
		t.Fatal(ds)
	}
	r.tree = p.Workflows[0].Tree
	return r
}

// to moves a task; its name ends in "/" for a group.
func (r *liveRun) to(id, parent uint64, name string, states ...flow.TaskState) {
	name, group := strings.CutSuffix(name, "/")
	for _, s := range states {
		r.move(local.Move{Task: id, Parent: parent, Name: name, Group: group, State: s}, r.now)
	}
}

func (r *liveRun) wait(d time.Duration) { r.now = r.now.Add(d) }

func (r *liveRun) shows(t *testing.T, width, height int, want string) {
	t.Helper()
	got := strings.Join(r.frame(liveView{width: width, height: height}, r.now), "\n")
	for _, frame := range "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" {
		got = strings.ReplaceAll(got, string(frame), "⠿")
	}
	if diff := cmp.Diff(strings.Trim(want, "\n"), got); diff != "" {
		t.Errorf("frame (-want +got):\n%s", diff)
	}
}

const threeSteps = `
+one: {sh>: first}
+two:
  _parallel: true
  +a: {sh>: a}
  +b: {sh>: b}
+three: {sh>: last}
`

func TestLiveTree(t *testing.T) {
	r := newLiveRun(t, threeSteps)
	r.to(10, 0, "+w/", flow.Planned)
	r.begin(11, "sh>: first") // before its move is told
	r.to(11, 10, "+one", flow.Ready, flow.Running)
	r.wait(1500 * time.Millisecond)
	r.shows(t, 80, 24, `
⠿ +w  1.5s
  ⠿ +one  sh>: first  1.5s
  · +two
  · +three
0 done · 1 running · 1.5s
`)
	r.to(11, 10, "+one", flow.Success)
	r.to(12, 10, "+two/", flow.Planned)
	r.to(13, 12, "+a", flow.Ready, flow.Running)
	r.begin(13, "sh>: a")
	r.print(13, []byte("begun\n"))
	r.wait(time.Minute)
	r.print(13, []byte("half\rwhole\n"))
	r.fail(13, "Command failed with code 1")
	r.to(13, 12, "+a", flow.Error)
	r.shows(t, 80, 24, `
⠿ +w  1m01s
  ✓ +one  sh>: first  1.5s
  ⠿ +two  1m00s
    ✗ +a  sh>: a  1m00s
      │ begun
      │ whole
      Command failed with code 1
    · +b
  · +three
1 done · 0 running · 1 failed · 1m01s
`)
	r.to(12, 10, "+two/", flow.GroupError)
	r.to(10, 0, "+w/", flow.GroupError)
	r.shows(t, 80, 24, `
✗ +w  1m01s
  ✓ +one  sh>: first  1.5s
  ✗ +two  1m00s
    ✗ +a  sh>: a  1m00s
      │ begun
      │ whole
      Command failed with code 1
1 done · 0 running · 1 failed · 1m01s
`)
}

// A failure that is followed by a retry is shown until the retry begins.
func TestLiveTreeOfRetries(t *testing.T) {
	r := newLiveRun(t, "+g:\n  _retry: 3\n  +a: {sh>: a, _retry: 1}\n")
	r.to(1, 0, "+w/", flow.Planned)
	r.to(2, 1, "+g/", flow.Planned)
	r.to(3, 2, "+a", flow.Running)
	r.fail(3, "no luck")
	r.to(3, 2, "+a", flow.RetryWaiting)
	r.shows(t, 80, 24, `
⠿ +w  0.0s
  ⠿ +g  0.0s
    … +a  retry 1  0.0s
      no luck
0 done · 0 running · 0.0s
`)
	r.to(3, 2, "+a", flow.Ready, flow.Running)
	r.begin(3, "sh>: a")
	r.fail(3, "again")
	r.to(3, 2, "+a", flow.Error)
	r.to(2, 1, "+g/", flow.GroupRetryWaiting, flow.Ready, flow.Planned)
	r.to(7, 2, "+a", flow.Running) // the new round's
	r.shows(t, 80, 24, `
⠿ +w  0.0s
  ⠿ +g  retry 1  0.0s
    ⠿ +a  0.0s
0 done · 1 running · 1 failed · 0.0s
`)
}

// What does not fit is summed up, what runs and what has failed last.
func TestLiveTreeFitsTheTerminal(t *testing.T) {
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "+t%d: {sh>: x}\n", i)
	}
	r := newLiveRun(t, text.String())
	r.to(100, 0, "+w/", flow.Planned)
	for i := range uint64(20) {
		name := fmt.Sprintf("+t%d", i)
		r.to(101+i, 100, name, flow.Running)
		switch {
		case i == 7:
			r.fail(108, strings.Repeat("line\n", 30))
			r.to(108, 100, name, flow.Error)
		case i < 18:
			r.to(101+i, 100, name, flow.Success)
		}
	}
	r.shows(t, 80, 13, `
⠿ +w  0.0s
  ✗ +t7  0.0s
    line
    line
  ⠿ +t18  0.0s
  ⠿ +t19  0.0s
17 done · 2 running · 1 failed · 0.0s
`)
	r.shows(t, 80, 15, `
⠿ +w  0.0s
  ✓ 7 done
  ✗ +t7  0.0s
    line
    line
    line
    line
    line
  ✓ 10 done
  ⠿ +t18  0.0s
  ⠿ +t19  0.0s
  · 10 to come
17 done · 2 running · 1 failed · 0.0s
`)
	r.shows(t, 80, 5, `
⠿ +w  0.0s
  ✗ +t7  0.0s
… 4 more lines
17 done · 2 running · 1 failed · 0.0s
`)
}

// No line reaches the last cell, whatever is in it.
func TestLiveTreeFitsTheWidth(t *testing.T) {
	r := newLiveRun(t, "")
	r.to(1, 0, "+w/", flow.Planned)
	r.to(2, 1, "+"+strings.Repeat("n", 30), flow.Running)
	r.begin(2, "sh>: 日本語の長いコマンド and more\x1b[31m\n of it é")
	r.to(3, 1, "+short", flow.Running)
	r.begin(3, "sh>: 日本語の長いコマンド and more\x1b[31m\n of it é")
	for width := 2; width < 100; width++ {
		for _, color := range []bool{false, true} {
			for _, line := range r.frame(liveView{width: width, height: 24, color: color}, r.now) {
				if got := cells(printable(line)); got >= width {
					t.Errorf("width %d: got %d cells: %q", width, got, line)
				}
				if strings.Count(line, "\x1b[0m")*2 != strings.Count(line, "\x1b[") {
					t.Errorf("a colour does not end: %q", line)
				}
			}
		}
	}
	r.shows(t, 40, 24, `
⠿ +w  0.0s
  ⠿ +nnnnnnnnnnnnnnnnnnnnnnnnnnnnnn  0.
  ⠿ +short  sh>: 日本語の長いコ…  0.0s
0 done · 2 running · 0.0s
`)
}

// A run of any size leaves a model of a bounded one.
func TestLiveTreeIsBounded(t *testing.T) {
	r := newLiveRun(t, "")
	r.to(1, 0, "+w/", flow.Planned)
	id, output := uint64(2), make([]byte, 100_000)
	for i := range 300 {
		loop := id
		r.to(loop, 1, fmt.Sprintf("+loop-%d/", i), flow.Planned)
		for range 100 {
			id++
			r.to(id, loop, "+x", flow.Ready, flow.Running)
			r.print(id, output)
			r.to(id, loop, "+x", flow.Success)
		}
		r.to(loop, 1, fmt.Sprintf("+loop-%d/", i), flow.Success)
		id++
	}
	if len(r.tasks) > keptTasks+2*keptKids {
		t.Errorf("got %d tasks", len(r.tasks))
	}
	if r.done != 30_000 {
		t.Errorf("got %d done, want 30000", r.done)
	}
	r.to(1, 0, "+w/", flow.Success)
	r.shows(t, 80, 24, "✓ +w  0.0s\n30000 done · 0 running · 0.0s")
	r.to(id, 77, "+x", flow.Running) // its parent is let go
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                                 "plain",
		"10%\r50%\r100%\r\n":                    "100%",
		"\x1b[31mred\x1b[0m \x1b]0;t\x07x":      "red x",
		"a\x1b[2J\x1b[H\x1b(Bb\x1b]8;;u\x1b\\c": "abc",
		"tab\tbell\x07nul\x00":                  "tab bellnul",
		"cut \x1b[31":                           "cut ",
		"cut \x1b]0;title":                      "cut ",
		"end \x1b":                              "end ",
		"bad \xff":                              "bad \ufffd",
		"e\u0301 日本\u200b":                      "e\u0301 日本",
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := cells("e\u0301 日本"); got != 6 {
		t.Errorf("got %d cells, want 6", got)
	}
}

func TestTaken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 1290 * time.Millisecond: "1.2s", 59 * time.Second: "59s",
		61 * time.Second: "1m01s", 26*time.Hour + 3*time.Minute: "26h03m",
	} {
		if got := taken(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
