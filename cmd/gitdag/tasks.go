package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// tasksCommand shows the tasks of an attempt.
func (c *cli) tasksCommand() *cobra.Command {
	var o clientOptions
	return c.ofAttempt(&cobra.Command{
		Use:     "tasks ATTEMPT",
		Aliases: []string{"task"},
		Short:   "Shows the tasks of an attempt",
		Example: "  gitdag tasks 42",
	}, &o, func(ctx context.Context, agent *client.Client, id api.ID) error {
		list, err := agent.Tasks(ctx, id)
		if err == nil && len(list) == 0 {
			_, err = agent.Attempt(ctx, id) // which may wait, or not be there
		}
		if err != nil {
			return err
		}
		return c.result(&o, list, func() { c.printTasks(list) })
	})
}

func (c *cli) printTasks(list []api.Task) {
	for i := range list {
		t := &list[i]
		fields := []field{
			{"id", t.ID},
			{"name", t.FullName},
			{"state", c.paint(t.State)},
			{"started", localTime(t.StartedAt)},
			{"updated", localTime(t.UpdatedAt)},
			{"config", object(t.Config)},
			{"parent", parentOf(t)},
			{"upstreams", fmt.Sprint(t.Upstreams)},
			{"export params", object(t.ExportParams)},
			{"store params", object(t.StoreParams)},
			{"state params", object(t.StateParams)},
		}
		if t.Error.Len() > 0 {
			fields = append(fields, field{"error", object(t.Error)})
		}
		block(c.stdout, "   ", fields...)
	}
	fmt.Fprintf(c.stdout, "%d entries.\n", len(list))
}

func parentOf(t *api.Task) string {
	if t.ParentID == nil {
		return "null"
	}
	return t.ParentID.String()
}
