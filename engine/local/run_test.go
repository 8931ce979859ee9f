package local

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// buffer takes what a run prints; it is no file, so that processes get a pipe.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// bench is a project directory in which workflows are run.
type bench struct {
	t   *testing.T
	dir string
	// log is what the console of the last run had.
	log *buffer
}

func newBench(t *testing.T, files map[string]string) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	for name, text := range files {
		b.write(name, text)
	}
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	file := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// store is an operator that stores its own parameters but for the command.
type store struct{}

func (store) Run(_ context.Context, t *operator.Task) (*operator.Result, error) {
	m := t.Local.Clone()
	m.Delete("store>")
	return &operator.Result{Store: m}, nil
}

// options are those of a run of w.dig in the session of 2031-04-05.
func (b *bench) options(adjust ...func(*Options)) Options {
	b.t.Helper()
	p, diags := dig.Load(b.dir, dig.Options{})
	if errs := diags.Errors(); len(errs) > 0 {
		b.t.Fatal(errs)
	}
	b.log = &buffer{}
	entries := operator.Builtin()
	entries["store"] = operator.Entry{Operator: store{}, Pure: true}
	o := Options{
		Dir: b.dir, Project: p, Workflow: "w", Session: "2031-04-05",
		Operators: operator.NewRegistry(entries), Secrets: Secrets{}, Environ: os.Environ(),
		Stdout: &buffer{}, Console: NewConsole(b.log, slog.LevelInfo, false),
	}
	for _, f := range adjust {
		f(&o)
	}
	return o
}

// run runs w.dig and returns the report and what tasks printed, a word a line
// joined with spaces.
func (b *bench) run(adjust ...func(*Options)) (*Report, string) {
	b.t.Helper()
	o := b.options(adjust...)
	if err := o.Validate(); err != nil {
		b.t.Fatal(err)
	}
	r, err := Run(b.t.Context(), o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r, strings.Join(strings.Fields(o.Stdout.(*buffer).String()), " ")
}

// states lists the tasks with saved states.
func (b *bench) states() string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, ".digdag", "status", "*", "*"))
	if err != nil {
		b.t.Fatal(err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), stateSuffix)
	}
	slices.Sort(files)
	return strings.Join(files, " ")
}

func with(set func(*Options)) func(*Options) { return set }

func TestRunPrintsAndSaves(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
+a: {echo>: "a ${session_date}"}
+g:
  +b: {sh>: "echo b ${n}"}
`})
	r, out := b.run(with(func(o *Options) { o.Params = params.Of("n", params.Template("5")) }))
	if out != "a 2031-04-05 b 5" {
		t.Errorf("got output %q", out)
	}
	dir := filepath.Join(b.dir, ".digdag", "status", "20310405T000000+0000")
	if want := (&Report{Succeeded: true, SavedIn: dir}); !cmp.Equal(r, want) {
		t.Errorf("report: %s", cmp.Diff(want, r))
	}
	if got, want := b.states(), "+w +w+a +w+g +w+g+b"; got != want {
		t.Errorf("states: got %q, want %q", got, want)
	}
	for _, want := range []string{
		"[INFO] (main): starting a new session: project default, workflow w, session time 2031-04-05T00:00:00+00:00",
		"[INFO] (0002@[0:default:1:1]+w+a): echo>: a 2031-04-05",
		"[INFO] (0004@[0:default:1:1]+w+g+b): sh>: echo b 5",
	} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
	left, err := os.ReadDir(filepath.Join(b.dir, ".digdag", "tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("scratch files are left: %v, %v", left, err)
	}
}

const failing = `
+a: {sh>: "echo a"}
+s: {store>: x, got: "${n}"}
+l:
  loop>: 2
  _do:
    +i: {sh>: "echo i$i"}
+f: {sh>: "test -e go && echo f"}
+z: {sh>: "echo z $got"}
`

func TestASecondRunGoesOn(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": failing})
	n := func(n string) func(*Options) {
		return func(o *Options) { o.Params = params.Of("n", params.Template(n)) }
	}
	r, out := b.run(n("1"))
	want := &Report{
		SavedIn: filepath.Join(b.dir, ".digdag", "status", "20310405T000000+0000"),
		Failed:  []Failure{{Task: "+w+f", Message: "Command failed with code 1 (runtime)"}},
	}
	if !cmp.Equal(r, want) || out != "a i0 i1" {
		t.Errorf("first run: printed %q, %s", out, cmp.Diff(want, r))
	}
	if got, want := b.states(), "+w+a +w+l +w+l^sub +w+l^sub+loop-0 +w+l^sub+loop-0+i +w+l^sub+loop-1 +w+l^sub+loop-1+i +w+s +w^failure-alert"; got != want {
		t.Errorf("states: got %q, want %q", got, want)
	}
	b.write("go", "")
	if r, out := b.run(n("2")); !r.Succeeded || out != "f z 1" {
		t.Errorf("second run: printed %q, succeeded %v, want what was left and the stored value", out, r.Succeeded)
	}
	if r, out := b.run(n("3")); !r.Succeeded || out != "" {
		t.Errorf("third run: printed %q, want nothing", out)
	}
	if r, out := b.run(n("4"), with(func(o *Options) { o.Rerun = true })); !r.Succeeded || out != "a i0 i1 f z 4" {
		t.Errorf("rerun: printed %q, want everything", out)
	}
	if r, out := b.run(n("5"), with(func(o *Options) { o.Session = "2031-04-06" })); !r.Succeeded || out != "a i0 i1 f z 5" {
		t.Errorf("another session: printed %q, want everything", out)
	}
}

// What is skipped is not even evaluated.
func TestSkippedTasksNeedNoParameters(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: \"${given}\"}\n+b: {echo>: b}\n+c: {echo>: \"${given}\"}\n"})
	given := func(o *Options) { o.Params = params.Of("given", params.Template("x")) }
	b.run(given, with(func(o *Options) { o.Goal = "+a" }))
	if r, out := b.run(with(func(o *Options) { o.End = "+c" })); !r.Succeeded || out != "b" {
		t.Errorf("printed %q, failed %v, want b alone", out, r.Failed)
	}
}

// States do not depend on the text: a changed workflow goes on with them.
func TestChangedTextKeepsStates(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {sh>: echo one}\n"})
	b.run()
	b.write("w.dig", "+a: {sh>: echo two}\n+b: {sh>: echo new}\n")
	if _, out := b.run(); out != "new" {
		t.Errorf("printed %q, want only the new task", out)
	}
}

func TestSelections(t *testing.T) {
	files := map[string]string{"w.dig": `
_error: {echo>: error}
+a: {echo>: a}
+l:
  loop>: 2
  _do: {echo>: "l${i}"}
+g:
  _export: {x: 7}
  +b: {echo>: "b${x}"}
  +c:
    if>: true
    _do: {echo>: c}
+d: {echo>: d}
`}
	tests := []struct {
		name   string
		done   bool // after a whole run
		set    func(*Options)
		want   string
		states string // of all; empty: not looked at
	}{
		{"everything", false, func(*Options) {}, "a l0 l1 b7 c d", ""},
		{"done", true, func(*Options) {}, "", ""},
		{"rerun", true, func(o *Options) { o.Rerun = true }, "a l0 l1 b7 c d", ""},
		// L55: what the loop in front of the start had generated is not repeated.
		{"start", true, func(o *Options) { o.Start = "+b" }, "b7 c d", ""},
		{"start of a group", true, func(o *Options) { o.Start = "+g" }, "b7 c d", ""},
		{"start without states", false, func(o *Options) { o.Start = "+d" }, "a l0 l1 b7 c d", ""},
		// L55: a goal runs what it generates. L63: what is left out is not saved.
		{
			"goal", false, func(o *Options) { o.Goal = "+l" }, "a l0 l1",
			"+w+a +w+l +w+l^sub +w+l^sub+loop-0 +w+l^sub+loop-1",
		},
		{"goal inside", false, func(o *Options) { o.Goal = "+g+c" }, "a l0 l1 b7 c", ""},
		{"goal that is done", true, func(o *Options) { o.Goal = "+b" }, "b7", ""},
		{"end", false, func(o *Options) { o.End = "+c" }, "a l0 l1 b7", ""},
		{"end at a done one", true, func(o *Options) { o.End = "+d" }, "", ""},
		{"rerun to the end", true, func(o *Options) { o.Rerun, o.End = true, "+g" }, "a l0 l1", ""},
		{"start and end", true, func(o *Options) { o.Start, o.End = "+l", "+d" }, "l0 l1 b7 c", ""},
		// L54: they work without saving, too.
		{"start, no save", true, func(o *Options) { o.NoSave, o.Start = true, "+d" }, "d", ""},
		{"start, no save, no states", false, func(o *Options) { o.NoSave, o.Start = true, "+c" }, "c d", ""},
		{"goal, no save", true, func(o *Options) { o.NoSave, o.Goal = true, "+l" }, "a l0 l1", ""},
		{"end, no save", true, func(o *Options) { o.NoSave, o.End = true, "+l" }, "a", ""},
		{"no save", true, func(o *Options) { o.NoSave = true }, "a l0 l1 b7 c d", ""},
		// L61: the exports of the groups around it stay.
		{"one task", false, func(o *Options) { o.Task = "+g+b" }, "b7", "+w +w+g +w+g+b"},
		{"one group", false, func(o *Options) { o.Task = "+g" }, "b7 c", ""},
		{"the root", false, func(o *Options) { o.Task = "+w" }, "a l0 l1 b7 c d", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, files)
			if tt.done {
				b.run()
			}
			r, out := b.run(tt.set)
			if !r.Succeeded || out != tt.want {
				t.Errorf("printed %q, want %q; succeeded %v", out, tt.want, r.Succeeded)
			}
			if got := b.states(); tt.states != "" && got != tt.states {
				t.Errorf("states: got %q, want %q", got, tt.states)
			}
		})
	}
}

// L63: a plain run after one with a goal does the rest.
func TestWhatAGoalLeftOutRunsLater(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: a}\n+g: {+b: {echo>: b}}\n+c: {echo>: c}\n"})
	b.run(with(func(o *Options) { o.Goal = "+a" }))
	if _, out := b.run(); out != "b c" {
		t.Errorf("printed %q, want what was left out", out)
	}
}

// L55: the handler of a failure runs in a part of the workflow, too.
func TestAGoalThatFailsRunsErrorTasks(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
_error: {echo>: root}
+g:
  _error: {echo>: group}
  +a: {fail>: no}
+z: {echo>: z}
`})
	if r, out := b.run(with(func(o *Options) { o.Goal = "+a" })); r.Succeeded || out != "group root" {
		t.Errorf("printed %q, want both handlers", out)
	}
}

// L62, L57: each round of a retry runs the whole group, whatever is saved, and
// a run that recovers has succeeded.
func TestARetryRoundRunsTheWholeGroup(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
+g:
  _retry: 1
  +a: {sh>: echo a}
  +b: {sh>: "test -e once || { touch once; exit 1; }"}
+l:
  loop>: 2
  _retry: 1
  _do:
    +p: {sh>: "echo p$i"}
    +q: {sh>: "test $i = 0 || test -e twice || { touch twice; exit 1; }"}
`})
	r, out := b.run()
	if !r.Succeeded || out != "a a p0 p1 p0 p1" || len(r.Failed) > 0 {
		t.Errorf("printed %q, report %+v, want both rounds and success", out, r)
	}
	if _, out := b.run(); out != "" {
		t.Errorf("a second run printed %q, want nothing", out)
	}
}

// L56, O29: a dry run shows what control flow generates, and leaves nothing.
func TestDryRun(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
+a: {sh>: "touch made"}
+l:
  loop>: 2
  _do: {echo>: "x ${i}"}
+u: {nosuch>: 1}
`})
	r, out := b.run(with(func(o *Options) { o.DryRun, o.ShowParams = true, true }))
	if out != "" || r.Succeeded || r.SavedIn != "" {
		t.Errorf("printed %q, report %+v, want the unknown operator's failure alone", out, r)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "made")); err == nil || b.states() != "" {
		t.Errorf("a dry run has left something: %q", b.states())
	}
	for _, want := range []string{"sh>: touch made", "loop>: 2", "echo>: x 1", "session_date: \"2031-04-05\""} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
}

func TestWhatIsWrongWithARun(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {+x: {echo>: 1}}\n+b: {+x: {echo>: 1}}\n"})
	tests := []struct {
		set  func(*Options)
		want string
	}{
		{func(o *Options) { o.Workflow = "sub/x.dig" }, `workflow "sub/x.dig" does not exist in ` + b.dir},
		{func(o *Options) { o.Task = "+nosuch" }, `task pattern "+nosuch" does not match any task of the workflow`},
		{func(o *Options) { o.Start = "+x" }, `task pattern "+x" is ambiguous, candidates: +w+a+x, +w+b+x`},
		{func(o *Options) { o.End = "+nosuch" }, `task pattern "+nosuch" does not match any task of the workflow`},
		{func(o *Options) { o.Session = "schedule" }, `--session schedule needs a workflow with a "schedule:"`},
		{func(o *Options) { o.TasksPerAttempt = 3 }, "Too many tasks. Limit: 3, Current: 0, Adding: 5"},
	}
	for _, tt := range tests {
		_, err := Run(t.Context(), b.options(tt.set))
		if err == nil || err.Error() != tt.want {
			t.Errorf("got error %v, want %q", err, tt.want)
		}
	}
	var unknown *UnknownWorkflow
	if _, err := Run(t.Context(), b.options(tests[0].set)); !errors.As(err, &unknown) || unknown.Hint() == "" {
		t.Errorf("got %v, want an error with a hint", err)
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		o    Options
		want string
	}{
		{Options{}, ""},
		{Options{Start: "+a", End: "+b"}, ""},
		{Options{Rerun: true, End: "+b"}, ""},
		{Options{Task: "a"}, ""},
		{Options{Start: "+a", Goal: "+b"}, "--start and --goal can't be used together"},
		{Options{Goal: "+a", End: "+b"}, "--goal and --end can't be used together"},
		{Options{Rerun: true, Start: "+a"}, "--rerun and --start can't be used together"},
		{Options{Rerun: true, Goal: "+a"}, "--rerun and --goal can't be used together"},
		{Options{Slots: -1}, "--max-task-threads must not be negative"},
		{Options{Task: "+"}, `task pattern "+" has an empty name`},
		{Options{Goal: "+a++b"}, `task pattern "+a++b" has an empty name`},
		{Options{Session: "now"}, `--session must be last, hourly, daily, schedule, "yyyy-MM-dd" or "yyyy-MM-dd HH:mm:ss", not "now"`},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.o.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.o, got, tt.want)
		}
	}
}

// A failure that no worker sees, a warning of the core, a parameter that
// nobody reads: all are told.
func TestWhatTheLogTells(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
+p: {echo>: x, mesage: 1}
+q: {if>: true, _do: {}, _else_do: {+n: {echo>: x}}, _retry: 1}
+t: {echo>: "${nosuch}"}
`})
	r, _ := b.run()
	const text = "Failed to evaluate a variable ${nosuch} (ReferenceError: nosuch is not defined) (config)"
	if want := []Failure{{"+w+t", text}}; !cmp.Equal(r.Failed, want) {
		t.Errorf("failed: %s", cmp.Diff(want, r.Failed))
	}
	for _, want := range []string{
		`[ERROR] (0002@[0:default:1:1]+w+p): parameter "mesage" is not used at task +w+p`,
		"[ERROR] (main): Task +w+t failed.\n" + text,
		"+w^failure-alert): type: notify",
	} {
		if strings.Count(b.log.String(), want) != 1 {
			t.Errorf("the log does not have %q once:\n%s", want, b.log)
		}
	}
	if strings.Contains(b.log.String(), "+w+q is") || strings.Contains(b.log.String(), `"_`) {
		t.Errorf("the log warns about keys that are read:\n%s", b.log)
	}
}

// Alerts are delivered before a run ends, however often that is tried.
// What cannot be delivered changes no attempt (O27).
func TestRunWaitsForItsAlerts(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+n: {notify>: hello}\n+f: {fail>: boom}\n"})
	var mu sync.Mutex
	var got []string
	tries := 0
	b.run(with(func(o *Options) {
		o.Deliver = func(_ context.Context, d *flow.Deliver) engine.Delivery {
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries == 1 {
				return engine.Delivery{Why: "away", Retry: time.Now()}
			}
			got = append(got, d.Alert.Kind+" "+d.Alert.Message)
			if d.Alert.Kind == flow.AlertFailed {
				return engine.Delivery{Why: "refused"}
			}
			return engine.Delivery{}
		}
	}))
	if want := []string{"message hello", "attempt_failed boom"}; !cmp.Equal(got, want) {
		t.Errorf("delivered: %s", cmp.Diff(want, got))
	}
	for _, want := range []string{"could not be delivered yet: away", "was given up: refused"} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
}

// Ctrl-C: the processes end, what was done stays done, nothing more starts and
// no handler runs.
func TestInterruption(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
_error: {sh>: "touch handled"}
+a: {sh>: echo a}
+b: {sh>: "trap 'touch ended; exit 0' TERM; sleep 1000 & mkfifo -m 600 up 2>/dev/null; echo up > up; wait"}
+c: {sh>: "touch next"}
`})
	up := filepath.Join(b.dir, "up")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	type outcome struct {
		r   *Report
		err error
	}
	done := make(chan outcome)
	if err := mkfifo(up); err != nil {
		t.Fatal(err)
	}
	o := b.options()
	go func() {
		r, err := Run(ctx, o)
		done <- outcome{r, err}
	}()
	f, err := os.Open(up) // until the task is at its wait
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(f); err != nil {
		t.Fatal(err)
	}
	cancel()
	got := <-done
	if got.err != nil || !got.r.Interrupted || got.r.Succeeded || got.r.SavedIn == "" {
		t.Errorf("got %+v, %v, want an interrupted run", got.r, got.err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "ended")); err != nil {
		t.Errorf("the process did not get SIGTERM: %v", err)
	}
	for _, name := range []string{"handled", "next"} {
		if _, err := os.Stat(filepath.Join(b.dir, name)); err == nil {
			t.Errorf("%s: something ran after the interruption", name)
		}
	}
	if got := b.states(); got != "+w+a" {
		t.Errorf("states: got %q, want +w+a alone", got)
	}
}

func TestInterruptionBeforeTheStart(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: a}\n"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Run(ctx, b.options()); err != nil || !r.Interrupted {
		t.Errorf("got %+v, %v, want an interrupted run", r, err)
	}
}

func TestTaskLogs(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: one}\n+b: {sh>: \"echo two; echo three >&2\"}\n+c: {}\n"})
	logs := t.TempDir()
	if _, out := b.run(with(func(o *Options) { o.TaskLog = logs })); out != "one two three" {
		t.Errorf("printed %q, want all", out)
	}
	got := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(logs, "*", "0.default@w@20310405T000000+0000", "*.log.gz"))
	for _, file := range files {
		name, _, _ := strings.Cut(filepath.Base(file), "@")
		got[name] = unzip(t, file)
	}
	if want := map[string]string{"+w+a": "one\n", "+w+b": "two\nthree\n"}; !cmp.Equal(got, want) {
		t.Errorf("logs: %s", cmp.Diff(want, got))
	}
}

func TestBadStates(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {echo>: a}\n+b: {echo>: b}\n"})
	b.write(".digdag/status/20310405T000000+0000/+w+a.yml", "fullName: +w+a\nstate: [")
	b.write(".digdag/status/20310405T000000+0000/+w+b.yml", "fullName: +other\nstate: success\n")
	if r, out := b.run(); !r.Succeeded || out != "a b" {
		t.Errorf("printed %q, want both tasks", out)
	}
	for _, want := range []string{"+w+a.yml: yaml:", `+w+b.yml: it is about task "+other" in state "success"`} {
		if !strings.Contains(b.log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, b.log)
		}
	}
	// Where states cannot be kept the workflow runs all the same.
	b.write("w.dig", "+a: {sh>: touch status}\n+b: {echo>: b}\n")
	if r, out := b.run(with(func(o *Options) { o.SaveDir = "status" })); !r.Succeeded || out != "b" || !strings.Contains(b.log.String(), "save states:") {
		t.Errorf("printed %q, want both tasks and a warning:\n%s", out, b.log)
	}
	_, err := Run(t.Context(), b.options(with(func(o *Options) { o.SaveDir = "status" })))
	if err == nil || !strings.HasPrefix(err.Error(), "read saved states: ") {
		t.Errorf("a file as the directory: got %v", err)
	}
}

// The handlers of a failure run at each one, not once a session.
func TestErrorTasksRunAgain(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": `
_error: {+tell: {loop>: 1, _do: {echo>: told}}}
+a: {echo>: a}
+f: {fail>: no, _error: {echo>: handled}}
`})
	for _, want := range []string{"a handled told", "handled told"} {
		if _, out := b.run(); out != want {
			t.Errorf("printed %q, want %q", out, want)
		}
	}
}

func TestSecretsReachTasks(t *testing.T) {
	b := newBench(t, map[string]string{"w.dig": "+a: {sh>: \"echo ${secret:k.one}\"}\n+b: {sh>: \"echo ${secret:nowhere}\"}\n"})
	r, out := b.run(with(func(o *Options) { o.Secrets = Secrets{Config: map[string]string{"k.one": "v1"}} }))
	if want := []Failure{{"+w+b", "Secret not found for key: 'nowhere' (secret not found)"}}; out != "v1" || !cmp.Equal(r.Failed, want) {
		t.Errorf("printed %q, failed %v, want %v", out, r.Failed, want)
	}
}
