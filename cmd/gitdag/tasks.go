package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
)

// tasksCommand shows the tasks of an attempt.
func (c *cli) tasksCommand() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:     "tasks ATTEMPT",
		Aliases: []string{"task"},
		Short:   "Shows the tasks of an attempt",
		Example: "  gitdag tasks 42",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID("ATTEMPT", args[0])
			if err != nil {
				return err
			}
			agent, err := c.connect(&o)
			if err != nil {
				return err
			}
			list, err := agent.Tasks(cmd.Context(), id)
			if err != nil {
				return err
			}
			return c.printTasks(&o, list)
		},
	}
	o.add(cmd.Flags())
	return cmd
}

func (c *cli) printTasks(o *clientOptions, list []api.Task) error {
	if o.json {
		return c.printJSON(list)
	}
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
	return nil
}

func parentOf(t *api.Task) string {
	if t.ParentID == nil {
		return "null"
	}
	return t.ParentID.String()
}
