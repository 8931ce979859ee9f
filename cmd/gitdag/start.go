package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// startOptions are the command line of `start`.
type startOptions struct {
	clientOptions
	project, workflow string
	session           string
	retry             string
	dryRun            bool
	given             projectOptions // of which only the parameters
}

// startCommand starts a workflow on the agent.
func (c *cli) startCommand() *cobra.Command {
	var o startOptions
	cmd := &cobra.Command{
		Use:   "start PROJECT WORKFLOW --session TIME",
		Short: "Starts a workflow on the agent",
		Example: `  gitdag start etl daily --session now
  gitdag start etl daily --session daily -p station=NZ-07
  gitdag start etl daily --session "2026-01-31 00:00:00" --retry second-try`,
		Args: arguments(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.project, o.workflow = args[0], args[1]
			return c.start(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	o.add(f)
	f.StringVar(&o.session, "session", "", "session `TIME`, required: hourly, daily, now, \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\" of the workflow's time zone")
	f.StringVar(&o.retry, "retry", "", "`NAME` of a further attempt of a session that has been run")
	f.BoolVarP(&o.dryRun, "dry-run", "d", false, "show what would be started")
	f.StringArrayVarP(&o.given.params, "param", "p", nil, "set a parameter: `KEY=VALUE`, may be repeated")
	f.StringArrayVarP(&o.given.files, "params-file", "P", nil, "read parameters from a YAML or JSON `FILE`")
	return cmd
}

func (c *cli) start(ctx context.Context, o *startOptions) error {
	session, mode, err := sessionOption(o.session, time.Now())
	if err != nil {
		return err
	}
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return err
	}
	given, err := o.given.loadParams(config)
	if err != nil {
		return err
	}
	agent, err := c.connect(&o.clientOptions)
	if err != nil {
		return err
	}
	project, err := agent.Project(ctx, o.project)
	if err != nil {
		return err
	}
	workflow, err := agent.Workflow(ctx, project, o.workflow)
	if err != nil {
		return err
	}
	at, err := agent.SessionTime(ctx, workflow.ID, session, mode)
	if err != nil {
		return err
	}
	request := api.StartRequest{WorkflowID: workflow.ID, SessionTime: api.Instant{Time: at.SessionTime.Time}, Params: given}
	if o.retry != "" {
		request.RetryAttemptName = &o.retry
	}
	if o.dryRun {
		return c.printDryRun(o, workflow, at, request)
	}
	attempt, err := agent.Start(ctx, request)
	var conflict *client.Conflict
	if errors.As(err, &conflict) {
		return &sessionTaken{o, conflict.Attempt}
	}
	if err != nil {
		return err
	}
	return c.printStarted(o, &attempt)
}

// sessionOption turns the option into what the agent is asked: a time, and what
// it is to be cut down to.
func sessionOption(text string, now time.Time) (session, mode string, err error) {
	moment := now.UTC().Format(time.RFC3339Nano)
	switch text {
	case "":
		return "", "", usagef("--session is missing: give hourly, daily, now or a time")
	case "hourly":
		return moment, "hour", nil
	case "daily":
		return moment, "day", nil
	case "now":
		return moment, "", nil
	}
	for _, layout := range []string{time.DateOnly, time.DateTime} {
		if t, err := time.Parse(layout, text); err == nil && len(text) == len(layout) {
			return t.Format("2006-01-02T15:04:05"), "", nil
		}
	}
	return "", "", usagef("--session must be hourly, daily, now, \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\", not %q", text)
}

func (c *cli) printStarted(o *startOptions, a *api.Attempt) error {
	if o.json {
		return c.printJSON(a)
	}
	fmt.Fprintln(c.stdout, "Started a session attempt:")
	block(c.stdout, "  ", begun(a)...)
	c.hint("gitdag log %s -f follows what its tasks print, gitdag tasks %s shows them", a.ID, a.ID)
	return nil
}

func (c *cli) printDryRun(o *startOptions, w api.Workflow, at api.SessionTime, r api.StartRequest) error {
	if o.json {
		return c.printJSON(r)
	}
	const none = "(dry run)"
	fmt.Fprintln(c.stdout, "Session attempt:")
	block(c.stdout, "  ",
		field{"session id", none},
		field{"attempt id", none},
		field{"uuid", none},
		field{"project", w.Project.Name},
		field{"workflow", w.Name},
		field{"session time", at.SessionTime.Format(clockFormat)},
		field{"retry attempt name", o.retry},
		field{"params", object(r.Params)})
	return nil
}

// sessionTaken is the error of a start whose session has been run.
type sessionTaken struct {
	o       *startOptions
	attempt api.Attempt
}

func (e *sessionTaken) Error() string {
	name := "without a retry name"
	if e.o.retry != "" {
		name = fmt.Sprintf("named %q", e.o.retry)
	}
	return fmt.Sprintf("session %s of %s has an attempt %s already: session id %s, attempt id %s, %s",
		e.attempt.SessionTime.Format(clockFormat), e.o.workflow, name, e.attempt.SessionID, e.attempt.ID, e.attempt.Status)
}

// Hint is a command that runs the session once more.
func (e *sessionTaken) Hint() string {
	return fmt.Sprintf("to run it once more: gitdag start %s %s --session %s --retry NAME",
		quote(e.o.project), quote(e.o.workflow), quote(e.attempt.SessionTime.Format(time.DateTime)))
}

// quote makes one word of a text for a shell.
func quote(text string) string {
	safe := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-./=@,", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
