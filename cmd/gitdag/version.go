package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/client"
)

// versionCommand shows which versions talk to each other.
func (c *cli) versionCommand() *cobra.Command {
	var o clientOptions
	cmd := c.asking(&cobra.Command{
		Use:     "version",
		Short:   "Shows the versions of this program and of the agent",
		Example: "  gitdag version\n  gitdag version -e https://gitdag.example.com",
		Args:    arguments(cobra.NoArgs),
	}, &o, func(ctx context.Context, agent *client.Client, _ []string) error {
		if !o.json {
			fmt.Fprintf(c.stdout, "Client version: %s\n", c.version)
		}
		server, err := agent.Version(ctx)
		if err != nil {
			return err
		}
		return c.result(&o, versions{c.version, server}, func() { fmt.Fprintf(c.stdout, "Server version: %s\n", server) })
	})
	return unchecked(cmd, &o)
}

// unchecked completes a command that asks nothing about versions first.
func unchecked(cmd *cobra.Command, o *clientOptions) *cobra.Command {
	ask := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.anyVersion = true
		return ask(cmd, args)
	}
	_ = cmd.Flags().MarkHidden("disable-version-check")
	return cmd
}

// versions are both versions as other programs get them.
type versions struct {
	Client string `json:"client"`
	Server string `json:"server"`
}
