package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
)

// syncCommand has repositories looked at without waiting for the next poll.
func (c *cli) syncCommand() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:     "sync [REPOSITORY]",
		Short:   "Has the agent look at its repositories now",
		Example: "  gitdag sync\n  gitdag sync workflows",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			agent, err := c.connect(&o)
			if err != nil {
				return err
			}
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			names, err := agent.Sync(cmd.Context(), name)
			if err != nil {
				return err
			}
			if o.json {
				return c.printJSON(api.Synced{Repositories: names})
			}
			for _, name := range names {
				fmt.Fprintf(c.stdout, "Sync requested: %s\n", name)
			}
			c.hint("gitdag status shows what comes of it")
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}
