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

// What is named is found as Digdag finds it, and where Digdag stumbles too
// (O11): by one name, in nested classes, as a static method, under the name of
// a module of Python's own.
func TestPyFindsTheMethod(t *testing.T) {
	p := newPythonProject(t, map[string]string{
		"m.py": `
import functools
def func(): print("m.func")
class Job:
    def run(self): print("Job.run")
    def method(self): print("Job.method")
    @classmethod
    def kind(cls): print(cls.__name__ + ".kind")
    @staticmethod
    def still(): print("Job.still")
    def __init__(self): self.made = lambda: print("Job.made")
    class Inner:
        def run(self): print("Inner.run")
        def go(self): print("Inner.go")
        class Most:
            @staticmethod
            def deep(): print("Most.deep")
class Heir(Job):
    def __init__(self): raise Exception("nobody needs an instance")
job = Job()
partial = functools.partial(func)
class Called:
    def __call__(self): print("Called")
called = Called()
`,
		"single.py":      "def single(): print('single.single')\ndef run(): print('single.run')\n",
		"runs.py":        "def run(): print('runs.run')\n",
		"Classy.py":      "class Classy:\n    def run(self): print('Classy.run')\n",
		"calendar.py":    "def mine(): print('calendar.mine')\n",
		"json.py":        "import os.path\ndef mine(): print('json.mine', os.path.basename(__file__))\n",
		"os.py":          "import os, json\ndef mine(): print('os.mine', json.dumps(os.name == 'posix'))\n",
		"time.py":        "class Job:\n    def run(self): print('time.Job')\n",
		"helped.py":      "import queue\ndef run(): print('helped by', queue.who)\n",
		"queue.py":       "who = 'queue.py'\n",
		"bare/mod.py":    "def hello(): print('bare.mod')\n",
		"pack/inner.py":  "def hello(): print('pack.inner')\nclass Hello:\n    def say(self): print('Hello.say')\n",
		"pack/hidden.py": "def hello(): print('pack.hidden')\n",
		"pack/__init__.py": `
from .inner import hello
class hidden:
    def hello(self): print("not this one")
`,
	})
	for method, want := range map[string]string{
		"m.func": "m.func", "m.Job": "Job.run", "m.Job.run": "Job.run", "m.Job.method": "Job.method",
		"m.Job.kind": "Job.kind", "m.Job.still": "Job.still", "m.Job.made": "Job.made", "m.Heir.still": "Job.still",
		"m.Job.Inner": "Inner.run", "m.Job.Inner.go": "Inner.go", "m.Job.Inner.Most.deep": "Most.deep",
		"m.job.method": "Job.method", "m.partial": "m.func", "m.called": "Called",
		"single": "single.single", "runs": "runs.run", "Classy": "Classy.run",
		"calendar.mine": "calendar.mine", "json.mine": "json.mine json.py", "os.mine": "os.mine true",
		"time.Job": "time.Job", "helped": "helped by queue.py",
		"bare.mod.hello": "bare.mod", "pack.hello": "pack.inner", "pack.inner.hello": "pack.inner",
		"pack.inner.Hello.say": "Hello.say", "pack.hidden.hello": "pack.hidden",
	} {
		if got := p.printed(t, p.call(method)); got != want+"\n" {
			t.Errorf("%s: got output %q, want %q", method, got, want+"\n")
		}
	}
}

func TestPyMatchesArgumentsByName(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": `
import functools
def plain(): print("none")
def named(a, b, c='default', d=1): print(a, b, c, d)
def rest(a, *rest): print(a, rest)
def everything(a, **more): print(a, more['x'], more['y'], 'session' in more, 'a' in more)
def keyword_only(x, *, a, b='b'): print(x, a, b)
def keywords(x, *, a='lost', **more): print(x, a, 'y' in more, 'x' in more, 'a' in more)
def types(i, f, t, n, l, o): print([type(v).__name__ for v in (i, f, t, n, l, o)], i, f, l, o)
def wrap(function):
    @functools.wraps(function)
    def wrapper(**params): return function(params['x'] + '!')
    return wrapper
@wrap
def wrapped(whatever): print(whatever)
partial = functools.partial(named, 'A', c='C')
class Called:
    def __call__(self, x): print("called with", x)
called = Called()
class Job:
    def __init__(self, a, *, y='why'): self.made = (a, y)
    def run(self): print(self.made)
    def method(self, x, z='zed'): print(self.made, x, z)
    def any(self, **more): print(sorted(k for k in more if len(k) == 1))
    @classmethod
    def kind(cls, x): print(cls.__name__, x)
    @staticmethod
    def still(x): print(x)
class Heir(Job): pass
class Bare:
    def method(self, x): print(x)
class Text(str):
    def run(self): print(repr(str(self)))
`})
	visible := params.Of("a", "A", "x", "X", "session", 1, "py", params.Of("python", p.python))
	tests := []struct {
		method string
		own    []any
		want   string
	}{
		{"m.plain", nil, "none"},
		{"m.named", []any{"b", "B"}, "A B default 1"},
		{"m.named", []any{"b", nil, "d", "D"}, "A None default D"},
		{"m.rest", nil, "A ()"},
		{"m.everything", []any{"y", "Y"}, "A X Y True False"},
		{"m.keyword_only", nil, "X A b"},
		{"m.keyword_only", []any{"b", "B"}, "X A B"},
		{"m.keywords", []any{"y", 1}, "X A True False False"},
		{
			"m.types", []any{
				"i", params.Number("12345678901234567890"), "f", params.Number("1.0"), "t", true, "n", nil,
				"l", []any{1, "${x}"}, "o", params.Of("k", params.Of("z", 2.5)),
			},
			"['int', 'float', 'bool', 'NoneType', 'list', 'dict'] 12345678901234567890 1.0 [1, '${x}'] {'k': {'z': 2.5}}",
		},
		{"m.wrapped", nil, "X!"},
		{"m.partial", []any{"b", "B"}, "A B C 1"},
		{"m.called", nil, "called with X"},
		{"m.Job", nil, "('A', 'why')"},
		{"m.Job.method", []any{"y", "Y"}, "('A', 'Y') X zed"},
		{"m.Job.any", nil, "['a', 'x']"},
		{"m.Job.kind", nil, "Job X"},
		{"m.Job.still", nil, "X"},
		{"m.Heir.method", []any{"z", "Z"}, "('A', 'why') X Z"},
		{"m.Bare.method", nil, "X"},
		{"m.Text", nil, "''"},
	}
	for _, tt := range tests {
		if got := p.printed(t, p.inherit(visible, append([]any{"py>", tt.method}, tt.own...)...)); got != tt.want+"\n" {
			t.Errorf("%s %v: got output %q, want %q", tt.method, tt.own, got, tt.want+"\n")
		}
	}
}

// A parameter that only later versions of Python can declare.
func TestPyMatchesPositionalOnlyArguments(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": "exec('def f(a=1, b=2, /, **more): print(a, b, len(more))')\n"})
	if err := exec.Command(p.python, "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run(); err != nil {
		return // no such function can be written
	}
	if got, want := p.printed(t, p.call("m.f", "b", "B")), "1 B "; !strings.HasPrefix(got, want) {
		t.Errorf("got output %q, want it to begin with %q", got, want)
	}
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

func TestPyIsGivenItsParameters(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": `
import json, os, sys
import digdag, digdag_env
def dump():
    assert digdag.env.params is digdag_env.params
    print(json.dumps(digdag.env.params))
    print(os.environ['E'], 'word' in os.environ, os.environ['HOME'])
    print(sys.argv[0], sys.argv[1:] == ['m.dump', sys.argv[2], sys.argv[3]], sys.stdin.read() == '')
`})
	visible := params.Of("word", "hé", "none", nil, "conf", params.Of("own", 1), "_secrets", params.Of("token", "other"),
		"py", params.Of("python", p.python, "conf", params.Of("default", true)))
	task := p.inherit(visible, "_env", params.Of("E", "${secret:token}"), "py>", "m.dump")
	task.Secrets = secrets{"token": "t0p", "other": "wrong"}
	// What json.dumps makes of the parameters, in their order.
	want := `{"python": "` + p.python + `", "conf": {"default": true, "own": 1}, "word": "h\u00e9", "none": null, ` +
		`"py": {"python": "` + p.python + `", "conf": {"default": true}}, "_env": {"E": "${secret:token}"}, "py>": "m.dump", ` +
		`"_type": "py", "_command": "m.dump"}` + "\nt0p False /inherited\n.digdag/tmp/attempt/py-7-1/runner.py True True\n"
	if diff := cmp.Diff(want, p.printed(t, task)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestPyReturnsWhatItAsksFor(t *testing.T) {
	p := newPythonProject(t, map[string]string{"m.py": `
import digdag
import digdag_env
from digdag import env
def stores():
    env.store({'z': 1, 'a': {'big': 12345678901234567890, 'f': 1.0}}, text='<${1 + 1}>', none=None)
    env.store(params={'z': 2})
    env.export({'e': '${x}'}, more=[1, '$'])
    env.set_state(lost=1)
    return 'ignored'
def tasks():
    env.add_subtask(work, n='${n}', m=1)
    env.add_subtask({'sh>': 'echo ${n}', '_export': {'n': '${m}'}}, timeout=2)
    env.add_subtask(**{'echo>': 'hi'})
    env.add_subtask(Later.Inner.go)
    env.add_subtask(Later)
    env.subtask_config['_parallel'] = True
    assert env.subtask_index == 5
def work(): pass
class Later:
    class Inner:
        def go(self): pass
def rebound():
    digdag_env.store_params = {'a': 1}
    env.export_params = {'b': 2}
    digdag_env.subtask_config['echo>'] = 'x'
def nothing(): pass
`})
	tests := []struct {
		method string
		want   operator.Result
	}{
		{"m.stores", operator.Result{
			Store: params.Of("z", 2, "a", params.Of("big", params.Number("12345678901234567890"), "f", params.Number("1.0")),
				"text", "<${1 + 1}>", "none", nil),
			Export: params.Of("e", "${x}", "more", []any{1, "$"}),
		}},
		{"m.tasks", operator.Result{Subtasks: params.Of(
			"+subtask0", params.Of("n", tmpl("${n}"), "m", 1, "py>", "m.work"),
			"+subtask1", params.Of("sh>", tmpl("echo ${n}"), "_export", params.Of("n", tmpl("${m}")), "timeout", 2),
			"+subtask2", params.Of("echo>", "hi"),
			"+subtask3", params.Of("py>", "m.Later.Inner.go"),
			"+subtask4", params.Of("py>", "m.Later"),
			"_parallel", true,
		)}},
		{"m.rebound", operator.Result{
			Subtasks: params.Of("echo>", "x"), Export: params.Of("b", 2), Store: params.Of("a", 1),
		}},
		{"m.nothing", operator.Result{}},
	}
	for _, tt := range tests {
		got := mustRun(t, p.call(tt.method))
		for _, part := range []struct {
			name      string
			got, want *params.Map
		}{
			{"subtasks", got.Subtasks, tt.want.Subtasks}, {"exports", got.Export, tt.want.Export},
			{"stores", got.Store, tt.want.Store},
		} {
			if part.want == nil {
				part.want = params.NewMap(0)
			}
			if diff := cmp.Diff(encoded(part.want), encoded(part.got)); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", tt.method, part.name, diff)
			}
		}
		if len(got.Reset) != 0 || got.Notify != "" {
			t.Errorf("%s: got %v and %q, want neither a reset nor a message", tt.method, got.Reset, got.Notify)
		}
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
