package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// sessionsCommand lists sessions, the newest at the bottom of the screen.
func (c *cli) sessionsCommand() *cobra.Command {
	var o clientOptions
	var page client.Page
	cmd := &cobra.Command{
		Use:               "sessions [SESSION | PROJECT [WORKFLOW]]",
		Aliases:           []string{"session"},
		Short:             "Lists sessions, or shows one",
		Example:           "  gitdag sessions\n  gitdag sessions etl daily -s 10\n  gitdag session 42",
		Args:              arguments(cobra.MaximumNArgs(2)),
		ValidArgsFunction: c.completing(&o, projectNames, workflowNames),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		if err := checkPage(cmd.Flags(), "page-size", page.Size); err != nil {
			return err
		}
		if len(args) == 1 && isID(args[0]) {
			return c.showSession(ctx, agent, &o, args[0])
		}
		list, err := listSessions(ctx, agent, args, page)
		if err != nil {
			return err
		}
		slices.Reverse(list)
		return c.result(&o, list, func() {
			fmt.Fprintln(c.stdout, "Sessions:")
			for i := range list {
				c.printSession(&list[i])
			}
			hintAtPage(c, page, list, func(s *api.Session) api.ID { return s.ID })
		})
	})
	pageFlags(cmd.Flags(), &page)
	return cmd
}

func (c *cli) showSession(ctx context.Context, agent *client.Client, o *clientOptions, text string) error {
	id, err := parseID("SESSION", text)
	if err != nil {
		return err
	}
	session, err := agent.Session(ctx, id)
	if err != nil {
		return err
	}
	return c.result(o, session, func() { c.printSession(&session) })
}

func listSessions(ctx context.Context, agent *client.Client, args []string, page client.Page) ([]api.Session, error) {
	if len(args) == 0 {
		return agent.Sessions(ctx, page)
	}
	workflow := ""
	if len(args) == 2 {
		if workflow = args[1]; workflow == "" {
			return nil, usagef("WORKFLOW must not be empty")
		}
	}
	project, err := agent.Project(ctx, args[0])
	if err != nil {
		return nil, err
	}
	list, err := agent.ProjectSessions(ctx, project.ID, workflow, page)
	if err == nil && len(list) == 0 && workflow != "" && page.LastID == 0 {
		_, err = agent.Workflow(ctx, reference(&project), workflow, "") // which may not be there
	}
	return list, err
}

func (c *cli) printSession(s *api.Session) {
	last := s.LastAttempt
	status, id := "pending", ""
	if last == nil {
		last = &api.LastAttempt{}
	} else {
		status, id = statusOf(last), last.ID.String()
	}
	params := "{}"
	if last.Params != nil {
		params = object(last.Params)
	}
	block(c.stdout, "  ",
		field{"session id", s.ID},
		field{"attempt id", id},
		field{"uuid", s.SessionUUID},
		field{"project", s.Project.Name},
		field{"workflow", s.Workflow.Name},
		field{"session time", s.SessionTime.Format(clockFormat)},
		field{"retry attempt name", textOr(last.RetryAttemptName, "")},
		field{"params", params},
		field{"created at", localTime(last.CreatedAt)},
		field{"kill requested", last.CancelRequested},
		field{"status", c.paint(status)})
}

// statusOf is the state of a session's newest attempt. As in Digdag, a killed
// one counts as an error here.
func statusOf(a *api.LastAttempt) string {
	switch {
	case a.Success:
		return "success"
	case a.Done:
		return "error"
	}
	return "running"
}
