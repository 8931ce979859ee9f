package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// killCommand asks for the end of an attempt.
func (c *cli) killCommand() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:     "kill ATTEMPT",
		Short:   "Ends an attempt and the processes of its tasks",
		Example: "  gitdag kill 42",
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
			attempt, err := agent.Kill(cmd.Context(), id)
			if err != nil {
				return err
			}
			if o.json {
				return c.printJSON(attempt)
			}
			fmt.Fprintf(c.stdout, "Kill requested: attempt %s\n", id)
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}
