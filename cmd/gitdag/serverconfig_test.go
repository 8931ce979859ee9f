package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"gitdag/agent"
	"gitdag/engine/params"
)

// configured is what a server is made of by a configuration and options.
func configured(t *testing.T, config map[string]string, args ...string) (*agent.Options, []remark, error) {
	t.Helper()
	home := t.TempDir()
	c := &cli{stdout: io.Discard, stderr: io.Discard, version: "1.2.3", environ: func() []string {
		return []string{"HOME=" + home, "GITDAG_CONFIG_HOME=" + home, "DIGDAG_CONFIG_HOME=" + home}
	}}
	var o serverOptions
	flags := pflag.NewFlagSet("server", pflag.ContinueOnError)
	o.add(flags)
	for _, key := range slices.Sorted(maps.Keys(config)) {
		args = append(args, "-X", key+"="+config[key])
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	if err := o.validate(); err != nil {
		return nil, nil, err
	}
	setup, err := c.serverAgent(&o)
	if err != nil {
		return nil, nil, err
	}
	return setup.options, setup.remarks, nil
}

// inMemory is one that must succeed.
func inMemory(t *testing.T, config map[string]string, args ...string) (*agent.Options, []remark) {
	t.Helper()
	options, remarks, err := configured(t, config, append([]string{"--memory"}, args...)...)
	if err != nil {
		t.Fatalf("%v %q: %v", config, args, err)
	}
	return options, remarks
}

// shape is all of the options that can be compared.
func shape(o *agent.Options) string {
	return fmt.Sprintf("%+v\n%+v\n%+v\nalerts %v\nparams %s", o.Config, o.Server, o.ParamServer, o.Alerts != nil, params.Encode(o.Params))
}

// Each option stands for an entry of the configuration, and wins over it.
func TestServerOptionsAreEntries(t *testing.T) {
	for _, c := range []struct {
		args   []string
		config map[string]string
	}{
		{[]string{"-n", "8080"}, map[string]string{"server.port": "8080"}},
		{[]string{"--port", "0", "--bind", "::1"}, map[string]string{"server.port": "0", "server.bind": "::1"}},
		{[]string{"-b", "localhost"}, map[string]string{"server.bind": "localhost"}},
		{[]string{"--admin-port", "0"}, map[string]string{"server.admin.port": "0"}},
		{[]string{"--admin-port", "8081", "--admin-bind", "::1"}, map[string]string{"server.admin.port": "8081", "server.admin.bind": "::1"}},
		{[]string{"-O", "logs"}, map[string]string{"log-server.type": "local", "log-server.local.path": "logs"}},
		{[]string{"--task-log", "/logs"}, map[string]string{"log-server.type": "local", "log-server.local.path": "/logs"}},
		{[]string{"-A", "access"}, map[string]string{"server.access-log.path": "access"}},
		{[]string{"--max-task-threads", "5"}, map[string]string{"agent.max-task-threads": "5"}},
		{[]string{"--disable-executor-loop"}, map[string]string{"server.executor.enabled": "false"}},
		{[]string{"--disable-scheduler"}, map[string]string{"schedule.enabled": "false"}},
		{[]string{"--disable-local-agent"}, map[string]string{"agent.enabled": "false"}},
		{[]string{"--enable-swagger"}, map[string]string{"server.enable-swagger": "true"}},
		{[]string{"-H", "x-harbour=blue=sky", "--header", "Y="}, map[string]string{"server.http.headers.x-harbour": "blue=sky", "server.http.headers.Y": ""}},
		{[]string{"-p", "a=1"}, map[string]string{"params.a": "1"}},
	} {
		plain, _ := inMemory(t, nil)
		byOption, _ := inMemory(t, nil, c.args...)
		byEntry, remarks := inMemory(t, c.config)
		if diff := gocmp.Diff(shape(byEntry), shape(byOption)); diff != "" {
			t.Errorf("%q (-entries +options):\n%s", c.args, diff)
		}
		if shape(byOption) == shape(plain) {
			t.Errorf("%q changes nothing", c.args)
		}
		if len(remarks) > 0 {
			t.Errorf("%v: got %v, want no remark", c.config, remarks)
		}
		other := map[string]string{}
		for key := range c.config {
			other[key] = map[string]string{"server.executor.enabled": "true", "schedule.enabled": "true", "agent.enabled": "true", "server.enable-swagger": "false"}[key]
			if other[key] == "" {
				other[key] = "7"
			}
		}
		if both, _ := inMemory(t, other, c.args...); shape(both) != shape(byOption) {
			t.Errorf("%q does not win over %v", c.args, other)
		}
	}
}

// keysOfTheServer are the keys of server.md 3, with a value that is not the
// default. Each is obeyed, or the start says why it is not.
var keysOfTheServer = map[string]string{
	"server.bind": "::1", "server.port": "8080", "server.admin.bind": "::1", "server.admin.port": "8081",
	"server.access-log.path": "access", "server.access-log.pattern": "common",
	"server.http.io-threads": "2", "server.http.worker-threads": "2", "server.http.enable-http2": "true",
	"server.http.no-request-timeout": "5", "server.http.request-parse-timeout": "5", "server.http.io-idle-timeout": "5",
	"server.http.headers.X-Harbour": "blue", "server.jmx.port": "9999", "server.enable-swagger": "true",
	"server.runtime-info.path": "info", "server.environment.PATH": "/bin",
	"server.client-version-check.upgrade-recommended-if-older": "0.9", "server.client-version-check.api-incompatible-if-older": "0.8",
	"server.executor.enabled": "false", "schedule.enabled": "false",

	"server.authenticator.type": "basic", "server.authenticator.basic.username": "mara", "server.authenticator.basic.password": "p",
	"server.authenticator.basic.admin": "true", "basicauth.username": "mara", "basicauth.password": "p", "basicauth.admin": "true",
	"server.authenticator-class": "x.Y",

	"database.type": "postgresql", "database.path": "data", "database.host": "db", "database.port": "5432", "database.database": "d",
	"database.user": "u", "database.password": "p", "database.loginTimeout": "1", "database.socketTimeout": "1", "database.ssl": "true",
	"database.sslfactory": "x", "database.sslmode": "x", "database.sslcert": "x", "database.sslkey": "x", "database.sslrootcert": "x",
	"database.opts.x": "y", "database.connectionTimeout": "1", "database.idleTimeout": "1", "database.keepaliveTime": "1",
	"database.validationTimeout": "1", "database.maximumPoolSize": "1", "database.minimumPoolSize": "1",
	"database.leakDetectionThreshold": "1", "database.migrate": "false", "database.queue.expireLockInterval": "1",

	"agent.enabled": "false", "agent.id": "x", "agent.max-task-threads": "3", "agent.heartbeat-interval": "1", "agent.lock-retention-time": "1",
	"agent.command_executor.type": "docker", "agent.command_executor.ecs.a.region": "x", "agent.command_executor.kubernetes.name": "x",
	"queue-server.type": "database", "queue.db.max_concurrency": "1",
	"executor.attempt_ttl": "1d", "executor.task_ttl": "1h", "executor.ttl_reaping_interval": "1s", "executor.attempt_max_run": "1",
	"executor.task_max_run": "1", "executor.enqueue_fetch_size": "1", "executor.enqueue_random_fetch": "true",
	"io.digdag.limits.maxWorkflowTasks": "1", "io.digdag.limits.maxAttempts": "1",
	"executor.account_routing.enabled": "true", "agent.account_routing.include": "1", "scheduler.account_routing.exclude": "1",
	"api.max_sessions_page_size": "1000", "api.max_attempts_page_size": "1000", "api.max_archive_total_size_limit": "1000",
	"tmpdir": "x", "eval.js-engine-type": "graal", "eval.extended-syntax": "false",

	"archive.type": "s3", "archive.s3.bucket": "b", "archive.s3.credentials.access-key-id": "x", "archive.gcs.bucket": "b",
	"log-server.type": "s3", "log-server.local.path": "x", "log-server.local.split_size": "1", "log-server.s3.bucket": "b", "log-server.gcs.path": "x",

	"notification.type": "shell", "notification.retries": "1", "notification.min_retry_wait": "1", "notification.max_retry_wait": "1",
	"notification.http.url": "http://x", "notification.http.method": "PUT", "notification.http.headers.X": "y",
	"notification.shell.command": "true", "notification.shell.timeout": "1",
	"notification.mail.host": "h", "notification.mail.port": "1", "notification.mail.username": "u", "notification.mail.password": "p",
	"notification.mail.from": "f", "notification.mail.to": "t", "notification.mail.cc": "c", "notification.mail.bcc": "b",
	"notification.mail.subject": "s", "notification.mail.body_template_file": "f", "notification.mail.html": "true",
	"notification.mail.tls": "false", "notification.mail.ssl": "true", "notification.mail.debug": "true",

	"metrics.enable": "jmx", "metrics.jmx.categories": "all", "metrics.fluency.host": "x", "metrics.fluency.tag": "x",
	"digdag.secret-encryption-key": "MDEyMzQ1Njc4OWFiY2RlZg==",
	"param_server.type":            "redis", "param_server.host": "x", "param_server.port": "1", "param_server.user": "x",
	"param_server.password": "x", "param_server.database": "x", "param_server.ssl": "true", "param_server.loginTimeout": "1",
	"param_server.socketTimeout": "1", "param_server.connectionTimeout": "1", "param_server.idleTimeout": "1",
	"param_server.validationTimeout": "1", "param_server.maximumPoolSize": "1", "param_server.minimumPoolSize": "1",
	"system-plugin.repositories.0": "x", "system-plugin.dependencies.0": "x", "system-plugin.local-path": "x",
	"plugin.enabled": "false", "plugin.local-path": "x",

	"digdag.defaultParams": `{"a": 1}`, "params.b": "2",
	"config.mail.host": "h", "config.mail.port": "1", "config.mail.tls": "false", "config.mail.ssl": "true", "config.mail.debug": "true",
	"config.mail.username": "u", "config.mail.password": "p", "config.mail.from": "f", "config.mail.subject": "s",
	"config.http.allow_user_proxy": "false", "config.http.max_redirects": "1", "config.http.max_stored_response_content_size": "1",
	"config.http.user_agent": "u", "config.http.proxy.enabled": "true", "config.http.proxy.host": "h", "config.http.proxy.port": "1",
	"config.http.proxy.tls": "true", "config.http_call.max_response_content_size": "1",
	"config.td.default_endpoint": "x", "config.td.min_poll_interval": "1", "config.td.wait.poll_interval": "1",
	"config.jdbc.max_store_last_results_rows": "1", "config.pg.max_store_last_results_columns": "1", "config.redshift.max_store_last_results_value_size": "1",
}

var postgresParams = map[string]string{
	"param_server.type": "postgresql", "param_server.host": "h", "param_server.user": "u", "param_server.database": "d",
}

// companions are what a key cannot do without.
var companions = map[string]map[string]string{
	"server.admin.bind":                   {"server.admin.port": "0"},
	"server.access-log.pattern":           {"server.access-log.path": "access"},
	"server.authenticator.basic.username": {"server.authenticator.basic.password": "x"},
	"server.authenticator.basic.password": {"server.authenticator.basic.username": "x"},
	"server.authenticator.basic.admin":    {"server.authenticator.basic.username": "x", "server.authenticator.basic.password": "x"},
	"basicauth.username":                  {"basicauth.password": "x"},
	"basicauth.password":                  {"basicauth.username": "x"},
	"log-server.local.path":               {"log-server.type": "local"},
	"notification.type":                   {"notification.shell.command": "true"},
	"param_server.host":                   {"param_server.type": "redis"},
	"param_server.port":                   {"param_server.type": "redis"},
	"param_server.password":               {"param_server.type": "redis"},
	"param_server.ssl":                    {"param_server.type": "redis"},
	"param_server.user":                   postgresParams,
	"param_server.database":               postgresParams,
	"param_server.loginTimeout":           postgresParams,
	"param_server.socketTimeout":          postgresParams,
	"config.http.proxy.host":              {"config.http.proxy.enabled": "true", "config.http.proxy.port": "2"},
	"config.http.proxy.port":              {"config.http.proxy.enabled": "true", "config.http.proxy.host": "x"},
	"config.http.proxy.tls":               {"config.http.proxy.enabled": "true", "config.http.proxy.host": "x", "config.http.proxy.port": "2"},
	"config.http.proxy.enabled":           {"config.http.proxy.host": "x", "config.http.proxy.port": "2"},
}

// of returns a configuration with a value for a key, and one without it.
func of(key, value string) (with, without map[string]string) {
	without = maps.Clone(companions[key])
	with = maps.Clone(without)
	if with == nil {
		with = map[string]string{}
	}
	with[key] = value
	return with, without
}

// obeyed tells whether a key makes a difference.
func obeyed(t *testing.T, key, value string) bool {
	t.Helper()
	with, without := of(key, value)
	before, _, err := configured(t, without, "-c", os.DevNull)
	if err != nil {
		if _, _, err = configured(t, with, "-c", os.DevNull); err == nil {
			return true
		}
		t.Fatalf("%v: %v", without, err)
	}
	after, _, err := configured(t, with, "-c", os.DevNull)
	if err != nil {
		t.Fatalf("%v: %v", with, err)
	}
	if shape(before) != shape(after) {
		return true
	}
	switch {
	case strings.HasPrefix(key, "config.mail."):
		a, errA := mailServer(properties(without))
		b, errB := mailServer(properties(with))
		return cmp.Or(errA, errB) == nil && a != b
	case strings.HasPrefix(key, "config.http"):
		a, errA := httpClient(properties(without))
		b, errB := httpClient(properties(with))
		return cmp.Or(errA, errB) == nil && !gocmp.Equal(a, b)
	case strings.HasPrefix(key, "config."):
		a, errA := resultLimits(without)
		b, errB := resultLimits(with)
		return cmp.Or(errA, errB) == nil && a != b
	}
	return false
}

// Each key of Digdag's server is obeyed, or named by a warning with its reason.
func TestEveryKeyOfTheServer(t *testing.T) {
	sameAsDefault := []string{"server.authenticator.type"}
	for key, value := range keysOfTheServer {
		with, _ := of(key, value)
		_, remarks, err := configured(t, with, "-c", os.DevNull)
		if err != nil {
			t.Errorf("%v: %v", with, err)
			continue
		}
		var why string
		for _, r := range remarks {
			if r.key != key {
				t.Errorf("%v: got a remark about %s", with, r.key)
			}
			why = r.text
		}
		switch does := strings.HasPrefix(key, "notification.") || slices.Contains(sameAsDefault, key) || obeyed(t, key, value); {
		case why == "" && !does:
			t.Errorf("%s=%s has no effect and no remark", key, value)
		case why != "" && does && key != "database.type":
			t.Errorf("%s=%s has an effect, and a remark: %s", key, value, why)
		case strings.Contains(why, "no such key"):
			t.Errorf("%s: got %q, want a reason", key, why)
		}
	}
	// A key that there is not is not taken for one that begins as it does.
	for _, key := range []string{"sever.port", "server.prot", "notification.mail.hots", "config.mail.hots", "config.http.agent", "config.pg.max", "api.max"} {
		_, remarks := inMemory(t, map[string]string{key: "1"})
		if want := []remark{{key, "no such key is known"}}; !slices.Equal(remarks, want) {
			t.Errorf("%s: got %v, want %v", key, remarks, want)
		}
	}
}

// Each key of the table has its row in the page for those who move, and each row
// its key in the table.
func TestPageOfTheServerNamesEveryKey(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "server.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "## Every key")
	table, _, ok2 := strings.Cut(table, "\n## ")
	if !ok || !ok2 {
		t.Fatal("docs/server.md has no table of keys")
	}
	var patterns []string
	for i, text := range strings.Split(table, "`") {
		if i%2 == 1 && strings.Contains(text, ".") || text == "tmpdir" {
			patterns = append(patterns, text)
		}
	}
	used := map[string]bool{}
	for key := range keysOfTheServer {
		found := false
		for _, p := range patterns {
			prefix, all := strings.CutSuffix(p, "*")
			if key == p || all && strings.HasPrefix(key, prefix) {
				found, used[p] = true, true
			}
		}
		if !found {
			t.Errorf("docs/server.md does not name %s", key)
		}
	}
	for _, p := range patterns {
		if !used[p] {
			t.Errorf("docs/server.md names %s, which the table of keys does not have", p)
		}
	}
}

// What contradicts itself is wrong usage; a value that cannot be is an error
// that names its key.
func TestServerRefuses(t *testing.T) {
	for _, c := range []struct {
		args   []string
		config map[string]string
		usage  bool
		want   string
	}{
		{nil, nil, true, "--memory, --database DIR or --config FILE is needed"},
		{[]string{"--memory", "--database", "data"}, nil, true, "--memory and --database cannot both be given"},
		{[]string{"--database", ""}, nil, true, "--database needs a directory"},
		{[]string{"-m", "-n", "65536"}, nil, true, "--port must be between 0 and 65535, not 65536"},
		{[]string{"-m", "--admin-port", "-1"}, nil, true, "--admin-port must be between 0 and 65535, not -1"},
		{[]string{"-m", "--max-task-threads", "-1"}, nil, true, "--max-task-threads must be positive, not -1"},
		{[]string{"-m", "-H", "novalue"}, nil, true, `--header needs NAME=VALUE, not "novalue"`},
		{[]string{"-m", "-H", "=x"}, nil, true, `--header needs NAME=VALUE, not "=x"`},
		{[]string{"-m", "-H", "a b=x"}, nil, false, "configuration: server.http.headers.a b: it is no header"},
		{[]string{"-m", "-p", "novalue"}, nil, true, "-p needs KEY=VALUE"},
		{[]string{"-m", "--drain", "soon"}, nil, true, "--drain: "},

		{[]string{"-m"}, map[string]string{"server.authenticator.basic.username": "u"}, true, "can only be given together"},
		{[]string{"-m"}, map[string]string{"basicauth.password": "p"}, true, "can only be given together"},
		{[]string{"-m"}, map[string]string{"server.authenticator.type": "jwt"}, false, `server.authenticator.type: must be basic, not "jwt"`},
		{[]string{"-c", os.DevNull}, map[string]string{"database.type": "memory", "database.path": "x"}, true, "database.type=memory and database.path=x cannot both be given"},
		{[]string{"-c", os.DevNull}, map[string]string{"database.type": "h2"}, true, "database.type=h2 needs database.path"},
		{[]string{"-m"}, map[string]string{"executor.task_max_run": "1", "io.digdag.limits.maxWorkflowTasks": "2"}, true, "are one setting and have two values"},
		{[]string{"-m"}, map[string]string{"executor.attempt_max_run": "1", "io.digdag.limits.maxAttempts": "2"}, true, "are one setting and have two values"},
		{[]string{"-m"}, map[string]string{"basicauth.username": "a", "basicauth.password": "p", "server.authenticator.basic.username": "b", "server.authenticator.basic.password": "p"}, true, "are one setting and have two values"},
		{[]string{"-m", "--slack-webhook-file", "f"}, map[string]string{"notification.type": "shell", "notification.shell.command": "true"}, true, "notification.type and a Slack channel cannot both be given"},

		{[]string{"-m"}, map[string]string{"server.port": "x"}, false, `configuration: server.port: must be a number of 0 or more, not "x"`},
		{[]string{"-m"}, map[string]string{"server.admin.port": "70000"}, false, "configuration: server.admin.port: must be between 0 and 65535, not 70000"},
		{[]string{"-m"}, map[string]string{"schedule.enabled": "no"}, false, `configuration: schedule.enabled: must be true or false, not "no"`},
		{[]string{"-m"}, map[string]string{"executor.attempt_max_run": "0"}, false, "configuration: executor.attempt_max_run: must be a positive number, not 0"},
		{[]string{"-m"}, map[string]string{"executor.task_ttl": "soon"}, false, "configuration: executor.task_ttl: must be a duration"},
		{[]string{"-m"}, map[string]string{"executor.attempt_ttl": "0s"}, false, "configuration: executor.attempt_ttl: must be a duration"},
		{[]string{"-m"}, map[string]string{"digdag.secret-encryption-key": "short"}, false, "configuration: digdag.secret-encryption-key: a key for secrets is"},
		{[]string{"-m"}, map[string]string{"digdag.defaultParams": "{"}, false, "configuration: digdag.defaultParams: "},
		{[]string{"-m"}, map[string]string{"digdag.defaultParams": "[]"}, false, "configuration: digdag.defaultParams: must be a JSON object"},
		{[]string{"-m"}, map[string]string{"notification.type": "pigeon"}, false, "configuration: notification.type: must be"},
		{[]string{"-m"}, map[string]string{"config.mail.port": "x"}, false, "configuration: config.mail.port: must be"},
		{[]string{"-c", "/nowhere/server.properties"}, nil, false, "read configuration: open /nowhere/server.properties"},
	} {
		_, _, err := configured(t, c.config, c.args...)
		var usage *usageError
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &usage) != c.usage {
			t.Errorf("%q %v: got %v, want %q, as wrong usage: %v", c.args, c.config, err, c.want, c.usage)
		}
	}
}

// Where things are kept.
func TestServerStorage(t *testing.T) {
	for _, c := range []struct {
		args    []string
		config  map[string]string
		data    string
		remarks string
	}{
		{[]string{"-m"}, nil, "", ""},
		{[]string{"-m"}, map[string]string{"database.type": "h2", "database.path": "x"}, "", ""},
		{[]string{"-o", "data"}, nil, "data", ""},
		{[]string{"-o", "data"}, map[string]string{"database.type": "memory"}, "data", ""},
		{[]string{"-o", "data"}, map[string]string{"database.type": "postgresql"}, "data", ""},
		{[]string{"-c", os.DevNull}, nil, "", ""},
		{[]string{"-c", os.DevNull}, map[string]string{"database.path": "x"}, "x", ""},
		{[]string{"-c", os.DevNull}, map[string]string{"database.type": "h2", "database.path": "x"}, "x", ""},
		{[]string{"-c", os.DevNull}, map[string]string{"database.type": "postgresql"}, agent.DefaultData(), "database.type"},
		{[]string{"-c", os.DevNull}, map[string]string{"database.type": "postgresql", "database.path": "x"}, "x", "database.type"},
	} {
		options, remarks, err := configured(t, c.config, c.args...)
		if err != nil {
			t.Errorf("%q %v: %v", c.args, c.config, err)
			continue
		}
		var keys []string
		for _, r := range remarks {
			keys = append(keys, r.key)
		}
		if got := strings.Join(keys, " "); options.Config.Data != c.data || got != c.remarks {
			t.Errorf("%q %v: got data %q, remarks %q, want %q, %q", c.args, c.config, options.Config.Data, got, c.data, c.remarks)
		}
	}
}

// Spaces belong to a password, and parameters of one name go by their strength.
func TestServerEntriesInDetail(t *testing.T) {
	config := properties{}
	config.read("server.authenticator.basic.username = mara\nserver.authenticator.basic.password = \\ p\\ \n" +
		"digdag.defaultParams={\"a\": 1, \"b\": 1, \"c\": 1}\nparams.b=2\nparams.c=2\n")
	options, _ := inMemory(t, config, "-p", "c=3")
	if want := (agent.BasicUser{Name: "mara", Password: " p "}); options.Server.User != want {
		t.Errorf("got %+v, want %+v", options.Server.User, want)
	}
	if got, want := string(params.Encode(options.Params)), `{"a":1,"b":"2","c":"3"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !options.Config.AllowPush || options.Version != "1.2.3" || options.Self == "" {
		t.Errorf("got %+v, want a server that takes pushes", options)
	}
	// Without the executor loop nothing is started either (Q16).
	options, _ = inMemory(t, nil, "--disable-executor-loop")
	if !options.Server.NoSchedules || !options.Server.NoTasks {
		t.Errorf("got %+v, want neither schedules nor tasks", options.Server)
	}
}

// A running server says which of its entries have to wait for the next start.
func TestEntriesThatWaitForTheNextStart(t *testing.T) {
	old := properties{"server.port": "1", "executor.task_ttl": "1d", "params.a": "1", "params.b": "2"}
	newer := properties{"server.port": "2", "executor.task_ttl": "2d", "params.a": "1", "config.mail.host": "h", "client.http.endpoint": "e"}
	got, want := old.atNextStart(newer), []string{"config.mail.host", "params.b", "server.port"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := old.atNextStart(maps.Clone(old)); len(got) != 0 {
		t.Errorf("got %q, want none", got)
	}
}
