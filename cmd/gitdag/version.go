package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// versionCommand shows which versions talk to each other.
func (c *cli) versionCommand() *cobra.Command {
	var o clientOptions
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Shows the versions of this program and of the agent",
		Example: "  gitdag version\n  gitdag version -e https://gitdag.example.com",
		Args:    arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			agent, err := c.connect(&o)
			if err != nil {
				return err
			}
			if !o.json {
				fmt.Fprintf(c.stdout, "Client version: %s\n", c.version)
			}
			server, err := agent.Version(cmd.Context())
			if err != nil {
				return err
			}
			if o.json {
				return c.printJSON(versions{c.version, server})
			}
			fmt.Fprintf(c.stdout, "Server version: %s\n", server)
			return nil
		},
	}
	o.add(cmd.Flags())
	return cmd
}

// versions are both versions as other programs get them.
type versions struct {
	Client string `json:"client"`
	Server string `json:"server"`
}
