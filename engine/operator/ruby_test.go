package operator_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"

	"github.com/google/go-cmp/cmp"
)

// newRubyProject returns a project whose tasks call methods of the file m.rb.
func newRubyProject(t *testing.T, method string) *rubyProject {
	t.Helper()
	if _, err := exec.LookPath("ruby"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("there is no Ruby here")
		}
		t.Fatal("there is no Ruby here")
	}
	p := &rubyProject{newProject(t)}
	p.write("m.rb", method, 0o644)
	return p
}

type rubyProject struct{ *project }

func (p *rubyProject) call(method string, own ...any) *operator.Task {
	p.t.Helper()
	return p.inherit(params.Of("rb", params.Of("require", "m")), append([]any{"rb>", method}, own...)...)
}

func (p *rubyProject) printed(t *testing.T, task *operator.Task) string {
	t.Helper()
	before := len(p.logged())
	mustRun(t, task)
	return p.logged()[before:]
}

func (p *rubyProject) failure(t *testing.T, task *operator.Task) string {
	t.Helper()
	_, err := run(t, task)
	var failure *operator.Error
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want a failure", err)
	}
	return strings.ReplaceAll(failure.Error(), p.root+"/", "")
}

func TestRbFindsTheMethod(t *testing.T) {
	p := newRubyProject(t, `
def top; puts 'top'; end
module Mod
  def self.help; puts 'Mod.help'; end
  class Job
    def run; puts 'Job#run'; end
    def both; puts 'Job#both'; end
    def self.both; puts 'never'; end
    def self.kind; puts "#{name}.kind"; end
    class Inner < Job; def deep; puts 'Inner#deep'; end; end
    private def hidden; puts 'never'; end
  end
end
Made = Struct.new(:a) { def go; puts "Made #{a.inspect}"; end }
`)
	for method, want := range map[string]string{
		"top": "top", "Mod.help": "Mod.help", "Mod::Job.run": "Job#run", "::Mod::Job.run": "Job#run", "Mod::Job.both": "Job#both",
		"Mod::Job.kind": "Mod::Job.kind", "Mod::Job::Inner.deep": "Inner#deep", "Mod::Job::Inner.run": "Job#run", "Made.go": "Made nil",
	} {
		if got := p.printed(t, p.call(method)); got != want+"\n" {
			t.Errorf("%s: got output %q, want %q", method, got, want+"\n")
		}
	}
}

// Parameters that are named at the call work with any Ruby (O12).
func TestRbMatchesArgumentsByName(t *testing.T) {
	p := newRubyProject(t, `
def plain; p 0; end
def named(a, b, c = 'default', d = 1); p [a, b, c, d]; end
def rest(a, *rest); p [a, rest]; end
def keywords(x, a:, b: 'b'); p [x, a, b]; end
def everything(x, a:, **more); p [x, a, more[:x], more[:y], more.key?(:a), more.key?(:session)]; end
def nothing(**nil); p 0; end
def hash(o, k: 1); p [o, k]; end
def types(i, f, t, n, l, o); p [i, f, t, n, l, o]; end
class Job
  def initialize(a, y: 'why'); @made = [a, y]; end
  def method(x, z: 'zed'); p [@made, x, z]; end
  def self.kind(x:); p [name, x]; end
end
class Heir < Job; end
`)
	visible := params.Of("a", "A", "x", "X", "session", 1, "rb", params.Of("require", "m"))
	for _, tt := range []struct {
		method string
		own    []any
		want   string
	}{
		{"plain", nil, "0"},
		{"named", []any{"b", "B"}, `["A", "B", "default", 1]`},
		{"named", []any{"b", nil, "c", "C", "d", "D"}, `["A", nil, "C", "D"]`},
		{"rest", nil, `["A", []]`},
		{"keywords", nil, `["X", "A", "b"]`},
		{"keywords", []any{"b", "B"}, `["X", "A", "B"]`},
		{"everything", []any{"y", "Y"}, `["X", "A", "X", "Y", false, true]`},
		{"nothing", nil, "0"},
		{
			"types",
			[]any{
				"i", params.Number("12345678901234567890"), "f", params.Number("1.0"), "t", true, "n", nil,
				"l",
				[]any{1, "${x}"},
				"o", params.Of("k", "v"),
			},
			"[12345678901234567890, 1.0, true, nil, [1, \"${x}\"], {\"k\"=>\"v\"}]",
		},
		{"hash", []any{"o", params.Of("k", 2)}, `[{"k"=>2}, 1]`},
		{"Job.method", nil, `[["A", "why"], "X", "zed"]`},
		{"Heir.method", []any{"y", "Y", "z", "Z"}, `[["A", "Y"], "X", "Z"]`},
		{"Job.kind", nil, `["Job", "X"]`},
	} {
		task := p.inherit(visible, append([]any{"rb>", tt.method}, tt.own...)...)
		got := strings.ReplaceAll(p.printed(t, task), `" => `, `"=>`) // as Ruby 3.4 shows a hash
		if got != tt.want+"\n" {
			t.Errorf("%s %v: got output %q, want %q", tt.method, tt.own, got, tt.want+"\n")
		}
	}
}

func TestRbReturnsWhatItAsksFor(t *testing.T) {
	p := newRubyProject(t, `
def stores
  Digdag.env.store({'z' => 1, 'a' => {'big' => 12345678901234567890, 'f' => 1.0}})
  Digdag.env.store(text: '<${1 + 1}>', none: nil)
  Digdag.env.store({'z' => 2})
  Digdag.env.export({'e' => '${x}'}, more: [1, '$'])
  Digdag.env.set_state(lost: 1)
  'ignored'
end
def tasks
  Digdag.env.add_subtask(:work, n: '${n}', m: 1)
  Digdag.env.add_subtask({'sh>' => 'echo ${n}', '_export' => {'n' => '${m}'}}, timeout: 2)
  Digdag.env.add_subtask('echo>' => 'hi')
  Digdag.env.add_subtask(Later::Inner, :go, 'n' => 4)
  Digdag.env.add_subtask(:Later, :kind)
  Digdag.env.subtask_config['_parallel'] = true
end
def work; end
class Later
  def self.kind; end
  class Inner; def go; end; end
end
def nothing; end
`)
	for _, tt := range []struct {
		method                 string
		store, export, subtask *params.Map
	}{
		{
			method: "stores",
			store: params.Of("z", 2, "a", params.Of("big", params.Number("12345678901234567890"), "f", params.Number("1.0")),
				"text", "<${1 + 1}>", "none", nil),
			export: params.Of("e", "${x}", "more", []any{1, "$"}),
		},
		{method: "tasks", subtask: params.Of(
			"+subtask0", params.Of("n", tmpl("${n}"), "m", 1, "rb>", "work"),
			"+subtask1", params.Of("sh>", tmpl("echo ${n}"), "_export", params.Of("n", tmpl("${m}")), "timeout", 2),
			"+subtask2", params.Of("echo>", "hi"),
			"+subtask3", params.Of("n", 4, "rb>", "::Later::Inner.go"),
			"+subtask4", params.Of("rb>", "::Later.kind"),
			"_parallel", true,
		)},
		{method: "nothing"},
	} {
		got := mustRun(t, p.call(tt.method))
		want := encoded(params.Of("store", tt.store, "export", tt.export, "subtasks", tt.subtask))
		if diff := cmp.Diff(want, encoded(params.Of("store", got.Store, "export", got.Export, "subtasks", got.Subtasks))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.method, diff)
		}
	}
}

// Whatever goes wrong, and wherever, is told (O12).
func TestRbTellsWhatFailed(t *testing.T) {
	p := newRubyProject(t, `
def work; raise ArgumentError, 'no rows'; end
def named(a, b:); end
def gap(a = 1, x = 2); end
class Job; def initialize(a); end; def go; end; private def hidden; end; end
class Mute < StandardError; def message; raise 'speechless'; end; end
def mute; raise Mute; end
def anonymous; raise Class.new(StandardError), 'who'; end
def leave; exit 3; end
def deep; deep; end
def binary; raise "\xff\xfe".b; end
def nan; Digdag.env.store(n: Float::NAN); end
def store; Digdag.env.store('x'); end
def dotted; Digdag.env.add_subtask(:'a.b'); end
def unknown; Digdag.env.add_subtask(:nothing_here); end
def unknown_class; Digdag.env.add_subtask(:NothingHere, :x); end
def unknown_method; Digdag.env.add_subtask(Job, :hidden); end
def nameless; Digdag.env.add_subtask(Class.new { def go; end }, :go); end
def number; Digdag.env.add_subtask(1); end
def unwritable; Digdag.env.add_subtask({'x' => Float::NAN}); end
`)
	p.write("broken.rb", "def work(\n", 0o644)
	p.write("missing.rb", "require 'no_such_library'\n", 0o644)
	const head = "Ruby command failed with code 1: "
	want := head + "no rows (ArgumentError)\n\tfrom m.rb:2:in `work' (runtime)"
	if got := strings.NewReplacer("'Object#work'", "`work'", "'work'", "`work'").Replace(p.failure(t, p.call("work"))); got != want {
		t.Errorf("got failure\n  %s\nwant\n  %s", got, want)
	}
	if got, want := p.logged(), "m.rb:2:in "; !strings.HasPrefix(strings.ReplaceAll(got, p.root+"/", ""), want) || strings.Contains(got, "runner.rb") {
		t.Errorf("got the log\n%swant the error at its place, and no line of ours", got)
	}
	require := func(name string) *operator.Task { return p.task("rb>", "work", "require", name) }
	for _, tt := range []struct {
		task *operator.Task
		want string
	}{
		{p.call("named"), "Object#named needs the parameter 'a', which is not set (ArgumentError)"},
		{p.call("named", "a", 1), "Object#named needs the parameter 'b', which is not set (ArgumentError)"},
		{p.call("gap", "x", 1), "gap needs the parameter 'a', as there is one for 'x' behind it (ArgumentError)"},
		{p.call("Job.go"), "Job#initialize needs the parameter 'a', which is not set (ArgumentError)"},
		{p.call("Job.hidden"), "undefined method"},
		{p.call("Job.none"), "undefined method"},
		{p.call("nothing_here"), head + "the top level has no method 'nothing_here' (ArgumentError)"},
		{p.call("Nothing::Here.x"), "uninitialized constant Nothing"},
		{p.call(".x"), "(NameError)"},
		{p.call("mute"), head + " (Mute)\n"},
		{p.call("anonymous"), head + "who (#<Class:"},
		{p.call("leave"), "'leave' ended Ruby with the exit status 3, but must return or raise an exception (SystemExit)"},
		{p.call("deep"), "stack level too deep (SystemStackError)"},
		{p.call("binary"), head + "\ufffd\ufffd (RuntimeError)"},
		{p.call("nan"), "NaN not allowed in JSON"},
		{p.call("store"), `parameters must be a Hash, not "x" (ArgumentError)`},
		{p.call("dotted"), ":\"a.b\" has a dot in it (ArgumentError)"},
		{p.call("unknown"), "the top level has no method 'nothing_here' (ArgumentError)"},
		{p.call("unknown_class"), "uninitialized constant NothingHere"},
		{p.call("unknown_method"), "Job has no method 'hidden' (ArgumentError)"},
		{p.call("nameless"), "a class without a name has no task (ArgumentError)"},
		{p.call("number"), "add_subtask takes a Hash, a method :name, or a class and a method :name, and then parameters; not 1 (ArgumentError)"},
		{p.call("unwritable"), "the parameters of a subtask have no JSON form: "},
		{require("broken"), "(SyntaxError)"},
		{require("missing"), "cannot load such file -- no_such_library (LoadError)"},
		{require("not_there"), "cannot load such file -- not_there (LoadError)"},
		{p.task("rb>", "work"), "the top level has no method 'work': the parameter require names the file that has it (ArgumentError)"},
	} {
		if got := p.failure(t, tt.task); !strings.HasPrefix(got, head) || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got\n%s\nwant it to contain\n%s", encoded(tt.task.Local), got, tt.want)
		}
	}
}

// The project's own files are found first, but do not stand in the runner's way;
// what is printed comes at once.
func TestRbRunsInTheWorkingDirectory(t *testing.T) {
	p := newRubyProject(t, "")
	p.write("sub/json.rb", "raise 'not this one'\n", 0o644)
	p.write("sub/time.rb", "WHOSE = 'mine'\n", 0o644)
	p.write("sub/lib/m.rb", `
require 'time'
at_exit { puts 'over' }
def here(w)
  puts Dir.pwd, WHOSE, ENV['E'].inspect, ENV['word'].inspect, ENV['HOME'], $stdin.read.inspect, ARGV.size, w
  $stderr.puts 'aside'
  puts Digdag.env.params.keys.sort.join(' ')
  Dir.chdir('/')
  Digdag.env.store(done: true)
end
`, 0o644)
	p.workdir = "sub"
	task := p.inherit(params.Of("word", "w", "rb", params.Of("require", "lib/m", "w", "ü"), "_secrets", params.Of("token", "other")),
		"rb>", "here", "_env", params.Of("E", "${secret:token}", "LANG", "C", "LC_ALL", "C"))
	task.Secrets = secrets{"token": "t0p"}
	if got := encoded(mustRun(t, task).Store); got != `{"done":true}` {
		t.Errorf("got stored parameters %s, want those set after the move", got)
	}
	want := filepath.Join(p.root, "sub") + "\nmine\n\"t0p\"\nnil\n/inherited\n\"\"\n3\nü\naside\n" +
		"_command _env _type rb rb> require w word\nover\n"
	if diff := cmp.Diff(want, p.logged()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	entries, err := os.ReadDir(filepath.Join(p.root, ".digdag/tmp/attempt"))
	if err != nil || len(entries) != 0 {
		t.Errorf("got files %v, %v, want none", entries, err)
	}
}

func TestRbChoosesTheRuby(t *testing.T) {
	p := newRubyProject(t, "def f; puts ENV['WHICH'].inspect, $VERBOSE.inspect; end\n")
	p.write("mine", "#!/bin/sh\nWHICH=mine exec ruby \"$@\"\n", 0o755)
	for _, tt := range []struct {
		ruby any
		want string
	}{{"ruby", "nil\nfalse\n"}, {"./mine", "\"mine\"\nfalse\n"}, {[]any{"./mine", "-W0"}, "\"mine\"\nnil\n"}} {
		if got := p.printed(t, p.call("f", "ruby", tt.ruby)); got != tt.want {
			t.Errorf("ruby: %v: got output %q, want %q", tt.ruby, got, tt.want)
		}
	}
	if got := p.failure(t, p.call("f", "ruby", "no-such-ruby")); !strings.Contains(got, `program "no-such-ruby" not found`) {
		t.Errorf("got %s, want it to name what is missing", got)
	}
	old := []any{"ruby", "-W0", "-e", "Object.const_set(:RUBY_VERSION, '2.6.10'); load ARGV.shift"}
	task := p.call("f", "ruby", append(old, "--"))
	task.Commands = executor(func(c command.Command) (command.Exit, error) {
		c.Args = slices.DeleteFunc(c.Args, func(arg string) bool { return arg == "--" })
		return command.Local{}.Run(t.Context(), c)
	})
	if got, want := p.failure(t, task), "rb> needs Ruby 2.7 or newer, and this is 2.6.10: set ruby: PROGRAM (RuntimeError)"; !strings.Contains(got, want) {
		t.Errorf("got %s, want it to contain %s", got, want)
	}
}

// Without a command the parameter script is the runner, and answers itself.
func TestRbScript(t *testing.T) {
	p := newRubyProject(t, "def greeting; 'hello'; end\n")
	script := func(text string, own ...any) *operator.Task {
		return p.task(append([]any{"_type", "rb", "script", "require 'json'\n" + text}, own...)...)
	}
	got := mustRun(t, script("File.write(ARGV[1], JSON.generate(store_params: {seen: greeting + JSON.parse(File.read(ARGV[0]))['params']['word']}))",
		"require", "m", "word", "!"))
	if got, want := encoded(got.Store), `{"seen":"hello!"}`; got != want {
		t.Errorf("got stored parameters %s, want %s", got, want)
	}
	const code4 = "Ruby command failed with code 4"
	for _, tt := range []struct {
		task *operator.Task
		want string
	}{
		{p.task("_type", "rb"), "Parameter 'script' is required but not set (config)"},
		{p.task("rb>", []any{1}), "Expected string type for key '_command' but got [1] (array) (config)"},
		{p.task("rb>", "f", "require", []any{}), "Expected string type for key 'require' but got [] (array) (config)"},
		{p.task("rb>", "f", "rb", 1), "Expected object type for key 'rb' but got 1 (number) (config)"},
		{p.task("rb>", "f", "ruby", 3), "Expected string or array of strings for key 'ruby' but got 3 (number) (config)"},
		{p.task("rb>", "f", "_env", params.Of("a-b", 1)), "Invalid _env key name: a-b (config)"},
		{script(""), "output.json does not exist. The script ended with exit status 0 before it was written (runtime)"},
		{script("exit! 4"), code4 + " (runtime)"},
		{script("File.write(ARGV[1], '{\"error\": 1}'); exit 4"), code4 + "\nIts error cannot be told: " +
			"Expected object type for key 'error' but got 1 (number) (runtime)"},
	} {
		wantFailure(t, tt.task, tt.want)
	}
}
