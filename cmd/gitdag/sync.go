package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// syncCommand has repositories looked at without waiting for the next poll.
func (c *cli) syncCommand() *cobra.Command {
	var o clientOptions
	return c.asking(&cobra.Command{
		Use:     "sync [REPOSITORY]",
		Short:   "Has the agent look at its repositories now",
		Example: "  gitdag sync\n  gitdag sync workflows",
		Args:    arguments(cobra.MaximumNArgs(1)),
	}, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		name := ""
		if len(args) == 1 {
			name = args[0]
		}
		names, err := agent.Sync(ctx, name)
		if err != nil {
			return err
		}
		return c.result(&o, api.Synced{Repositories: names}, func() {
			for _, name := range names {
				fmt.Fprintf(c.stdout, "Sync requested: %s\n", name)
			}
			c.hint("gitdag status shows what comes of it")
		})
	})
}
