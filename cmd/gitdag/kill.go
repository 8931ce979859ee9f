package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// killCommand asks for the end of an attempt.
func (c *cli) killCommand() *cobra.Command {
	var o clientOptions
	return c.ofAttempt(&cobra.Command{
		Use:     "kill ATTEMPT",
		Short:   "Ends an attempt and the processes of its tasks",
		Example: "  gitdag kill 42",
	}, &o, func(ctx context.Context, agent *client.Client, id api.ID) error {
		attempt, err := agent.Kill(ctx, id)
		if err != nil {
			return err
		}
		return c.result(&o, attempt, func() { fmt.Fprintf(c.stdout, "Kill requested: attempt %s\n", id) })
	})
}
