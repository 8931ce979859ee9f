package main

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/net/http/httpguts"

	"gitdag/agent"
	"gitdag/agent/api"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// serverSetup is what a server is made of.
type serverSetup struct {
	// options of its agent, which keeps nothing if they have no data directory.
	options *agent.Options
	// remarks are what there is to say about the configuration.
	remarks []remark
	config  properties
}

// serverAgent works out what the agent of a server is made of.
func (c *cli) serverAgent(o *serverOptions) (*serverSetup, error) {
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return nil, err
	}
	if !o.memory && o.data == "" && o.config == "" && c.getenv("GITDAG_CONFIG") == "" {
		return nil, usagef("--memory, --database DIR or --config FILE is needed")
	}
	if err := o.override(config); err != nil {
		return nil, err
	}
	r := newEntries(config)
	options := &agent.Options{Version: c.version}
	if err := o.flags.overlay(&options.Config, o.inherited); err != nil {
		return nil, err
	}
	options.Config.AllowPush = true
	if err := readServer(r, options); err != nil {
		return nil, err
	}
	if err := c.readOthers(config, options); err != nil {
		return nil, err
	}
	if options.Params, err = o.serverParams(r, config); err != nil {
		return nil, err
	}
	if options.Self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find this program's own file: %w", err)
	}
	return &serverSetup{options, r.remarks(), config}, nil
}

// readOthers reads the entries that local commands know too.
func (c *cli) readOthers(config properties, options *agent.Options) (err error) {
	if options.Alerts, err = c.notificationSender(config); err != nil {
		return err
	}
	if options.Alerts != nil && options.Config.Alerts != (agent.Alerts{}) {
		return usagef("notification.type and a Slack channel cannot both be given")
	}
	if options.Operators, err = configuredOperators(config); err != nil {
		return err
	}
	if options.ParamServer, err = paramServer(config); err != nil {
		return err
	}
	return nil
}

// serverParams merges the parameters that all workflows see.
func (o *serverOptions) serverParams(r *entries, config properties) (*params.Map, error) {
	given, err := o.loadParams(config)
	if err != nil {
		return nil, err
	}
	text := r.text("digdag.defaultParams", "")
	if text == "" {
		return given, nil
	}
	v, err := params.Parse([]byte(text))
	if err != nil {
		return nil, r.wrong("digdag.defaultParams", err.Error())
	}
	low, ok := params.AsTemplate(v).(*params.Map)
	if !ok {
		return nil, r.wrong("digdag.defaultParams", "must be a JSON object")
	}
	return params.Merge(low, given), nil
}

// readServer reads all entries but those of notifications and parameters.
func readServer(r *entries, o *agent.Options) error {
	readAddresses(r, o)
	readHTTP(r, &o.Server)
	readLimits(r, o)
	for _, read := range []func(*entries, *agent.Options) error{readUser, readStorage, readSecretKey, readTwins} {
		if err := read(r, o); err != nil {
			return err
		}
	}
	return r.err
}

func readAddresses(r *entries, o *agent.Options) {
	bind := r.text("server.bind", "127.0.0.1")
	o.Config.Listen = net.JoinHostPort(bind, strconv.Itoa(r.port("server.port", 65432)))
	adminBind := r.text("server.admin.bind", bind)
	if r.has("server.admin.port") {
		o.Server.AdminListen = net.JoinHostPort(adminBind, strconv.Itoa(r.port("server.admin.port", 0)))
	}
	o.Server.RuntimeInfo = r.text("server.runtime-info.path", "")
}

func readHTTP(r *entries, s *agent.Server) {
	s.AccessLog.Dir = r.text("server.access-log.path", "")
	switch pattern := r.text("server.access-log.pattern", "json"); pattern {
	case "json", "common", "combined":
		s.AccessLog.Format = pattern
	default:
		r.remark("server.access-log.pattern", "it is none of json, common, combined: json is written")
	}
	s.Timeouts = agent.Timeouts{
		Idle:   r.seconds("server.http.no-request-timeout", 60),
		Header: r.seconds("server.http.request-parse-timeout", 30),
		IO:     r.seconds("server.http.io-idle-timeout", 300),
	}
	s.Headers = http.Header{}
	for name, value := range r.below("server.http.headers.") {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			r.note("server.http.headers."+name, "it is no header")
		}
		s.Headers.Set(name, value)
	}
	s.Swagger = r.flag("server.enable-swagger", false)
	s.VersionFloor = api.VersionFloor{
		Recommend: r.text("server.client-version-check.upgrade-recommended-if-older", ""),
		Require:   r.text("server.client-version-check.api-incompatible-if-older", ""),
	}
	s.PageLimit = api.PageLimit{
		Sessions: r.number("api.max_sessions_page_size", 0), Attempts: r.number("api.max_attempts_page_size", 0),
	}
	s.ArchiveLimit = int64(r.number("api.max_archive_total_size_limit", 0))
}

func readLimits(r *entries, o *agent.Options) {
	o.Config.Tasks.Max = r.number("agent.max-task-threads", 0)
	if path := filepath.SplitList(r.text("operator_path", "")); len(o.Config.Tasks.OperatorPath) == 0 {
		o.Config.Tasks.OperatorPath = path
	}
	o.Config.Limits.AttemptTTL = agent.Duration(r.duration("executor.attempt_ttl"))
	o.Config.Limits.TaskTTL = agent.Duration(r.duration("executor.task_ttl"))
	o.Config.Limits.TasksPerAttempt = r.positive("executor.task_max_run", r.positive("io.digdag.limits.maxWorkflowTasks", 0))
	o.Server.MaxAttempts = r.positive("executor.attempt_max_run", r.positive("io.digdag.limits.maxAttempts", 0))
	executor := r.flag("server.executor.enabled", true)
	o.Server.NoTasks = !executor || !r.flag("agent.enabled", true)
	o.Server.NoSchedules = !executor || !r.flag("schedule.enabled", true) // Q16
}

// readUser reads the one user of Digdag's authenticator. What would leave the
// server open against the intention is an error.
func readUser(r *entries, o *agent.Options) error {
	if kind := r.text("server.authenticator.type", "basic"); kind != "basic" {
		return r.wrong("server.authenticator.type", fmt.Sprintf("must be basic, not %q", kind))
	}
	const now, before = "server.authenticator.basic.", "basicauth."
	u := agent.BasicUser{
		Name: r.text(now+"username", r.text(before+"username", "")),
		// Spaces count.
		Password: cmp.Or(r.raw(now+"password"), r.raw(before+"password")),
		Admin:    r.flag(now+"admin", r.flag(before+"admin", false)),
	}
	if (u.Name == "") != (u.Password == "") {
		return usagef("%susername and %spassword can only be given together", now, now)
	}
	o.Server.User = u
	return nil
}

// readStorage reads where things are kept.
func readStorage(r *entries, o *agent.Options) error {
	dir := r.text("database.path", "")
	switch kind := r.text("database.type", ""); {
	case kind == "memory" && dir != "":
		return usagef("database.type=memory and database.path=%s cannot both be given", dir)
	case kind == "h2" && dir == "":
		return usagef("database.type=h2 needs database.path")
	case kind == "" || kind == "memory" || kind == "h2":
		o.Config.Data = dir
	default:
		o.Config.Data = cmp.Or(dir, agent.DefaultData())
		r.remark("database.type", fmt.Sprintf("there is no database: everything is kept in the directory %s, which --database chooses", o.Config.Data))
	}
	if kind := r.text("archive.type", "db"); kind != "db" {
		r.remark("archive.type", "archives are kept with everything else")
	}
	switch kind := r.text("log-server.type", ""); kind {
	case "", "local":
		if dir := r.text("log-server.local.path", ""); dir != "" && kind == "local" {
			abs, err := filepath.Abs(dir)
			if err != nil {
				return fmt.Errorf("find the directory of task logs: %w", err)
			}
			o.Server.Logs = abs
		}
	default:
		r.remark("log-server.type", "logs are kept with everything else")
	}
	return nil
}

func readSecretKey(r *entries, o *agent.Options) error {
	const key = "digdag.secret-encryption-key"
	text := r.text(key, "")
	if text == "" {
		return nil
	}
	k, err := secret.ParseKey([]byte(text))
	if err != nil {
		return r.wrong(key, err.Error())
	}
	o.Server.SecretKey = k
	return nil
}

// twins are two names of one setting.
var twins = [][2]string{
	{"executor.task_max_run", "io.digdag.limits.maxWorkflowTasks"},
	{"executor.attempt_max_run", "io.digdag.limits.maxAttempts"},
	{"server.authenticator.basic.username", "basicauth.username"},
	{"server.authenticator.basic.password", "basicauth.password"},
	{"server.authenticator.basic.admin", "basicauth.admin"},
}

// readTwins refuses settings that contradict themselves.
func readTwins(r *entries, _ *agent.Options) error {
	for _, t := range twins {
		if r.has(t[0]) && r.has(t[1]) && r.values[t[0]] != r.values[t[1]] {
			return usagef("%s and %s are one setting and have two values", t[0], t[1])
		}
	}
	return nil
}
