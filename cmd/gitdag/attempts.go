package main

import (
	"context"
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
	cmd := &cobra.Command{
		Use:     "attempts [SESSION]",
		Short:   "Lists the newest attempt of each session, or all attempts of one",
		Example: "  gitdag attempts\n  gitdag attempts 42 --json",
		Args:    arguments(cobra.MaximumNArgs(1)),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		if err := checkPage(cmd.Flags(), "page-size", page.Size); err != nil {
			return err
		}
		list, err := listAttempts(ctx, agent, args, page)
		if err != nil {
			return err
		}
		slices.Reverse(list)
		return c.result(&o, list, func() {
			c.printAttempts(list)
			hintAtPage(c, page, list, func(a *api.Attempt) api.ID { return a.ID })
		})
	})
	pageFlags(cmd.Flags(), &page)
	return cmd
}

func listAttempts(ctx context.Context, agent *client.Client, args []string, page client.Page) ([]api.Attempt, error) {
	if len(args) == 0 {
		return agent.Attempts(ctx, page)
	}
	session, err := parseID("SESSION", args[0])
	if err != nil {
		return nil, err
	}
	return agent.SessionAttempts(ctx, session, page)
}

// attemptCommand shows one attempt.
func (c *cli) attemptCommand() *cobra.Command {
	var o clientOptions
	return c.ofAttempt(&cobra.Command{
		Use:     "attempt ATTEMPT",
		Short:   "Shows an attempt",
		Example: "  gitdag attempt 42",
	}, &o, func(ctx context.Context, agent *client.Client, id api.ID) error {
		attempt, err := agent.Attempt(ctx, id)
		if err != nil {
			return err
		}
		return c.result(&o, attempt, func() { c.printAttempt(&attempt) })
	})
}

// ofAttempt completes a command whose one argument is the id of an attempt.
func (c *cli) ofAttempt(cmd *cobra.Command, o *clientOptions, run func(context.Context, *client.Client, api.ID) error) *cobra.Command {
	cmd.Args = arguments(cobra.ExactArgs(1))
	return c.asking(cmd, o, func(ctx context.Context, agent *client.Client, args []string) error {
		id, err := parseID("ATTEMPT", args[0])
		if err != nil {
			return err
		}
		return run(ctx, agent, id)
	})
}

func (c *cli) printAttempts(list []api.Attempt) {
	fmt.Fprintln(c.stdout, "Session attempts:")
	for i := range list {
		c.printAttempt(&list[i])
	}
}

// hintAtPage says how there can be something to list, or how to list what is
// older than a full page, the oldest first.
func hintAtPage[T any](c *cli, page client.Page, list []T, id func(*T) api.ID) {
	switch {
	case len(list) == 0 && page.LastID == 0:
		c.hint("nothing has run yet; start a workflow with: gitdag start PROJECT WORKFLOW --session now")
	case len(list) > 0 && page.Full(len(list)):
		c.hint("there may be older ones: --last-id %s lists them", id(&list[0]))
	}
}

func (c *cli) printAttempt(a *api.Attempt) {
	block(c.stdout, "  ", append(begun(a),
		field{"finished at", localTime(a.FinishedAt)},
		field{"kill requested", a.CancelRequested},
		field{"status", c.paint(a.Status)})...)
}

// begun shows what an attempt was started with.
func begun(a *api.Attempt) []field {
	return append([]field{{"session id", a.SessionID}, {"attempt id", a.ID}}, startedWith(a)...)
}

// startedWith is begun without the ids.
func startedWith(a *api.Attempt) []field {
	return []field{
		{"uuid", a.SessionUUID},
		{"project", a.Project.Name},
		{"workflow", a.Workflow.Name},
		{"session time", a.SessionTime.Format(clockFormat)},
		{"retry attempt name", textOr(a.RetryAttemptName, "")},
		{"params", object(a.Params)},
		{"created at", localTime(a.CreatedAt)},
	}
}
