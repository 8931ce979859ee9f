package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/client"
)

// killCommand asks for the end of an attempt.
func (c *cli) killCommand() *cobra.Command {
	var o clientOptions
	return c.asking(&cobra.Command{
		Use:     "kill ATTEMPT",
		Short:   "Ends an attempt and the processes of its tasks",
		Example: "  gitdag kill 42",
		Args:    arguments(cobra.ExactArgs(1)),
	}, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		id, err := parseID("ATTEMPT", args[0])
		if err != nil {
			return err
		}
		attempt, err := agent.Kill(ctx, id)
		if err != nil {
			return err
		}
		return c.result(&o, attempt, func() { fmt.Fprintf(c.stdout, "Kill requested: attempt %s\n", id) })
	})
}
