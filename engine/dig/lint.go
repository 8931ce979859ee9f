package dig

import (
	"fmt"
	"slices"
	"strings"

	"gitdag/engine/flow"
	"gitdag/engine/params"
)

// visited is a compiled task with the exports of the tasks around it, from the outermost in.
type visited struct {
	task  string
	body  *body
	scope []*params.Map
}

// options are the parameters that an operator reads from anywhere in its scope, by their short names: an exported
// variable of that name changes what the operator does (O1). Names that operators read only from a mapping of their
// own, and those that are meant to be exported, are not listed.
var options = map[string][]string{
	"embulk":    {"config"},
	"for_range": {"from", "slices", "step", "to"},
	"gcs_wait":  {"bucket", "object"},
	"http": {
		"content", "content_format", "content_type", "follow_redirects", "headers", "insecure", "method", "proxy", "query",
		"retry", "retry_limit", "store_content", "timeout",
	},
	"http_call": {
		"content", "content_format", "content_type", "content_type_override", "follow_redirects", "headers", "insecure",
		"method", "proxy", "query", "retry", "retry_limit", "timeout",
	},
	"mail": {
		"attach_files", "bcc", "body", "cc", "debug", "from", "host", "html", "port", "ssl", "subject", "tls", "to",
		"username",
	},
	"pg": {
		"connect_timeout", "create_table", "database", "download_file", "host", "insert_into", "port", "schema",
		"socket_timeout", "ssl", "store_last_results", "user",
	},
	"py":      {"python"},
	"rb":      {"require", "ruby"},
	"require": {"ignore_failure", "params", "rerun_on"},
	"s3_wait": {"bucket", "continue_on_timeout", "endpoint", "key", "timeout", "version_id"},
	"sh":      {"shell"},
	"td":      {"create_table", "database", "download_file", "engine", "insert_into", "job_name", "priority", "query", "result_url"},
	"wait":    {"blocking", "poll_interval"},
}

// leaking are the reserved keys that act on the operators below when they are exported (L25, O5).
var leaking = []struct{ key, message, hint string }{
	{"_retry", "an exported _retry acts on every operator below that does not have its own", "put it on the tasks that need it"},
	{"_parallel", "an exported _parallel makes every loop below parallel", "put it on the loop or group itself"},
	{"_env", "an exported _env reaches only tasks that have an _env of their own", "put it on the tasks that need it"},
}

// elsewhere are the mappings by which tasks of Digdag choose a place for their
// commands that gitdag does not reach, each with keys that tell it from a variable
// of a user's.
var elsewhere = []struct {
	key  string
	tell []string
}{
	{"agent.command_executor.ecs", nil},
	{"ecs", []string{"task_definition_arn"}},
	{"kubernetes", []string{"PersistentVolume", "PersistentVolumeClaim", "Pod"}},
}

// lint reports what is legal but seldom meant.
func (u *unit) lint(env *compileEnv) {
	linted := map[*body]bool{} // what an alias repeats is reported once
	for _, t := range u.tasks {
		if linted[t.body] {
			continue
		}
		linted[t.body] = true
		u.lintExport(env, t)
		if t.body.group {
			u.lintGroup(env, t)
		} else {
			u.lintOperator(env, t)
		}
	}
}

func (u *unit) lintExport(env *compileEnv, t *visited) {
	for _, l := range leaking {
		if t.body.export.Has(l.key) {
			env.report(Warning, problem{in: t.body.export, key: l.key}, l.message, l.hint)
		}
	}
	v, _ := t.body.export.Lookup("plugin")
	if plugin, ok := v.(*params.Map); ok && plugin.Has("dependencies") {
		env.report(Warning, problem{in: t.body.export, key: "plugin"},
			"plug-ins of the JVM cannot be loaded: tasks with the operators of plugin.dependencies will fail",
			"let a program do it: an executable operators/NAME in the project, or sh> or py>")
	}
	lintPlace(env, t.body.export)
}

// lintPlace reports that commands do not run where a task or an export has them run.
func lintPlace(env *compileEnv, m *params.Map) {
	for _, e := range elsewhere {
		v, _ := m.Lookup(e.key)
		settings, ok := v.(*params.Map)
		if ok && (e.tell == nil || slices.ContainsFunc(e.tell, settings.Has)) {
			env.report(Warning, problem{in: m, key: e.key},
				fmt.Sprintf("commands do not run in what %s describes: they run in the container of their docker:, or else on this machine", e.key),
				"name an image in docker:, or let the command itself start what runs elsewhere")
		}
	}
}

// lintRetry reports a templated `_retry` where Digdag reads the raw text, and so never repeats.
func (u *unit) lintRetry(env *compileEnv, t *visited) {
	if raw, ok := t.body.m.Lookup("_retry"); ok && flow.HasTemplate(raw) {
		env.report(Warning, problem{in: t.body.m, key: "_retry"},
			fmt.Sprintf("task %s: this _retry is evaluated here; Digdag reads its raw text and never repeats the task", t.task), "")
	}
}

func (u *unit) lintGroup(env *compileEnv, t *visited) {
	u.lintRetry(env, t)
	if len(t.body.kids) == 0 || t.body.parallel.On || t.body.anyOrder {
		return
	}
	first := t.body.kids[0]
	if v, ok := first.m.Lookup("_background"); ok {
		if on, _ := params.Bool(v); on {
			env.report(Warning, problem{in: first.m, key: "_background"},
				fmt.Sprintf("task %s: _background on the first task of a group changes nothing for it, only for those after it",
					t.task+first.name), "")
		}
	}
}

func (u *unit) lintOperator(env *compileEnv, t *visited) {
	m := t.body.m
	if raw, ok := m.Lookup("_retry"); ok && !flow.HasTemplate(raw) {
		if _, err := flow.ParseRetry(raw); err != nil {
			env.report(Warning, problem{in: m, key: "_retry", value: true},
				fmt.Sprintf("task %s: %s; the task will fail", t.task, err), "use a number or {limit: N, interval: SECONDS}")
		}
	}
	lintPlace(env, m)
	key, name := operatorType(m)
	if name == "" {
		return
	}
	if u.opts.Operators != nil && !u.lintType(env, t, key, name) {
		return
	}
	u.lintShadows(env, t, name)
	switch name {
	case "call", "for_each", "for_range", "if", "loop":
		u.lintRetry(env, t)
	}
}

// operatorType is the type of an operator task, empty where that is only known when it runs, and the key that says it.
func operatorType(m *params.Map) (key, name string) {
	if v, ok := m.Lookup("_type"); ok {
		if text, isText := params.Text(v); isText && !flow.HasTemplate(v) {
			return "_type", text
		}
		return "_type", ""
	}
	if keys := operatorKeys(m); len(keys) > 0 {
		return keys[0], strings.TrimSuffix(keys[0], ">")
	}
	return "", ""
}

func (u *unit) operatorHint(name string) string {
	if Unsupported(name) {
		return fmt.Sprintf("gitdag does not support %[1]s>: an executable operators/%[1]s in the project can do its work", name)
	}
	var known []string
	for _, candidate := range operatorNames {
		if u.opts.Operators(candidate) {
			known = append(known, candidate)
		}
	}
	return DidYouMean(name, known)
}

// Unsupported tells whether Digdag has the operator, or one of its family, for the service of one vendor, and gitdag will
// not: Treasure Data, BigQuery, Redshift, EMR.
func Unsupported(operator string) bool {
	family, _, _ := strings.Cut(operator, "_")
	return slices.Contains([]string{"bq", "emr", "redshift", "td"}, family)
}

// operatorNames are what Digdag's users know operators by; a hint names only those that exist here.
var operatorNames = []string{
	"bq", "bq_ddl", "bq_extract", "bq_load", "call", "echo", "embulk", "emr", "fail", "for_each", "for_range",
	"gcs_wait", "http", "http_call", "if", "loop", "mail", "notify", "param_get", "param_set", "pg", "py", "rb",
	"redshift", "redshift_load", "redshift_unload", "require", "s3_wait", "sh", "td", "td_ddl", "td_for_each",
	"td_load", "td_partial_delete", "td_result_export", "td_run", "td_table_export", "td_wait", "td_wait_table",
	"wait",
}

// lintShadows reports exports in scope that are options of the operator, at the export. What the task sets itself is
// its own will.
func (u *unit) lintShadows(env *compileEnv, t *visited, name string) {
	names, ok := options[name]
	if !ok {
		return
	}
	scope := t.scope
	if t.body.export != nil {
		scope = append(slices.Clip(scope), t.body.export)
	}
	for _, option := range names {
		if t.body.m.Has(option) {
			continue
		}
		for i := len(scope) - 1; i >= 0; i-- {
			if scope[i].Has(option) && !u.shadows[shadow{scope[i], option, name}] {
				u.shadows[shadow{scope[i], option, name}] = true
				env.report(Warning, problem{in: scope[i], key: option},
					fmt.Sprintf("the exported variable %q is also an option of %s>, which task %s runs", option, name, t.task),
					"give the variable another name")
				break
			}
		}
	}
}

// shadow is an exported variable that one operator takes for its option.
type shadow struct {
	export         *params.Map
	option, opName string
}
