package operator_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"

	"github.com/google/go-cmp/cmp"
)

// thisPython is a Python that is started without a detour, as a version
// manager's would be.
func thisPython(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"python3", "python"} {
		out, err := exec.Command(name, "-c", "import sys; print(sys.executable)").Output()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	if os.Getenv("CI") == "" {
		t.Skip("there is no Python here")
	}
	t.Fatal("there is no Python here")
	return ""
}

// newPythonProject returns a project whose tasks run the same Python.
func newPythonProject(t testing.TB, files map[string]string) *pythonProject {
	t.Helper()
	p := &pythonProject{newProject(t), thisPython(t)}
	for name, text := range files {
		p.write(name, text, 0o644)
	}
	return p
}

type pythonProject struct {
	*project
	python string
}

// call returns a task that calls a method, with the given own parameters.
func (p *pythonProject) call(method string, own ...any) *operator.Task {
	p.t.Helper()
	return p.inherit(params.Of("py", params.Of("python", p.python)), append([]any{"py>", method}, own...)...)
}

// printed runs a task and returns what it wrote to its log.
func (p *pythonProject) printed(t *testing.T, task *operator.Task) string {
	t.Helper()
	before := len(p.logged())
	mustRun(t, task)
	return p.logged()[before:]
}

// pythonFailure runs a task and returns its failure, with the paths of the
// project and the numbers of lines taken out.
func pythonFailure(t *testing.T, p *pythonProject, task *operator.Task) string {
	t.Helper()
	_, err := run(t, task)
	var failure *operator.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a failure", err)
	}
	text := strings.ReplaceAll(failure.Error(), p.root+"/", "")
	text = regexp.MustCompile(`line \d+`).ReplaceAllString(text, "line N")
	return regexp.MustCompile(`(?m)^ *[~^]+$\n`).ReplaceAllString(text, "")
}

func TestPyTellsWhatFailed(t *testing.T) {
	p := newPythonProject(t, map[string]string{
		"m.py": `
import digdag
def work(): raise ValueError('no rows')
def named(a, b, *, c): pass
def again():
    try:
        work()
    except ValueError as e:
        raise Trouble() from e
class Trouble(Exception):
    def __str__(self): raise Exception('speechless')
class Job:
    def __init__(self, a): pass
    def go(self): pass
def leave(): raise SystemExit(3)
def say(): raise SystemExit('bye')
def subtask(): digdag.env.add_subtask(work, x=object())
def number(): digdag.env.add_subtask(1)
def store(): digdag.env.store(bad={1, 2})
def infinite(): digdag.env.store(n=float('nan'))
value = 1
`,
		"broken.py":    "def work(:\n",
		"missing.py":   "import no_such_module\ndef work(): pass\n",
		"misnamed.py":  "from m import nothing\ndef work(): pass\n",
		"shade.py":     "import traceback_is_here\ndef work(): raise ValueError('seen')\n",
		"traceback.py": "raise Exception('not this one')\n", "traceback_is_here.py": "",
	})
	const head = "Python command failed with code 1\nError messages from python: "
	for _, tt := range []struct{ method, want string }{
		{"m.work", "no rows (ValueError)\n\tfrom Traceback (most recent call last):\n" +
			"\tfrom   File \"m.py\", line N, in work\n    def work(): raise ValueError('no rows')\n\tfrom ValueError: no rows"},
		{"shade.work", "seen (ValueError)\n\tfrom Traceback (most recent call last):\n" +
			"\tfrom   File \"shade.py\", line N, in work\n    def work(): raise ValueError('seen')\n\tfrom ValueError: seen"},
		{"m.named", "named() needs the parameter 'a', 'b', 'c', which is not set (TypeError)\n" +
			"\tfrom TypeError: named() needs the parameter 'a', 'b', 'c', which is not set"},
		{"m.Job.go", "Job.__init__() needs the parameter 'a', which is not set (TypeError)\n" +
			"\tfrom TypeError: Job.__init__() needs the parameter 'a', which is not set"},
		{"m.nothing", "module 'm' has no attribute 'nothing' (AttributeError)\n\tfrom AttributeError: module 'm' has no attribute 'nothing'"},
		{"m.value", "m.value is not callable (TypeError)\n\tfrom TypeError: m.value is not callable"},
		{"not_there.run", "No module named 'not_there' (ModuleNotFoundError)\n\tfrom ModuleNotFoundError: No module named 'not_there'"},
		{"nothing", "No module named 'nothing' (ModuleNotFoundError)\n\tfrom ModuleNotFoundError: No module named 'nothing'"},
		{"m..f", "'m..f' names no method: PACKAGE.[CLASS.]METHOD is expected (ValueError)\n" +
			"\tfrom ValueError: 'm..f' names no method: PACKAGE.[CLASS.]METHOD is expected"},
	} {
		if diff := cmp.Diff(head+tt.want+" (runtime)", pythonFailure(t, p, p.call(tt.method))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.method, diff)
		}
	}
	for method, want := range map[string]string{
		"broken.work":        "invalid syntax (broken.py, line N) (SyntaxError)",
		"missing.work":       "No module named 'no_such_module' (ModuleNotFoundError)",
		"missing.Class.work": "No module named 'no_such_module' (ModuleNotFoundError)",
		"misnamed.work":      "cannot import name 'nothing'",
		"m.again":            " (Trouble)\n\tfrom Traceback (most recent call last):\n\tfrom   File \"m.py\", line N, in again\n",
		"m.Job.gone":         "needs the parameter 'a'",
		"m.leave":            "'m.leave' ended Python with the exit status 3, but must return or raise",
		"m.say":              "'m.say' ended Python with the exit status bye, but must return or raise",
		"m.subtask":          "(TypeError)\n\tfrom Traceback (most recent call last):\n\tfrom   File \"m.py\", line N, in subtask\n",
		"m.number":           "add_subtask takes a function or a dictionary, not 1 (TypeError)",
		"m.store":            " is not JSON serializable (TypeError)",
		"m.infinite":         "Out of range float values are not JSON compliant",
	} {
		got := pythonFailure(t, p, p.call(method))
		if !strings.HasPrefix(got, head) || !strings.Contains(got, want) {
			t.Errorf("%s: got\n%s\nwant it to begin with\n%s\nand to contain\n%s", method, got, head, want)
		}
	}
}

// What was printed comes first, then the traceback: without a frame of ours.
func TestPyLogsInOrder(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": `
import sys
def work():
    print("first", flush=sys.version_info < (3, 7))
    print("second", file=sys.stderr, flush=True) if sys.version_info < (3, 7) else print("second", file=sys.stderr)
    print("third")
    raise ValueError("no rows")
`})
	_ = pythonFailure(t, p, p.call("m.work"))
	got := regexp.MustCompile(`(?m)^ *[~^]+$\n`).ReplaceAllString(p.logged(), "")
	want := "first\nsecond\nthird\nTraceback (most recent call last):\n  File \"" + p.root + "/m.py\", line 7, in work\n" +
		"    raise ValueError(\"no rows\")\nValueError: no rows\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// The method may go elsewhere, and the project be below a working directory.
func TestPyRunsInTheWorkingDirectory(t *testing.T) {
	p := newPythonProject(t, map[string]string{"sub/m.py": `
import os
import digdag
def here():
    print(os.getcwd())
    os.chdir('/')
    digdag.env.store(done=True)
`})
	p.workdir = "sub"
	task := p.call("m.here")
	if got := encoded(mustRun(t, task).Store); got != `{"done":true}` {
		t.Errorf("got stored parameters %s, want those set after the move", got)
	}
	if got, want := p.logged(), filepath.Join(p.root, "sub")+"\n"; got != want {
		t.Errorf("got output %q, want %q", got, want)
	}
	if got := p.scratchFiles(); got != "" {
		t.Errorf("got files %s, want none", got)
	}
}

// Processes that multiprocessing begins find the module digdag too.
func TestPyStartsProcesses(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": `
import multiprocessing
import digdag
def double(n): return n * digdag.env.params['factor']
def work():
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        digdag.env.store(doubled=pool.map(double, [1, 2]))
`})
	if got, want := encoded(mustRun(t, p.call("m.work", "factor", 2)).Store), `{"doubled":[2,4]}`; got != want {
		t.Errorf("got stored parameters %s, want %s", got, want)
	}
}

// Without a command the parameter script is the runner, and answers itself.
func TestPyScript(t *testing.T) {
	p := newPythonProject(t, nil)
	script := func(text string) *operator.Task {
		return p.task("_type", "py", "python", []any{p.python, "-B"}, "word", "hello", "script", "import json, os, sys\n"+text)
	}
	answer := func(text string) *operator.Task { return script("open(sys.argv[2], 'w').write('''" + text + "''')") }
	got := mustRun(t, script(
		"p = json.load(open(sys.argv[1]))['params']\njson.dump({'store_params': {'seen': p['word']}}, open(sys.argv[2], 'w'))"))
	if got, want := encoded(got.Store), `{"seen":"hello"}`; got != want {
		t.Errorf("got stored parameters %s, want %s", got, want)
	}
	mustRun(t, answer(`{"subtask_config": null}`))

	const code4 = "Python command failed with code 4"
	for _, tt := range []struct {
		task *operator.Task
		want string
	}{
		{p.task("_type", "py"), "Parameter 'script' is required but not set (config)"},
		{p.task("py>", nil), "Parameter 'script' is required but not set (config)"},
		{script("os._exit(5)"), "Python command failed with code 5 (runtime)"},
		{script("os.kill(os.getpid(), 9)"), "Python command failed with code 137 (runtime)"},
		{script(""), "output.json does not exist. The script ended with exit status 0 before it was written (runtime)"},
		{answer("[1]"), "output.json holds no object, but [1] (runtime)"},
		{
			answer(`{"store_params": [1]}`),
			"Expected object type for key 'store_params' but got [1] (array) (config)",
		},
		{
			script("os.truncate(os.open(sys.argv[2], os.O_CREAT | os.O_RDWR), 65 << 20)"),
			"output.json is larger than 64 MiB (runtime)",
		},
		{script("open(sys.argv[2], 'w').write('{}'); sys.exit(4)"), code4 + " (runtime)"},
		{
			script(`json.dump({"error": {"class": "C", "message": "m", "backtrace": ["x", "y"]}}, open(sys.argv[2], "w")); sys.exit(4)`),
			code4 + "\nError messages from python: m (C)\n\tfrom x\n\tfrom y (runtime)",
		},
		{
			script(`json.dump({"error": {"class": []}}, open(sys.argv[2], "w")); sys.exit(4)`),
			code4 + "\nIts error cannot be told: Expected string type for key 'class' but got [] (array) (runtime)",
		},
		{
			script(`json.dump({"error": {"message": {}}}, open(sys.argv[2], "w")); sys.exit(4)`),
			code4 + "\nIts error cannot be told: Expected string type for key 'message' but got {} (object) (runtime)",
		},
		{
			script(`json.dump({"error": 1}, open(sys.argv[2], "w")); sys.exit(4)`),
			code4 + "\nIts error cannot be told: Expected object type for key 'error' but got 1 (number) (runtime)",
		},
	} {
		wantFailure(t, tt.task, tt.want)
	}
	for _, strange := range []string{
		"open(sys.argv[2], 'w').write('{')", "os.mkdir(sys.argv[2])", "os.mkfifo(sys.argv[2])", "os.symlink('/dev/zero', sys.argv[2])",
	} {
		if _, err := run(t, script(strange)); err == nil || !strings.HasPrefix(err.Error(), "read output.json: ") {
			t.Errorf("%s: got %v, want a failure to read the answer", strange, err)
		}
	}
}

func TestPyChoosesThePython(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": "import os, sys\ndef f(): print(os.environ['WHICH'], sys.flags.optimize)\n"})
	p.write("mine", "#!/bin/sh\nWHICH=mine exec "+p.python+" \"$@\"\n", 0o755)
	p.write("both/python", "#!/bin/sh\nWHICH=python exec "+p.python+" \"$@\"\n", 0o755)
	for _, dir := range []string{"both", "three"} {
		p.write(dir+"/python3", "#!/bin/sh\nWHICH=python3 exec "+p.python+" \"$@\"\n", 0o755)
	}
	inDirectory := func(dir string, own ...any) *operator.Task {
		task := p.task(append([]any{"py>", "m.f"}, own...)...)
		task.Environ = []string{"PATH=" + filepath.Join(p.root, dir)}
		return task
	}
	for _, tt := range []struct {
		task *operator.Task
		want string
	}{
		{inDirectory("both"), "python 0\n"},
		{inDirectory("three"), "python3 0\n"}, // O11
		{inDirectory("both", "python", "./mine"), "mine 0\n"},
		{inDirectory("both", "python", []any{"python3", "-O"}), "python3 1\n"},
		{inDirectory("none", "_env", params.Of("PATH", "three")), "python3 0\n"},
	} {
		if got := p.printed(t, tt.task); got != tt.want {
			t.Errorf("%v: got output %q, want %q", encoded(tt.task.Config), got, tt.want)
		}
	}
	_, err := run(t, inDirectory("none"))
	if err == nil || !strings.HasPrefix(err.Error(), "neither python nor python3 is there: ") {
		t.Errorf("got %v, want a failure that names both", err)
	}
	_, err = run(t, inDirectory("three", "python", "python"))
	if err == nil || !strings.Contains(err.Error(), `program "python" not found`) {
		t.Errorf("got %v, want a failure: this Python was asked for by name", err)
	}
	for _, wrong := range []any{3, "", []any{}, []any{[]any{}}, params.Of("a", 1)} {
		_, err := run(t, inDirectory("both", "python", wrong))
		if err == nil || !strings.HasPrefix(err.Error(), "Expected string or array of strings for key 'python' but got ") ||
			!strings.HasSuffix(err.Error(), " (config)") {
			t.Errorf("python: %v: got %v, want a config failure", wrong, err)
		}
	}
}

// A Python that is too old says so.
func TestPyNeedsPython36(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": "def f(): pass\n"})
	old := []any{
		p.python, "-c",
		"import sys, runpy\nsys.version_info = (2, 7)\nsys.version = '2.7.18 (default)'\nsys.argv.pop(0)\nrunpy.run_path(sys.argv[0], run_name='__main__')",
	}
	got := pythonFailure(t, p, p.call("m.f", "python", old))
	want := "Error messages from python: py> needs Python 3.6 or newer, and this is 2.7.18: set python: python3, for instance (RuntimeError)"
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want it to contain %s", got, want)
	}
}

func TestPyEarlyFailures(t *testing.T) {
	p := newProject(t)
	wantFailure(t, p.task("py>", []any{1}), "Expected string type for key '_command' but got [1] (array) (config)")
	wantFailure(t, p.task("py>", "m.f", "py", "x"), `Expected object type for key 'py' but got "x" (string) (config)`)
	wantFailure(t, p.task("py>", "m.f", "_env", params.Of("a-b", 1)), "Invalid _env key name: a-b (config)")
	wantFailure(t, p.task("py>", "m.f", "_env", params.Of("A", "${secret:no}")),
		"Secret not found for key: 'no' (secret not found)")
	p.write(".digdag/tmp/attempt", "no directory", 0o644)
	if _, err := run(t, p.task("py>", "m.f")); err == nil || !strings.HasSuffix(err.Error(), " (runtime)") {
		t.Errorf("got %v, want a failure: there is no room for its files", err)
	}
}

// What a crashed run left is not taken for an answer, and what the context ends
// is no failure of the task.
func TestPyBeginsAndEndsClean(t *testing.T) {
	p := newProject(t)
	p.write(".digdag/tmp/attempt/py-7-1/output.json", `{"store_params": {"old": 1}}`, 0o644)
	p.write(".digdag/tmp/attempt/py-7-1/sub/x", "", 0o644)
	ctx, cancel := context.WithCancelCause(t.Context())
	killed := errors.New("attempt killed")
	task := p.task("py>", "m.f")
	var args []string
	task.Commands = executor(func(c command.Command) (command.Exit, error) {
		if files := p.scratchFiles(); files != "py-7-1" {
			t.Errorf("got files %s, want those of this run", files)
		}
		args = c.Args
		cancel(killed)
		return command.Exit{Code: 143}, context.Cause(ctx)
	})
	_, err := operator.Builtin()["py"].Operator.Run(ctx, task)
	var failure *operator.Error
	if !errors.Is(err, killed) || errors.As(err, &failure) {
		t.Errorf("got %T %v, want the cause", err, err)
	}
	const dir = ".digdag/tmp/attempt/py-7-1/"
	if want := []string{"python", dir + "runner.py", "m.f", dir + "input.json", dir + "output.json"}; !slices.Equal(args, want) {
		t.Errorf("got arguments %q, want %q", args, want)
	}
	if got := p.scratchFiles(); got != "" {
		t.Errorf("got files %s, want none", got)
	}
	task.Commands = executor(func(command.Command) (command.Exit, error) { return command.Exit{}, nil })
	if _, err := run(t, task); err == nil || !strings.HasPrefix(err.Error(), "output.json does not exist. ") {
		t.Errorf("got %v, want a failure: nothing was answered", err)
	}
}

// BenchmarkPy compares a task with the start of Python that does nothing, and
// with one that reads and writes JSON as every task must.
func BenchmarkPy(b *testing.B) {
	p := newPythonProject(b, map[string]string{
		"m.py": "def f(): pass\n", "empty.py": "", "reads.py": "import json\njson.dumps({})\n",
	})
	bare := func(file string) func(b *testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				c := exec.Command(p.python, filepath.Join(p.root, file))
				c.Stdout, c.Stderr = p.log, p.log
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Run("bare", bare("empty.py"))
	b.Run("json", bare("reads.py"))
	b.Run("task", func(b *testing.B) {
		py := operator.Builtin()["py"].Operator
		task := p.call("m.f", "session_time", "2024-01-02T00:00:00+00:00", "attempt_id", 1)
		for b.Loop() {
			if _, err := py.Run(b.Context(), task); err != nil {
				b.Fatal(err)
			}
		}
	})
}
