package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// attemptsCommand lists attempts, the newest at the bottom of the screen.
func (c *cli) attemptsCommand() *cobra.Command {
	var o clientOptions
	var page client.Page
	var last uint64
	cmd := &cobra.Command{
		Use:     "attempts [SESSION]",
		Short:   "Lists the newest attempt of each session, or all attempts of one",
		Example: "  gitdag attempts\n  gitdag attempts 42 --json",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			agent, err := c.connect(&o)
			if err != nil {
				return err
			}
			page.LastID = api.ID(last)
			var list []api.Attempt
			if len(args) == 0 {
				list, err = agent.Attempts(cmd.Context(), page)
			} else {
				var session api.ID
				if session, err = parseID("SESSION", args[0]); err != nil {
					return err
				}
				list, err = agent.SessionAttempts(cmd.Context(), session, page)
			}
			if err != nil {
				return err
			}
			return c.printAttempts(&o, list)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().Uint64VarP(&last, "last-id", "i", 0, "list attempts older than the one of this `ID`")
	cmd.Flags().IntVarP(&page.Size, "page-size", "s", 0, "list so many: `N` (default 100, at most 100)")
	return cmd
}

func (c *cli) printAttempts(o *clientOptions, list []api.Attempt) error {
	slices.Reverse(list)
	if o.json {
		return c.printJSON(list)
	}
	fmt.Fprintln(c.stdout, "Session attempts:")
	for i := range list {
		a := &list[i]
		block(c.stdout, "  ", append(begun(a),
			field{"finished at", localTime(a.FinishedAt)},
			field{"kill requested", a.CancelRequested},
			field{"status", c.paint(a.Status)})...)
	}
	if len(list) == 0 {
		c.hint("nothing has run yet; start a workflow with: gitdag start PROJECT WORKFLOW --session now")
	}
	return nil
}

// begun shows what an attempt was started with.
func begun(a *api.Attempt) []field {
	return []field{
		{"session id", a.SessionID},
		{"attempt id", a.ID},
		{"uuid", a.SessionUUID},
		{"project", a.Project.Name},
		{"workflow", a.Workflow.Name},
		{"session time", a.SessionTime.Format(clockFormat)},
		{"retry attempt name", textOr(a.RetryAttemptName, "")},
		{"params", object(a.Params)},
		{"created at", localTime(a.CreatedAt)},
	}
}
