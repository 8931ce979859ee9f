package operator_test

import (
	"os/exec"
	"strings"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"

	"github.com/google/go-cmp/cmp"
)

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
			"m.types",
			[]any{
				"i", params.Number("12345678901234567890"), "f", params.Number("1.0"), "t", true, "n", nil,
				"l",
				[]any{1, "${x}"},
				"o", params.Of("k", params.Of("z", 2.5)),
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
			{"subtasks", got.Subtasks, tt.want.Subtasks},
			{"exports", got.Export, tt.want.Export},
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
