package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
)

// schedulesCommand shows all schedules.
func (c *cli) schedulesCommand() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:     "schedules",
		Short:   "Shows what is scheduled and when it runs next",
		Example: "  gitdag schedules",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			agent, err := c.connect(&o)
			if err != nil {
				return err
			}
			list, err := agent.Schedules(cmd.Context())
			if err != nil {
				return err
			}
			return c.printSchedules(&o, list, time.Now())
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func (c *cli) printSchedules(o *clientOptions, list []api.Schedule, now time.Time) error {
	if o.json {
		return c.printJSON(list)
	}
	fmt.Fprintln(c.stdout, "Schedules:")
	for i := range list {
		s := &list[i]
		block(c.stdout, "  ",
			field{"id", s.ID},
			field{"project", s.Project.Name},
			field{"workflow", s.Workflow.Name},
			field{"disabled at", localTime(s.DisabledAt)},
			field{"next session time", s.NextScheduleTime.Format(clockFormat)},
			field{"next scheduled to run at", localTimeFrom(s.NextRunTime, now)})
	}
	fmt.Fprintf(c.stdout, "%d entries.\n", len(list))
	return nil
}
