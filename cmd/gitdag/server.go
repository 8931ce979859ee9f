package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent"
)

// serverOptions are the command line of `server`.
type serverOptions struct {
	projectOptions // but --project
	flags          agentFlags

	port, adminPort  int
	bind, adminBind  string
	memory           bool
	data             string
	taskLog          string
	accessLog        string
	slots            int
	noExecutor       bool
	noScheduler      bool
	noAgent          bool
	swagger          bool
	headers          []string
	logback          string
	named, inherited *pflag.FlagSet // all flags; those that an agent has too
}

// serverCommand runs an agent that projects are pushed to, as Digdag's server
// (server.md 2.5).
func (c *cli) serverCommand() *cobra.Command {
	var o serverOptions
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Runs the projects that are pushed to it, as Digdag's server does",
		Long: "Runs the projects that are pushed to it, as Digdag's server does, until it is stopped: an agent\n" +
			"with the options and the configuration file of `digdag server`. With --repo it follows a Git\n" +
			"repository as well.\n\n" +
			"Tasks inherit the variables that --tasks-env names and no others.",
		Example: "  gitdag server --database /var/lib/gitdag\n" +
			"  gitdag server --memory\n" +
			"  gitdag server --config server.properties --repo https://git.example.com/team/workflows.git",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.banner()
			if err := c.flagsFromEnvironment(o.inherited); err != nil {
				return err
			}
			return c.serve(cmd.Context(), &o)
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func (o *serverOptions) add(f *pflag.FlagSet) {
	f.SortFlags = false
	o.named = f
	f.BoolVarP(&o.memory, "memory", "m", false, "keep everything for as long as the command runs")
	f.StringVarP(&o.data, "database", "o", "", "keep everything in this `DIR`")
	f.IntVarP(&o.port, "port", "n", 65432, "listen on this `PORT`")
	f.StringVarP(&o.bind, "bind", "b", "127.0.0.1", "listen on this `ADDRESS`")
	f.IntVar(&o.adminPort, "admin-port", 0, "offer the administrator's routes on this `PORT`")
	f.StringVar(&o.adminBind, "admin-bind", "", "offer them on this `ADDRESS` (default: that of --bind)")
	f.StringVarP(&o.taskLog, "task-log", "O", "", "keep what tasks print in this `DIR` (default: with everything else)")
	f.StringVarP(&o.accessLog, "access-log", "A", "", "write down each request in files of this `DIR`")
	f.IntVar(&o.slots, "max-task-threads", 0, "run at most `N` tasks at a time (default: 16 a CPU, at least 32)")
	f.BoolVar(&o.noExecutor, "disable-executor-loop", false, "start nothing and run nothing: answer requests only")
	f.BoolVar(&o.noScheduler, "disable-scheduler", false, "start nothing by schedule")
	f.BoolVar(&o.noAgent, "disable-local-agent", false, "run no tasks")
	f.BoolVar(&o.swagger, "enable-swagger", false, "serve the description of the REST interface under Digdag's path too")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "add a header to each answer: `NAME=VALUE`, may be repeated")
	f.StringArrayVarP(&o.params, "param", "p", nil, "set a parameter of all workflows: `KEY=VALUE`, may be repeated")
	f.StringArrayVarP(&o.files, "params-file", "P", nil, "read such parameters from a YAML or JSON `FILE`")
	f.StringVar(&o.logback, "logback-config", "", "accepted and ignored: there is no logback")
	_ = f.MarkHidden("logback-config")
	o.commonOptions.add(f)
	o.inherited = pflag.NewFlagSet("", pflag.ContinueOnError)
	o.flags.addRepo(o.inherited)
	o.flags.addSettings(o.inherited)
	f.AddFlagSet(o.inherited)
}

// validate refuses what cannot be meant.
func (o *serverOptions) validate() error {
	for name, port := range map[string]int{"port": o.port, "admin-port": o.adminPort} {
		if port < 0 || port > 65535 {
			return usagef("--%s must be between 0 and 65535, not %d", name, port)
		}
	}
	switch {
	case o.slots < 0:
		return usagef("--max-task-threads must be positive, not %d", o.slots)
	case o.memory && o.named.Changed("database"):
		return usagef("--memory and --database cannot both be given")
	case o.named.Changed("database") && o.data == "":
		return usagef("--database needs a directory")
	}
	return nil
}

// override lays the options over the entries of the configuration that they
// stand for.
func (o *serverOptions) override(config properties) error {
	entries := map[string][2]string{
		"port": {"server.port", strconv.Itoa(o.port)}, "bind": {"server.bind", o.bind},
		"admin-port": {"server.admin.port", strconv.Itoa(o.adminPort)}, "admin-bind": {"server.admin.bind", o.adminBind},
		"access-log": {"server.access-log.path", o.accessLog}, "max-task-threads": {"agent.max-task-threads", strconv.Itoa(o.slots)},
		"disable-executor-loop": {"server.executor.enabled", strconv.FormatBool(!o.noExecutor)},
		"disable-scheduler":     {"schedule.enabled", strconv.FormatBool(!o.noScheduler)},
		"disable-local-agent":   {"agent.enabled", strconv.FormatBool(!o.noAgent)},
		"enable-swagger":        {"server.enable-swagger", strconv.FormatBool(o.swagger)},
		"database":              {"database.path", o.data},
	}
	for flag, entry := range entries {
		if o.named.Changed(flag) {
			config.set(entry[0], entry[1])
		}
	}
	if o.taskLog != "" {
		config.set("log-server.type", "local")
		config.set("log-server.local.path", o.taskLog)
	}
	switch {
	case o.memory:
		config.set("database.type", "memory")
		delete(config, "database.path")
	case o.data != "":
		config.set("database.type", "h2")
	}
	given, err := pairs("--header", o.headers)
	for name, value := range given {
		config.set("server.http.headers."+name, value)
	}
	return err
}

// pairs reads NAME=VALUE options.
func pairs(flag string, list []string) (map[string]string, error) {
	found := map[string]string{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("%s needs NAME=VALUE, not %q", flag, text)
		}
		found[name] = value
	}
	return found, nil
}

func (c *cli) serve(ctx context.Context, o *serverOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	log, done, err := c.openLog(&o.commonOptions)
	if err != nil {
		return err
	}
	defer done()
	setup, err := c.serverAgent(o)
	if err != nil {
		return err
	}
	options := setup.options
	for _, r := range setup.remarks {
		log.Warn("an entry of the configuration has no effect", "key", r.key, "why", r.text)
	}
	if o.logback != "" {
		log.Warn("--logback-config has no effect: --log and --log-level say how the log is written")
	}
	data, logs := options.Config.Data, &options.Server.Logs
	if data == "" {
		if data, err = os.MkdirTemp("", "gitdag-server-"); err != nil {
			return fmt.Errorf("make a data directory: %w", err)
		}
		defer removeData(data, log)
		options.Config.Data = data
		if *logs != "" {
			*logs = runDir(*logs, time.Now())
		}
	}
	if *logs != "" {
		if err := os.MkdirAll(*logs, 0o700); err != nil {
			return fmt.Errorf("make the directory of task logs: %w", err)
		}
	}
	options.Log = log
	a, err := agent.New(*options)
	if err != nil {
		return err
	}
	return c.runAgent(ctx, a, log, func() (agent.Config, error) {
		next, err := c.serverAgent(o)
		if err != nil {
			return agent.Config{}, err
		}
		if late := setup.config.atNextStart(next.config); len(late) > 0 {
			log.Warn("entries of the configuration change at the next start only", "keys", strings.Join(late, " "))
		}
		next.options.Config.Data = data
		return next.options.Config, nil
	})
}

// removeData removes what was kept for as long as the command runs.
func removeData(dir string, log *slog.Logger) {
	if err := os.RemoveAll(dir); err != nil {
		log.Error("the data directory could not be removed", "err", err)
	}
}
