package dig

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	known := Options{Operators: func(name string) bool { return slices.Contains([]string{"sh", "http", "echo", "loop"}, name) }}
	for _, c := range []struct{ name, text, want string }{
		{"none", "_export: {x: 1}\n+a: {sh>: x, shell: bash}\n+b: {echo>: y, _background: true}\n", ""},
		{"check at the top (L10)", "_check: {sh>: x}\n", "w.dig:1:1: warning: task +w: _check is ignored on a group\n  hint: put it on the last task instead"},
		{"check on a group (L10)", "+g:\n  _check: {sh>: x}\n", "w.dig:2:3: warning: task +w+g: _check is ignored on a group\n  hint: put it on the last task instead"},
		{"background first", "+a:\n  sh>: x\n  _background: true\n", "w.dig:3:3: warning: task +w+a: _background on the first task of a group changes nothing for it, only for those after it"},
		{"exported retry (L25)", "_export:\n  _retry: 1\n", "w.dig:2:3: warning: an exported _retry acts on every operator below that does not have its own\n  hint: put it on the tasks that need it"},
		{"exported parallel (L25)", "+g: {_export: {_parallel: true}}\n", "w.dig:1:16: warning: an exported _parallel makes every loop below parallel\n  hint: put it on the loop or group itself"},
		{"exported env (O5)", "_export: {_env: {A: b}}\n", "w.dig:1:11: warning: an exported _env reaches only tasks that have an _env of their own\n  hint: put it on the tasks that need it"},
		{"unknown operator", "+a: {ehco>: x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: ehco\n  hint: did you mean \"echo\"?"},
		{"unknown operator, nothing near", "+a: {foo>: x}\n", "w.dig:1:6: warning: task +w+a: unknown task type: foo"},
		{"unknown type", "+a: {_type: teradata}\n", "w.dig:1:6: warning: task +w+a: unknown task type: teradata"},
		{"type of a template", "+a: {_type: '${x}', sh>: 1}\n+b: {_type: 1}\n", ""},
		{"type of a vendor (O15, O16, O19, O20, O21, O25)", "+a: {td_run>: 7}\n", "w.dig:1:6: warning: task +w+a: unknown task type: td_run\n  hint: gitdag does not support td_run>: an executable operators/td_run in the project can do its work"},
		{"unknown in _error", "_error: {py>: x}\n", "w.dig:1:10: warning: task +w^error: unknown task type: py"},
		{"retry of an operator", "+a: {sh>: x, _retry: often}\n", "w.dig:1:22: warning: task +w+a: invalid _retry: \"often\" is not a whole number; the task will fail\n  hint: use a number or {limit: N, interval: SECONDS}"},
		{"retry of a group", "+a: {_retry: [1]}\n", "w.dig:1:6: warning: task +w+a: invalid _retry: a whole number is needed; the group is not retried\n  hint: use a number or {limit: N, interval: SECONDS}"},
		{"templated retry of an operator", "+b: {sh>: x, _retry: '${x}'}\n", ""},
		{"templated retry of a group (L31)", "+a: {_retry: '${x}'}\n", "w.dig:1:6: warning: task +w+a: this _retry is evaluated here; Digdag reads its raw text and never repeats the task"},
		{"templated retry of a loop (L31)", "+a: {loop>: 2, _retry: '${x}', _do: {}}\n", "w.dig:1:16: warning: task +w+a: this _retry is evaluated here; Digdag reads its raw text and never repeats the task"},
		{"container", "_export: {docker: {image: y}}\n+a: {sh>: x, docker: {image: y}}\n", ""},
		{"plug-in of the JVM (O30)", "_export: {plugin: {dependencies: ['a:b:1']}}\n", "w.dig:1:11: warning: plug-ins of the JVM cannot be loaded: tasks with the operators of plugin.dependencies will fail\n  hint: let a program do it: an executable operators/NAME in the project, or sh> or py>"},
		{"a place that is not reached", "_export: {ecs: {cluster: x}}\n+a: {sh>: x, kubernetes: {Pod: {}}}\n", "w.dig:2:14: warning: commands do not run in what kubernetes describes: they run in the container of their docker:, or else on this machine\n  hint: name an image in docker:, or let the command itself start what runs elsewhere"},
		{"a place by its setting", "+a: {sh>: x, agent.command_executor.ecs: {region: x}}\n", "w.dig:1:14: warning: commands do not run in what agent.command_executor.ecs describes: they run in the container of their docker:, or else on this machine\n  hint: name an image in docker:, or let the command itself start what runs elsewhere"},
		{"an exported place", "_export: {ecs: {task_definition_arn: x}}\n", "w.dig:1:11: warning: commands do not run in what ecs describes: they run in the container of their docker:, or else on this machine\n  hint: name an image in docker:, or let the command itself start what runs elsewhere"},
		{"shadowed option (O1)", "_export:\n  timeout: 5\n+g:\n  +a: {sh>: x}\n  +b: {http>: u}\n  +c: {http>: u}\n", "w.dig:2:3: warning: the exported variable \"timeout\" is also an option of http>, which task +w+g+b runs\n  hint: give the variable another name"},
		{"the nearest export shadows", "_export: {shell: a}\n+g:\n  _export: {shell: b}\n  +a: {sh>: x}\n", "w.dig:3:13: warning: the exported variable \"shell\" is also an option of sh>, which task +w+g+a runs\n  hint: give the variable another name"},
		{"an own export shadows", "+a: {_export: {shell: b}, sh>: x}\n", "w.dig:1:16: warning: the exported variable \"shell\" is also an option of sh>, which task +w+a runs\n  hint: give the variable another name"},
		{"exports of siblings do not", "+a:\n  _export: {shell: b}\n  +x: {echo>: x}\n+b:\n  _export: {y: 1}\n  +c: {sh>: x}\n", ""},
		{"aliases are reported once", "_export:\n  a: &a {ehco>: x}\n+a: *a\n+b: *a\n+g: {+c: *a, +d: *a}\n", "w.dig:2:10: warning: task +w+a: unknown task type: ehco\n  hint: did you mean \"echo\"?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ds := Load(write(t, map[string]string{"w.dig": c.text}), known)
			if diff := cmp.Diff(c.want, ds.Warnings().String()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if len(p.Workflows) != 1 || len(ds.Errors()) > 0 {
				t.Errorf("got %d workflows and errors %v: a warning breaks nothing", len(p.Workflows), ds.Errors())
			}
		})
	}
}

// Who only runs a workflow may have keys in its schedule that nobody knows (L49).
func TestLooseSchedules(t *testing.T) {
	dir := write(t, map[string]string{"w.dig": "schedule: {daily>: '07:00:00', skip_on_overtim: true}\n"})
	p, ds := Load(dir, Options{LooseSchedules: true})
	if len(p.Workflows) != 1 || p.Workflows[0].Schedule == nil || len(ds.Warnings()) != 1 || len(ds) != 1 {
		t.Errorf("got %+v, %v", p, ds)
	}
	if p, ds := Load(dir, Options{}); len(p.Workflows) != 0 || len(ds.Errors()) != 1 {
		t.Errorf("got %+v, %v", p, ds)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abc", 0}, {"abc", "axc", 1}, {"abc", "acb", 1}, {"_exprot", "_export", 1}, {"kitten", "sitting", 3}, {"日本", "日木", 1}} {
		if got := distance(c.a, c.b, 10); got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := distance("a", "abcdef", 2); got != 3 {
		t.Errorf("got %d, want one over the limit", got)
	}
}
