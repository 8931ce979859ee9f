package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/engine/dig"
	"gitdag/engine/local"
	"gitdag/engine/operator/param"
)

// runOptions are the command line of `run`.
type runOptions struct {
	projectOptions
	local.Options
}

// runCommand runs one workflow, here and now (language.md 9.2).
func (c *cli) runCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run WORKFLOW[.dig] [+TASK]",
		Aliases: []string{"r"},
		Short:   "Runs a workflow of a local project, without an agent",
		Example: `  gitdag run daily.dig
  gitdag run daily.dig --session 2026-01-31 -p day=1
  gitdag run daily.dig --rerun
  gitdag run daily.dig +load`,
		Args: arguments(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.banner()
			o.Workflow = args[0]
			if len(args) == 2 {
				o.Task = args[1]
			}
			return c.runWorkflow(cmd, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	o.projectOptions.add(f)
	f.StringVarP(&o.Session, "session", "t", "last", "session `TIME`: last, hourly, daily, schedule, \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\"")
	f.BoolVarP(&o.Rerun, "rerun", "a", false, "run all tasks, also those that the session has done already")
	f.StringVarP(&o.Start, "start", "s", "", "begin at task `+NAME`: run it and all that does not precede it, done or not")
	f.StringVarP(&o.Goal, "goal", "g", "", "run task `+NAME`, done or not, and what precedes it, and nothing else")
	f.StringVarP(&o.End, "end", "e", "", "stop in front of task `+NAME`")
	f.StringVarP(&o.SaveDir, "save", "o", "", "keep the states of tasks in this `DIR`, relative to the project (default .digdag/status)")
	f.BoolVar(&o.NoSave, "no-save", false, "neither keep nor use the states of tasks")
	f.BoolVarP(&o.DryRun, "dry-run", "d", false, "show the tasks and run none of them")
	f.BoolVarP(&o.ShowParams, "show-params", "E", false, "show the parameters of each task")
	f.IntVar(&o.Slots, "max-task-threads", 0, "run at most `N` tasks at a time (default: as many as can)")
	f.StringVarP(&o.TaskLog, "task-log", "O", "", "keep what tasks print in this `DIR`")
	f.String("timezone", "", "accepted and ignored: a workflow has its own")
	_ = f.MarkHidden("timezone")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		switch name {
		case "all":
			name = "rerun"
		case "session-time":
			name = "session"
		}
		return pflag.NormalizedName(name)
	})
	return cmd
}

func (c *cli) runWorkflow(cmd *cobra.Command, o *runOptions) error {
	if err := o.Validate(); err != nil {
		return &usageError{err}
	}
	console, done, err := c.openConsole(&o.commonOptions)
	if err != nil {
		return err
	}
	defer done()
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return err
	}
	if o.Params, err = o.loadParams(config); err != nil {
		return err
	}
	if o.TasksPerAttempt, err = taskLimit(config); err != nil {
		return err
	}
	sender, err := c.notificationSender(config)
	if err != nil {
		return err
	}
	o.Deliver = localDelivery(sender)
	if o.Dir, _, err = o.dir(); err != nil {
		return err
	}
	if o.Operators, err = configuredOperators(config); err != nil {
		return err
	}
	kept, err := paramServer(config)
	if err != nil {
		return err
	}
	o.Operators = o.Operators.With(param.Operators(kept, param.Local(o.Dir))).WithPrograms(programs(config))
	known := func(name string) bool { _, ok := o.Operators.Lookup(name); return ok }
	o.Project, err = c.loadProject(o.Dir, dig.Options{Operators: known, Installed: o.Operators.Installed, LooseSchedules: true},
		func(d dig.Diagnostic) { console.Warn("%s", d) })
	if err != nil {
		return err
	}
	o.Console, o.Stdout = console, c.stdout
	if o.Secrets, err = c.taskSecrets(config, o.Dir); err != nil {
		return err
	}
	o.Environ = c.environ()
	// A terminal that is closed is an interruption, too.
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
	defer stop()
	report, err := c.runShown(ctx, o)
	if err != nil {
		return err
	}
	return c.report(report)
}

// runShown runs the workflow, under a live tree if standard output is a
// terminal for one.
func (c *cli) runShown(ctx context.Context, o *runOptions) (*local.Report, error) {
	view, live := c.liveView(o)
	if !live {
		return local.Run(ctx, o.Options)
	}
	tree := newLiveTree(c.stdout.(*os.File), view, o.TaskLog == "")
	defer tree.Close()
	o.Watcher = tree
	if o.logFile == "" {
		o.Console = o.Console.Beside(tree)
	}
	return local.Run(ctx, o.Options)
}

// taskLimit reads Digdag's limit of tasks from the configuration; 0 if it has
// none.
func taskLimit(config properties) (int, error) {
	text, ok := config["executor.task_max_run"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("configuration: executor.task_max_run must be a positive number, not %q", text)
	}
	return n, nil
}

// report says how a run ended.
func (c *cli) report(r *local.Report) error {
	w := c.stderr
	switch {
	case r.Interrupted:
		fmt.Fprintln(w, "error: interrupted")
	case r.Succeeded:
		fmt.Fprint(w, "Success.")
		if r.SavedIn != "" {
			fmt.Fprintf(w, " Task states are saved in %s.", r.SavedIn)
		}
		fmt.Fprintln(w)
	default:
		fmt.Fprintln(w, "error:")
		for _, f := range r.Failed {
			fmt.Fprintf(w, "  * %s:\n    %s\n", f.Task, strings.ReplaceAll(f.Message, "\n", "\n    "))
		}
		fmt.Fprintln(w)
	}
	if r.SavedIn != "" && !r.Succeeded {
		fmt.Fprintf(w, "Task states are saved in %s.\n", r.SavedIn)
	}
	if r.SavedIn != "" {
		fmt.Fprintln(w, `hint: the next run goes on with this session; for another one give --session daily, hourly or "yyyy-MM-dd[ HH:mm:ss]"`)
		fmt.Fprintln(w, "hint: tasks that are done are skipped then; --rerun, --start +NAME or --goal +NAME run them again")
	}
	switch {
	case r.Interrupted:
		return &exitError{130}
	case !r.Succeeded:
		return &exitError{1}
	}
	return nil
}
