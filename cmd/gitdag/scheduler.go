package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent"
	"gitdag/engine/dig"
)

// schedulerOptions are the command line of `scheduler`.
type schedulerOptions struct {
	projectOptions
	port      int
	bind      string
	data      string
	taskLog   string
	tokenFile string
	slots     int
}

// schedulerCommand runs the schedules of a local project (language.md 9.6).
func (c *cli) schedulerCommand() *cobra.Command {
	var o schedulerOptions
	cmd := &cobra.Command{
		Use:     "scheduler",
		Aliases: []string{"sched"},
		Short:   "Runs the schedules of a local project until it is stopped",
		Long: "Runs the schedules of a local project until it is stopped: an agent without a repository.\n" +
			"The project is called default. Its directory is read every 5 seconds, and a change of its\n" +
			"workflows takes effect at once; while it has errors, what ran before goes on. Parameters,\n" +
			"those of -P files too, are read once, at the start.\n" +
			"Tasks run in the project's own directory, with the environment of this command.",
		Example: "  gitdag scheduler\n  gitdag scheduler --project etl -o /var/lib/etl",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.banner()
			return c.schedule(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.projectOptions.add(f)
	f.IntVarP(&o.port, "port", "n", 65432, "listen on this `PORT`")
	f.StringVarP(&o.bind, "bind", "b", "127.0.0.1", "listen on this `ADDRESS`")
	f.StringVarP(&o.data, "database", "o", "", "keep sessions and what runs in this `DIR` (default: as long as the command runs)")
	f.StringVarP(&o.taskLog, "task-log", "O", "", "keep what tasks print in this `DIR`")
	f.IntVar(&o.slots, "max-task-threads", 0, "run at most `N` tasks at a time (default: 16 a CPU, at least 32)")
	f.StringVar(&o.tokenFile, "api-token-file", "", "`FILE` with the token that requests must bear")
	return cmd
}

func (c *cli) schedule(ctx context.Context, o *schedulerOptions) error {
	if o.port < 0 || o.port > 65535 {
		return usagef("--port must be between 0 and 65535, not %d", o.port)
	}
	if o.slots < 0 {
		return usagef("--max-task-threads must be positive, not %d", o.slots)
	}
	log, done, err := c.openLog(&o.commonOptions)
	if err != nil {
		return err
	}
	defer done()
	options, err := c.schedulerAgent(o)
	if err != nil {
		return err
	}
	if options.Config.Data == "" {
		if options.Config.Data, err = os.MkdirTemp("", "gitdag-scheduler-"); err != nil {
			return fmt.Errorf("make a data directory: %w", err)
		}
		defer os.RemoveAll(options.Config.Data)
	}
	options.Log = log
	a, err := agent.New(*options)
	if err != nil {
		return err
	}
	return c.runAgent(ctx, a, log, func() (agent.Config, error) { return options.Config, nil })
}

// schedulerAgent returns what the agent is made of. A project with errors is
// refused before anything begins.
func (c *cli) schedulerAgent(o *schedulerOptions) (*agent.Options, error) {
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return nil, err
	}
	params, err := o.loadParams(config)
	if err != nil {
		return nil, err
	}
	limit, err := taskLimit(config)
	if err != nil {
		return nil, err
	}
	alerts, err := c.notificationSender(config)
	if err != nil {
		return nil, err
	}
	dir, _, err := o.dir()
	if err != nil {
		return nil, err
	}
	types, err := configuredOperators(config)
	if err != nil {
		return nil, err
	}
	kept, err := paramServer(config)
	if err != nil {
		return nil, err
	}
	known := func(name string) bool { _, ok := types.Lookup(name); return ok }
	if _, err := c.loadProject(dir, dig.Options{Operators: known}, func(dig.Diagnostic) {}); err != nil {
		return nil, err // warnings are the agent's to tell
	}
	logs, err := o.logs(time.Now())
	if err != nil {
		return nil, err
	}
	secrets, err := c.taskSecrets(config, dir)
	if err != nil {
		return nil, err
	}
	return &agent.Options{
		Config: agent.Config{
			Data: o.data, Listen: net.JoinHostPort(o.bind, strconv.Itoa(o.port)),
			Tasks: agent.Tasks{Max: o.slots, OperatorPath: operatorPath(config)}, Auth: agent.Auth{TokenFile: o.tokenFile},
			Limits: agent.Limits{TasksPerAttempt: limit},
		},
		Version:     c.version,
		Alerts:      alerts,
		Operators:   types,
		ParamServer: kept,
		Directory:   &agent.Directory{Dir: dir, Params: params, Environ: c.environ(), Secrets: secrets, Logs: logs},
	}, nil
}

// logs is the directory of task logs. Without a data directory attempts are
// numbered from 1 at each start, so each has a directory of its own.
func (o *schedulerOptions) logs(now time.Time) (string, error) {
	if o.taskLog == "" {
		return "", nil
	}
	dir, err := filepath.Abs(o.taskLog)
	if err != nil {
		return "", fmt.Errorf("find the directory of task logs: %w", err)
	}
	if o.data == "" {
		dir = runDir(dir, now)
	}
	return dir, nil
}

// runDir is a directory of this process alone.
func runDir(dir string, now time.Time) string {
	return filepath.Join(dir, fmt.Sprintf("%s-%d", now.UTC().Format("20060102T150405Z"), os.Getpid()))
}

// openLog opens what a daemon's log lines go to. done closes it.
func (c *cli) openLog(o *commonOptions) (log *slog.Logger, done func(), err error) {
	level := o.logLevel
	if level == "trace" {
		level = "debug-4"
	}
	to := *c
	if o.logFile == "" {
		log, err = to.logger("text", level)
		return log, func() {}, err
	}
	f, err := openLogFile(o.logFile)
	if err != nil {
		return nil, nil, err
	}
	to.stderr = f
	if log, err = to.logger("text", level); err != nil {
		f.Close()
	}
	return log, func() { _ = f.Close() }, err
}
