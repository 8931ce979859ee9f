package dig

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

func TestTreeShape(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"no tasks", "_export: {a: 1}\n", []string{"+w group"}},
		{
			"file order", "+z: {echo>: 1}\n\"+10\": {echo>: 1}\n+a:\n  +c: {echo>: 1}\n  +b: {}\n+B: {echo>: 1}\n",
			[]string{"+w group", "+w+z", "+w+10", "+w+a group", "+w+a+c", "+w+a+b group", "+w+B"},
		},
		{
			"kinds", "+type: {_type: sh, _command: x}\n+both: {_type: sh, echo>: x}\n+off: {_disable: 'true', sh>: x, +a: {}, _background: true}\n+on: {_disable: false, sh>: x}\n+empty: {}\n+o: {_parallel: false}\n",
			[]string{"+w group", "+w+type", "+w+both", "+w+off group", "+w+on", "+w+empty group", "+w+o group"},
		},
		{
			"lists of mappings (L11)", "+l:\n  - x: 1\n    sh>: echo\n  - x: 2\n+g:\n  - +a: {sh>: 1}\n    +b: {sh>: 1}\n  - +a: {}\n+one: [{sh>: x}]\n+none: []\n",
			[]string{"+w group", "+w+l", "+w+g group", "+w+g+a group", "+w+g+b", "+w+one", "+w+none group"},
		},
		{
			"background (L6)", "+a: {echo>: a}\n+b: {_background: true, echo>: b}\n+c: {_background: 'true', +d: {}}\n+e: {_background: false, echo>: e}\n",
			[]string{"+w group", "+w+a", "+w+b background", "+w+c group background", "+w+c+d group", "+w+e"},
		},
		{
			"after (L8)", "+g:\n  _parallel: true\n  +a: {echo>: 1}\n  +b:\n    +x: {}\n  +c: {echo>: 1, _after: [+a, +b, +a]}\n  +d: {_after: [], echo>: 1}\n",
			[]string{"+w group", "+w+g group parallel", "+w+g+a", "+w+g+b group", "+w+g+b+x group", "+w+g+c after +a after +b", "+w+g+d"},
		},
		{
			"parallel of the root", "_parallel: 'true'\n+a: {echo>: 1}\n+b: {echo>: 1, _after: [+a]}\n",
			[]string{"+w group parallel", "+w+a", "+w+b after +a"},
		},
		{
			"templated parallel allows both (L31)", "+g:\n  _parallel: ${p}\n  +a: {echo>: 1}\n  +b: {echo>: 1, _after: [+a]}\n  +c: {echo>: 1, _background: true}\n",
			[]string{"+w group", "+w+g group", "+w+g+a", "+w+g+b after +a", "+w+g+c background"},
		},
		{
			"names", "+1st: {sh>: 1}\n+a=b[c]{d}: {sh>: 1}\n+p%q&r@s,t.u: {sh>: 1}\n+: {sh>: 1}\n+g:\n  +n^m: {sh>: 1}\n  +`t`: {sh>: 1}\n",
			[]string{"+w group", "+w+1st", "+w+a=b[c]{d}", "+w+p%q&r@s,t.u", "+w+", "+w+g group", "+w+g+n^m", "+w+g+`t`"},
		},
		{
			"keys of a whole workflow on a group", "+g: {timezone: Nowhere, schedule: x, sla: y, _secrets: {a: b}, _labels: {a: b}, _timeout: 1h, +t: {sh>: x}}\n",
			[]string{"+w group", "+w+g group", "+w+g+t"},
		},
		{
			"what is generated later is not checked", "+a: {if>: x, _do: {sh>: 1, py>: 2}, _else_do: 3, _check: {bad: 1, +x: {}}}\n",
			[]string{"+w group", "+w+a"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, shape(one(t, c.text).Tree)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
		})
	}
}

// What each node carries.
func TestNodeContents(t *testing.T) {
	w := one(t, `
_export: {x: 1}
_retry: 2
schedule: {daily>: "07:00:00"}
+g:
  _export: {y: 1}
  _retry: {limit: "${n}"}
  _parallel: {limit: 3}
  _error: {sh>: fix}
  +op:
    local: 1
    sh>: run
    _export: {z: 1}
    _after: []
    _retry: 3
    _timeout: 1m 30s
    _error:
      +a: {echo>: 1}
      +b: {}
`)
	root, g, op := w.Tree.Nodes[0], w.Tree.Nodes[1], w.Tree.Nodes[2]
	check := func(name string, got *params.Map, want string) {
		t.Helper()
		if text := string(params.AppendJSON(nil, got)); text != want {
			t.Errorf("%s: got %s, want %s", name, text, want)
		}
	}
	check("config of the root", root.Config, `{"schedule":{"daily>":"07:00:00"},"_retry":2}`)
	check("export of the root", root.Export, `{"x":1}`)
	check("config of the group", g.Config, `{"_retry":{"limit":"${n}"},"_parallel":{"limit":3},"_error":{"sh>":"fix"}}`)
	check("options of the group", g.Options, `{"_retry":{"limit":"${n}"},"_parallel":{"limit":3}}`)
	check("config of the operator", op.Config,
		`{"local":1,"sh>":"run","_retry":3,"_timeout":"1m 30s","_error":{"+a":{"echo>":1},"+b":{}}}`)
	check("export of the operator", op.Export, `{"z":1}`)
	if root.Retry.Limit != 2 || g.Retry.Limit != 0 || op.Retry.Limit != 0 {
		t.Errorf("got retries %v %v %v, want 2, 0 and 0", root.Retry, g.Retry, op.Retry)
	}
	if want := (flow.Parallel{On: true, Limit: 3}); g.Parallel != want {
		t.Errorf("got %v, want %v", g.Parallel, want)
	}
	if op.Timeout != 90*time.Second || op.Options != nil || root.Options != nil {
		t.Errorf("got timeout %v, options %v and %v, want 1m30s and none", op.Timeout, op.Options, root.Options)
	}
	if diff := cmp.Diff([]string{"^error"}, shape(g.Error)); diff != "" {
		t.Errorf("_error of the group (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"^error group", "^error+a", "^error+b group"}, shape(op.Error)); diff != "" {
		t.Errorf("_error of the operator (-want +got):\n%s", diff)
	}
}

// language.md 2.3 to 2.7: every condition, where it is and what it says.
func TestCompileErrors(t *testing.T) {
	long := "+" + strings.Repeat("n", 255)
	for _, c := range []struct{ name, text, want string }{
		{"unknown top-level key", "shedule: {}\n+t: {sh>: x}\n", "1:1: error: workflow includes unknown keys: [shedule]\n  hint: did you mean \"schedule\"?"},
		{"operator at the top", "sh>: x\n", "1:1: error: workflow includes unknown keys: [sh>]\n  hint: an operator belongs into a task: `+name: {sh>: …}`"},
		{"background at the top", "_background: true\n", "1:1: error: workflow includes unknown keys: [_background]"},
		{"number for a task (L66)", "+1: {sh>: x}\n", "1:1: error: workflow includes unknown keys: [+1]\n  hint: +1 is read as a number; put the task name in quotes: \"+1\""},
		{"number for a nested task (L66)", "+g:\n  +0x1: {sh>: x}\n", "2:3: error: task +w+g contains invalid keys: \"1\"\n  hint: +0x1 is read as a number; put the task name in quotes: \"+0x1\""},
		{"unknown zone", "timezone: JST\n", "1:11: error: unknown time zone \"JST\"\n  hint: use the name of a region, such as Asia/Tokyo"},
		{"zone of a list", "timezone: [UTC]\n", "1:11: error: timezone must be the name of a time zone\n  hint: use a name such as Asia/Tokyo or an offset such as +09:00"},
		{"null task", "+a:\n+b: {sh>: x}\n", "1:1: error: task +w+a: a task must be a mapping, but it is empty\n  hint: write {} for a task that does nothing"},
		{"text task", "+g:\n  +a: x\n", "2:3: error: task +w+g+a: a task must be a mapping\n  hint: write {} for a task that does nothing"},
		{"list with a text", "+a: [{sh>: x}, y]\n", "1:1: error: task +w+a: a task that is a list must be a list of mappings\n  hint: write {} for a task that does nothing"},
		{"bad name", "+x y: {sh>: 1}\n", "1:1: error: task +w+x y: the character ' ' is not allowed in a task name"},
		{"caret at the top", "+x^y: {sh>: 1}\n", "1:1: error: task +w+x^y: the character '^' is not allowed in a task name"},
		{"bad nested name", "+g:\n  \"+x/y\": {sh>: 1}\n", "2:3: error: task +w+g+x/y: the character '/' is not allowed in a task name"},
		{"long name", long + ": {sh>: 1}\n", "1:1: error: task +w" + long + ": the task name is longer than 255 characters"},
		{"operator with children", "+a:\n  sh>: x\n  +b: {}\n", "3:3: error: task +w+a: a task with an operator can't have subtasks: \"+b\"\n  hint: put the operator into a task of its own"},
		{"type with children", "+a:\n  _type: sh\n  +b: {}\n", "3:3: error: task +w+a: a task with an operator can't have subtasks: \"+b\"\n  hint: put the operator into a task of its own"},
		{"two operators", "+a:\n  sh>: x\n  py>: y\n", "3:3: error: task +w+a has more than one operator: sh>, py>\n  hint: make a task of each"},
		{"unknown key on a group", "+g:\n  _paralel: true\n  +a: {sh>: 1}\n", "2:3: error: task +w+g contains invalid keys: \"_paralel\"\n  hint: did you mean \"_parallel\"?"},
		{"nothing near", "+g: {zzzzzz: 1}\n", "1:6: error: task +w+g contains invalid keys: \"zzzzzz\""},
		{"disable on a group", "+g: {_disable: false}\n", "1:6: error: task +w+g contains invalid keys: \"_disable\""},
		{"disable is no boolean", "+g: {_disable: perhaps, sh>: x}\n", "1:16: error: task +w+g: _disable must be true or false, it is never evaluated"},
		{"parallel number", "+g: {_parallel: 3}\n", "1:17: error: task +w+g: invalid _parallel format: 3 is neither a boolean nor a mapping with limit\n  hint: use true, false or {limit: N}"},
		{"parallel text", "+g: {_parallel: 'yes'}\n", "1:17: error: task +w+g: invalid _parallel format: yes is neither a boolean nor a mapping with limit\n  hint: use true, false or {limit: N}"},
		{"parallel mapping", "+g:\n  _parallel: {max: 3}\n", "2:14: error: task +w+g: invalid _parallel format: limit is missing\n  hint: use true, false or {limit: N}"},
		{"background in parallel", "_parallel: true\n+a:\n  _background: true\n  sh>: x\n", "3:3: error: task +w+a: _background is unnecessary in a parallel group"},
		{"background in limited parallel", "_parallel: {limit: '${n}'}\n+a:\n  _background: true\n  sh>: x\n", "3:3: error: task +w+a: _background is unnecessary in a parallel group"},
		{"background is evaluated", "+a: {_background: '${x}', sh>: x}\n", "1:19: error: task +w+a: _background must be true or false, it is never evaluated"},
		{"after in a sequence", "+a: {sh>: 1}\n+b:\n  _after: [+a]\n  sh>: x\n", "3:3: error: task +w+b: _after is only allowed in a group with _parallel\n  hint: the tasks of this group run one after the other already"},
		{"after a text", "_parallel: true\n+a: {sh>: 1}\n+b: {_after: +a, sh>: 1}\n", "3:14: error: task +w+b: _after must be a list of task names\n  hint: write it in brackets: `_after: [+name]`"},
		{"after a number", "_parallel: true\n+a: {_after: [1], sh>: 1}\n", "2:14: error: task +w+a: _after must be a list of task names"},
		{"after none", "_parallel: true\n+abc: {sh>: 1}\n+b: {_after: [+abd], sh>: 1}\n", "3:14: error: task +w+b: dependency task +abd does not exist\n  hint: did you mean \"+abc\"?"},
		{"after without plus", "_parallel: true\n+abc: {sh>: 1}\n+b: {_after: [abc], sh>: 1}\n", "3:14: error: task +w+b: dependency task abc does not exist\n  hint: write the name with its plus: \"+abc\""},
		{"after a later one", "_parallel: true\n+b: {_after: [+c], sh>: 1}\n+c: {sh>: 1}\n", "2:14: error: task +w+b: dependency task +c does not exist\n  hint: +c is defined later; only earlier tasks can be waited for"},
		{"after itself", "_parallel: true\n+b: {_after: [+b], sh>: 1}\n", "2:14: error: task +w+b: dependency task +b does not exist\n  hint: a task cannot wait for itself"},
		{"error is a text", "+g: {_error: oops}\n", "1:14: error: task +w+g: _error must be a mapping of what to run"},
		{"error of the root is null", "_error:\n", "1:8: error: task +w: _error must be a mapping of what to run"},
		{"invalid inside error", "+a:\n  sh>: x\n  _error:\n    +b: {sh>: 1, py>: 2}\n", "4:18: error: task +w+a^error+b has more than one operator: sh>, py>\n  hint: make a task of each"},
		{"error in error", "_error:\n  +x: {_error: {bad: 1}}\n", "2:17: error: task +w^error+x^error contains invalid keys: \"bad\""},
		{"export is a text", "_export: x\n", "1:10: error: task +w: _export must be a mapping"},
		{"timeout", "+a: {sh>: x, _timeout: 10}\n", "1:24: error: task +w+a: _timeout must be a duration such as 30s or 1h 30m"},
		{"labels", "_labels: [a]\n", "1:10: error: task +w: _labels must be a mapping"},
		{"label", "+a: {sh>: x, _labels: {b: {c: 1}}}\n", "1:27: error: task +w+a: the label \"b\" must be a text"},
		{"schedule is a text", "schedule: daily\n", "1:11: error: schedule must be a mapping"},
		{"unknown schedule", "schedule:\n  dayly>: 07:00:00\n", "2:3: error: Unknown scheduler type: dayly\n  hint: did you mean \"daily\"?"},
		{"bad schedule", "schedule:\n  daily>: 7\n", "2:11: error: daily> scheduler requires hh:mm:ss format: 7"},
		{"unknown schedule key (L49)", "schedule:\n  daily>: 07:00:00\n  skip_on_overtim: true\n", "3:3: error: Parameter 'skip_on_overtim' is not used at schedule.\n  hint: did you mean \"skip_on_overtime\"?"},
		{"sla is a list", "sla: []\n", "1:6: error: sla must be a mapping"},
		{"sla with both", "sla: {time: 02:00, duration: 01:00}\n", "1:1: error: SLA must be specified using either the 'time' or 'duration' option"},
		{"sla format", "sla:\n  duration: 2h\n", "2:13: error: SLA duration option needs to be HH:MM or HH:MM:SS format: 2h"},
		{"sla task", "sla:\n  time: 02:00\n  alerts: false\n", "3:3: error: task +w^sla contains invalid keys: \"alerts\"\n  hint: did you mean \"alert\"?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ds := Load(write(t, map[string]string{"w.dig": c.text}), Options{})
			if diff := cmp.Diff("w.dig:"+c.want, ds.Errors().String()); diff != "" {
				t.Errorf("diagnostics (-want +got):\n%s", diff)
			}
			if p.Workflow("w") != nil || !cmp.Equal(p.Broken, []string{"w"}) {
				t.Errorf("got %v and broken %v, want the workflow to be broken", p.Workflows, p.Broken)
			}
		})
	}
}

func TestLongestName(t *testing.T) {
	name := "+" + strings.Repeat("n", 254)
	if got := one(t, name+": {sh>: x}\n").Tree.Nodes[1].Name; got != name {
		t.Errorf("got %s", got)
	}
}

// Of the characters that a name must not have only the first is looked at (Q26).
// Q26: what else a name holds is accepted, with a warning.
func TestDoubtName(t *testing.T) {
	for name, want := range map[string]string{
		"plain": "", "etl/daily": "", "äö": "", "a:b": `the name "a:b" has ":" in it, which addresses and commands may take for something else`,
		"a*": `the name "a*" has "*" in it, which addresses and commands may take for something else`, `a"b|`: `the name "a\"b|" has "\"" in it, which addresses and commands may take for something else`,
	} {
		got := ""
		if err := DoubtName(name); err != nil {
			got = err.Error()
		}
		if got != want || CheckName(name) != nil {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, want := range map[string]string{
		"a": "", "A-b_c.d": "", "a:b": "", "日本": "",
		"": "the name is empty", "1st": `the name "1st" must not begin with "1"`, "+a": `the name "+a" must not begin with "+"`,
		"a.dig": `the name "a.dig" must not end in .dig`, strings.Repeat("a", 256): "the name is longer than 255 characters",
	} {
		got := ""
		if err := CheckName(name); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestCompileGenerated(t *testing.T) {
	tree, err := Compile("^sub", params.Of("+loop-0", params.Of("_export", params.Of("i", 0), "sh>", "x")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"^sub group", "^sub+loop-0"}, shape(tree)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	if got := len(tree.Children(0)); got != 1 {
		t.Errorf("got %d children, want 1: the tree must be linked", got)
	}
	operator, err := Compile("^check", params.Of("sh>", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"^check"}, shape(operator)); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		config *params.Map
		want   string
	}{
		{params.Of("sh>", 1, "py>", 2), "task ^sub has more than one operator: sh>, py>, make a task of each"},
		{params.Of("+a*b", params.Of()), "task ^sub+a*b: the character '*' is not allowed in a task name"},
		{params.Of("bad", 1, "worse", 1), `task ^sub contains invalid keys: "bad"`},
		{params.Of("_error", params.Of("+a", nil)), "task ^sub^error+a: a task must be a mapping, but it is empty, write {} for a task that does nothing"},
	} {
		if _, err := Compile("^sub", c.config); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestCompileDeep(t *testing.T) {
	config := params.Of("sh>", "x")
	for range 5000 {
		config = params.Of("+t", config)
	}
	if _, err := Compile("^sub", config); err == nil || !strings.Contains(err.Error(), "nested more than 200 levels deep") {
		t.Errorf("got %.200v", err)
	}
	config = params.Of("sh>", "x")
	for range 5000 {
		config = params.Of("sh>", "x", "_error", config)
	}
	if _, err := Compile("^sub", config); err == nil || !strings.Contains(err.Error(), "nested more than 200 levels deep") {
		t.Errorf("got %.200v", err)
	}
}

// A loop's iterations share what they do not have for themselves, as the operator made them and read back from disk.
func TestCompileShares(t *testing.T) {
	do := params.Of("+p", params.Of("echo>", params.Template("${i}"), "_export", params.Of("x", 1)), "_error", params.Of("sh>", "fix"))
	config := params.NewMap(0)
	for i := range 3 {
		config.Set(fmt.Sprintf("+loop-%d", i), params.Merge(do, params.Of("_export", params.Of("i", i))))
	}
	again, err := params.Decode(params.Encode(config))
	if err != nil {
		t.Fatal(err)
	}
	for name, config := range map[string]*params.Map{"made": config, "read back": again.(*params.Map)} {
		tree, err := Compile("^sub", config)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int32{1, 2} {
			first, later := &tree.Nodes[i], &tree.Nodes[i+2]
			if first.Config != later.Config {
				t.Errorf("%s: node %d: the configurations are two", name, i)
			}
		}
		if name == "made" && tree.Nodes[1].Error != tree.Nodes[3].Error {
			t.Errorf("%s: the error tree is compiled twice", name)
		}
	}
}
