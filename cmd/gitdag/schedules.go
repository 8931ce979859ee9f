package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// schedulesCommand shows all schedules.
func (c *cli) schedulesCommand() *cobra.Command {
	var o clientOptions
	return c.asking(&cobra.Command{
		Use:     "schedules",
		Aliases: []string{"schedule"},
		Short:   "Shows what is scheduled and when it runs next",
		Example: "  gitdag schedules",
		Args:    arguments(cobra.NoArgs),
	}, &o, func(ctx context.Context, agent *client.Client, _ []string) error {
		list, err := agent.Schedules(ctx)
		if err != nil {
			return err
		}
		return c.result(&o, list, func() { c.printSchedules(list, time.Now()) })
	})
}

func (c *cli) printSchedules(list []api.Schedule, now time.Time) {
	fmt.Fprintln(c.stdout, "Schedules:")
	for i := range list {
		s := &list[i]
		block(c.stdout, "  ", append([]field{{"id", s.ID}, {"project", s.Project.Name}}, timer(s, now)...)...)
	}
	fmt.Fprintf(c.stdout, "%d entries.\n", len(list))
}

// timer shows what a schedule does.
func timer(s *api.Schedule, now time.Time) []field {
	return []field{
		{"workflow", s.Workflow.Name},
		{"disabled at", localTime(s.DisabledAt)},
		{"next session time", s.NextScheduleTime.Format(clockFormat)},
		{"next scheduled to run at", localTimeFrom(s.NextRunTime, now)},
	}
}

// namedSchedule finds the schedule that arguments name: by its id, which is all
// that is known of it then, or by its project and workflow.
func namedSchedule(ctx context.Context, agent *client.Client, args []string) (api.Schedule, error) {
	if len(args) == 1 {
		id, err := parseID("SCHEDULE", args[0])
		return api.Schedule{ID: id}, err
	}
	project, err := agent.Project(ctx, args[0])
	if err != nil {
		return api.Schedule{}, err
	}
	return agent.ScheduleOf(ctx, reference(&project), args[1])
}
