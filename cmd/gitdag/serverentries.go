package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gitdag/engine/schedule"
)

// entries reads a configuration and knows in the end what was of no use.
type entries struct {
	settings
	used map[string]bool
	said []remark
}

// remark is what there is to say about an entry.
type remark struct{ key, text string }

func newEntries(config properties) *entries {
	return &entries{settings: settings{values: config}, used: map[string]bool{}}
}

func (r *entries) remark(key, text string) { r.said = append(r.said, remark{key, text}) }

func (r *entries) has(key string) bool { return r.text(key, "") != "" }

func (r *entries) raw(key string) string {
	r.used[key] = true
	return r.values[key]
}

func (r *entries) text(key, missing string) string {
	r.used[key] = true
	return r.settings.text(key, missing)
}

func (r *entries) flag(key string, missing bool) bool {
	r.used[key] = true
	return r.settings.flag(key, missing)
}

func (r *entries) number(key string, missing int) int {
	r.used[key] = true
	return r.settings.number(key, missing)
}

// positive reads a limit.
func (r *entries) positive(key string, missing int) int {
	n := r.number(key, missing)
	if n == 0 && r.has(key) {
		r.note(key, "must be a positive number, not 0")
	}
	return n
}

func (r *entries) port(key string, missing int) int {
	n := r.number(key, missing)
	if n > 65535 {
		r.note(key, fmt.Sprintf("must be between 0 and 65535, not %d", n))
	}
	return n
}

func (r *entries) seconds(key string, missing int) time.Duration {
	return time.Duration(r.number(key, missing)) * time.Second
}

// duration reads a length of time such as 7d or 12h 30m; 0 if there is none.
func (r *entries) duration(key string) time.Duration {
	text := r.text(key, "")
	if text == "" {
		return 0
	}
	d, err := schedule.ParseDuration(text)
	if err != nil || d <= 0 {
		r.note(key, fmt.Sprintf("must be a duration such as 7d or 12h 30m, not %q", text))
	}
	return d
}

// below returns the entries whose key begins with a prefix, without it.
func (r *entries) below(prefix string) map[string]string {
	found := properties(r.values).below(prefix)
	for name := range found {
		r.used[prefix+name] = true
	}
	return found
}

// elsewhere are the keys that other code or other commands read; those that end
// in a dot stand for all that begin so.
var elsewhere = []string{
	"params.", "client.", "secrets.", "io.digdag.cli.",

	"notification.type", "notification.retries", "notification.min_retry_wait", "notification.max_retry_wait",
	"notification.http.url", "notification.http.method", "notification.http.headers.",
	"notification.shell.command", "notification.shell.timeout",
	"notification.mail.host", "notification.mail.port", "notification.mail.username", "notification.mail.password",
	"notification.mail.from", "notification.mail.to", "notification.mail.cc", "notification.mail.bcc", "notification.mail.subject",
	"notification.mail.body_template_file", "notification.mail.html", "notification.mail.tls", "notification.mail.ssl", "notification.mail.debug",

	"config.mail.host", "config.mail.port", "config.mail.username", "config.mail.password", "config.mail.tls", "config.mail.ssl",
	"config.mail.debug", "config.mail.from", "config.mail.subject",
	"config.http.user_agent", "config.http.max_redirects", "config.http.max_stored_response_content_size", "config.http.allow_user_proxy",
	"config.http.proxy.enabled", "config.http.proxy.host", "config.http.proxy.port", "config.http.proxy.tls",
	"config.http_call.max_response_content_size",

	"config.jdbc.max_store_last_results_rows", "config.jdbc.max_store_last_results_columns", "config.jdbc.max_store_last_results_value_size",
	"config.pg.max_store_last_results_rows", "config.pg.max_store_last_results_columns", "config.pg.max_store_last_results_value_size",

	"param_server.type", "param_server.host", "param_server.port", "param_server.user", "param_server.password", "param_server.database",
	"param_server.ssl", "param_server.loginTimeout", "param_server.socketTimeout",
}

// readElsewhere tells whether other code reads a key.
func readElsewhere(key string) bool {
	return slices.ContainsFunc(elsewhere, func(name string) bool {
		return key == name || strings.HasSuffix(name, ".") && strings.HasPrefix(key, name)
	})
}

// useless says of keys, by their beginning, why they have no effect. The first
// that fits counts.
var useless = []remark{
	{"database.", "there is no database: everything is kept in the data directory"},
	{"archive.", "archives are kept in the data directory"},
	{"log-server.", "logs are kept on this machine, whole"},
	{"server.environment.", "tasks inherit what --tasks-env names, and there are no plug-ins"},
	{"server.http.", "nothing of that kind is to be set"},
	{"server.jmx.", "there is no JVM"},
	{"metrics.", "there is no JVM"},
	{"eval.", "there is no JVM"},
	{"system-plugin.", "there are no JVM plug-ins"},
	{"plugin.", "there are no JVM plug-ins"},
	{"server.authenticator-class", "there are no JVM plug-ins"},
	{"agent.command_executor.", "a task runs in a container if it has docker:, else on this machine"},
	{"agent.", "one process does everything"},
	{"executor.", "one process does everything"},
	{"scheduler.", "one process does everything"},
	{"queue", "one process does everything"},
	{"param_server.", "a task of param_set> or param_get> has a connection of its own"},
	{"config.mail.", "no such key is known"},
	{"config.http", "no such key is known"},
	{"config.jdbc.", "no such key is known"},
	{"config.pg.", "no such key is known"},
	{"config.", "no operator here reads it"},
	{"tmpdir", "temporary files lie in the data directory"},
}

// remarks are all there is to say once everything was read.
func (r *entries) remarks() []remark {
	list := slices.Clone(r.said)
	for _, key := range slices.Sorted(maps.Keys(r.values)) {
		if r.used[key] || readElsewhere(key) {
			continue
		}
		why := "no such key is known"
		if i := slices.IndexFunc(useless, func(u remark) bool { return strings.HasPrefix(key, u.key) }); i >= 0 {
			why = useless[i].text
		}
		list = append(list, remark{key, why})
	}
	return list
}

// whileRunning are the keys whose changes a running server takes over.
var whileRunning = []string{
	"agent.max-task-threads", "executor.attempt_ttl", "executor.task_ttl", "executor.task_max_run", "io.digdag.limits.maxWorkflowTasks",
}

// atNextStart lists the keys whose entries differ in a newer configuration, but
// for those that a running server takes over.
func (p properties) atNextStart(newer properties) []string {
	keys := map[string]bool{}
	for _, side := range []properties{p, newer} {
		for key := range side {
			if p[key] != newer[key] && !slices.Contains(whileRunning, key) && !strings.HasPrefix(key, "client.") {
				keys[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
