package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// disableCommand stops schedules.
func (c *cli) disableCommand() *cobra.Command {
	return c.switchCommand("disable", "Disabled", "Stops a schedule, or all of a project, until it is enabled", (*client.Client).Disable)
}

// enableCommand has schedules go on.
func (c *cli) enableCommand() *cobra.Command {
	return c.switchCommand("enable", "Enabled", "Has a disabled schedule, or all of a project, go on", (*client.Client).Enable)
}

// switching disables or enables one schedule.
type switching func(*client.Client, context.Context, api.ID) (api.ScheduleSummary, error)

func (c *cli) switchCommand(name, done, short string, change switching) *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:               name + " {SCHEDULE | PROJECT [WORKFLOW]}",
		Short:             short,
		Example:           fmt.Sprintf("  gitdag %[1]s 5\n  gitdag %[1]s etl\n  gitdag %[1]s etl daily", name),
		Args:              arguments(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: c.completing(&o, projectNames, workflowNames),
	}
	return c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		changed := []api.ScheduleSummary{}
		err := eachSchedule(ctx, agent, args, func(id api.ID) error {
			s, err := change(agent, ctx, id)
			if err != nil {
				return err
			}
			changed = append(changed, s)
			if !o.json {
				fmt.Fprintf(c.stdout, "%s schedule id: %s\n", done, s.ID)
			}
			return nil
		})
		if err != nil {
			return err
		}
		return c.result(&o, changed, func() {
			if len(changed) == 0 {
				c.hint("project %s has no schedules", args[0])
			}
		})
	})
}

// eachSchedule calls do with the schedule that arguments name, or with each of a
// project.
func eachSchedule(ctx context.Context, agent *client.Client, args []string, do func(api.ID) error) error {
	if len(args) == 2 || isID(args[0]) {
		schedule, err := namedSchedule(ctx, agent, args)
		if err != nil {
			return err
		}
		return do(schedule.ID)
	}
	project, err := agent.Project(ctx, args[0])
	if err != nil {
		return err
	}
	for page := (client.Page{}); ; {
		list, err := agent.ProjectSchedules(ctx, project.ID, page)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			page.LastID = list[i].ID
			if err := do(page.LastID); err != nil {
				return err
			}
		}
	}
}
