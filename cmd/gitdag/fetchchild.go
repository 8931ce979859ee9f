package main

import (
	"github.com/spf13/cobra"

	"gitdag/gitsync"
)

// fetchChildCommand is what the agent re-executes itself as to read from a
// remote under a memory limit. It is no command for people.
func (c *cli) fetchChildCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "fetch-child",
		Hidden: true,
		Args:   arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if status := gitsync.FetchChild(c.stdin, c.stdout, c.stderr); status != 0 {
				return &exitError{status}
			}
			return nil
		},
	}
}
