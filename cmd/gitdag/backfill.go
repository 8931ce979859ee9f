package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// backfillOptions are the command line of `backfill`.
type backfillOptions struct {
	clientOptions
	from   string
	name   string
	count  int
	dryRun bool
}

// backfillCommand runs a schedule's sessions of the past.
func (c *cli) backfillCommand() *cobra.Command {
	var o backfillOptions
	cmd := &cobra.Command{
		Use:   "backfill {SCHEDULE | PROJECT WORKFLOW} --from TIME",
		Short: "Runs the past sessions of a schedule, one after another",
		Long:  "Runs the sessions that a schedule has from a time on until its next one, one after another.",
		Example: `  gitdag backfill etl daily --from 2026-01-01
  gitdag backfill 5 --from "2026-01-01 12:00:00" --count 3 --dry-run`,
		Args:              arguments(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: c.completing(&o.clientOptions, projectNames, workflowNames),
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) error {
		from, err := o.check(cmd.Flags())
		if err != nil {
			return err
		}
		result, err := o.ask(ctx, agent, args, from, cmd.Flags().Changed("count"))
		if err != nil {
			return err
		}
		return c.result(&o.clientOptions, result, func() { c.printBackfill(result.Attempts, o.dryRun) })
	})
	f := cmd.Flags()
	f.StringVarP(&o.from, "from", "f", "", "`TIME` of the first session, required: \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\" of the workflow's time zone")
	f.StringVar(&o.name, "name", "", "`NAME` of the attempts (default: a random UUID)")
	f.IntVar(&o.count, "count", 0, "run only the first `N` sessions")
	f.BoolVarP(&o.dryRun, "dry-run", "d", false, "show what would run, and start nothing")
	return cmd
}

// check refuses bad options and returns --from as the agent is asked for it.
func (o *backfillOptions) check(given *pflag.FlagSet) (from string, err error) {
	if !given.Changed("from") {
		return "", usagef("--from is missing: give \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\"")
	}
	from, ok := localOption(o.from)
	switch {
	case !ok:
		return "", usagef("--from must be \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\", not %q", o.from)
	case o.count < 0:
		return "", usagef("--count must not be negative: %d", o.count)
	case given.Changed("name") && o.name == "":
		return "", usagef("--name needs a value")
	}
	return from, nil
}

func (o *backfillOptions) ask(ctx context.Context, agent *client.Client, args []string, from string, counted bool) (api.BackfillResult, error) {
	var none api.BackfillResult
	schedule, err := namedSchedule(ctx, agent, args)
	if err == nil && len(args) == 1 {
		schedule, err = agent.Schedule(ctx, schedule.ID)
	}
	if err != nil {
		return none, err
	}
	first, err := agent.SessionTime(ctx, schedule.Workflow.ID, from, "")
	if err != nil {
		return none, err
	}
	request := api.BackfillRequest{
		FromTime: api.Instant{Time: first.SessionTime.Time}, AttemptName: cmp.Or(o.name, uuid.NewString()), DryRun: o.dryRun,
	}
	if counted {
		request.Count = &o.count
	}
	return agent.Backfill(ctx, schedule.ID, request)
}

func (c *cli) printBackfill(list []api.Attempt, dryRun bool) {
	fmt.Fprintln(c.stdout, "Session attempts:")
	for i := range list {
		block(c.stdout, "  ", append([]field{{"id", list[i].ID}}, startedWith(&list[i])...)...)
	}
	switch {
	case dryRun:
		fmt.Fprintln(c.stderr, "Dry run: nothing was started.")
	case len(list) == 0:
		fmt.Fprintln(c.stderr, "Nothing was started: the schedule has no session in that time.")
	default:
		c.hint("they run one after another; gitdag attempts shows how far they are")
	}
}
