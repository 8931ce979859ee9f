package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// rescheduleOptions are the command line of `reschedule`.
type rescheduleOptions struct {
	clientOptions
	skip   int
	skipTo string
	runAt  string
	dryRun bool
}

// rescheduleCommand has a schedule leave out sessions.
func (c *cli) rescheduleCommand() *cobra.Command {
	var o rescheduleOptions
	cmd := &cobra.Command{
		Use:   "reschedule {SCHEDULE | PROJECT WORKFLOW} {--skip N | --skip-to TIME}",
		Short: "Has a schedule leave out its next sessions",
		Example: `  gitdag reschedule etl daily --skip 3
  gitdag reschedule 5 --skip-to "2026-02-01 00:00:00 +0000"
  gitdag reschedule 5 --skip-to now --run-at "2026-02-01 12:00:00 +0000"`,
		Args:              arguments(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: c.completing(&o.clientOptions, projectNames, workflowNames),
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) error {
		now := time.Now()
		request, err := o.request(cmd.Flags(), now)
		if err != nil {
			return err
		}
		schedule, err := namedSchedule(ctx, agent, args)
		if err != nil {
			return err
		}
		summary, err := agent.Skip(ctx, schedule.ID, request)
		if err != nil {
			return err
		}
		return c.result(&o.clientOptions, summary, func() { c.printRescheduled(&summary.Schedule, o.dryRun, now) })
	})
	f := cmd.Flags()
	f.IntVarP(&o.skip, "skip", "s", 0, "leave out the next `N` sessions from now on")
	f.StringVarP(&o.skipTo, "skip-to", "t", "", "leave out the sessions in front of this `TIME`: \"yyyy-MM-dd HH:mm:ss +hhmm\" or now")
	f.StringVarP(&o.runAt, "run-at", "a", "", "run the next session at this `TIME` instead of its own: \"yyyy-MM-dd HH:mm:ss +hhmm\"")
	f.BoolVarP(&o.dryRun, "dry-run", "d", false, "show what would come next, and change nothing")
	completeOption(cmd, "skip-to", "now")
	return cmd
}

// request says what the options ask for.
func (o *rescheduleOptions) request(given *pflag.FlagSet, now time.Time) (r api.SkipRequest, err error) {
	count, to := given.Changed("skip"), given.Changed("skip-to")
	r.DryRun = o.dryRun
	switch {
	case count && to:
		return r, usagef("--skip and --skip-to exclude each other")
	case !count && !to:
		return r, usagef("--skip or --skip-to is missing")
	case count && o.skip < 1:
		return r, usagef("--skip must be a positive number, not %d", o.skip)
	case count:
		r.FromTime, r.Count = api.Instant{Time: now}, &o.skip
	default:
		at := now
		if o.skipTo != "now" {
			if at, err = instantOption("skip-to", o.skipTo); err != nil {
				return r, err
			}
		}
		r.NextTime = new(at.UTC().Format(time.RFC3339))
	}
	if given.Changed("run-at") {
		r.NextRunTime.Time, err = instantOption("run-at", o.runAt)
	}
	return r, err
}

func (c *cli) printRescheduled(s *api.Schedule, dryRun bool, now time.Time) {
	block(c.stdout, "  ", append([]field{{"id", s.ID}}, timer(s, now)...)...)
	if dryRun {
		fmt.Fprintln(c.stderr, "Dry run: the schedule stays as it was.")
	}
}
