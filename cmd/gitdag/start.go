package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent/api"
	"gitdag/agent/client"
	"gitdag/engine/params"
)

// startOptions are the command line of `start`.
type startOptions struct {
	clientOptions
	project, workflow string
	session           string
	revision          string
	retry             string
	dryRun            bool
	given             givenParams
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
		Args:              arguments(cobra.ExactArgs(2)),
		ValidArgsFunction: c.completing(&o.clientOptions, projectNames, workflowNames),
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) error {
		o.project, o.workflow = args[0], args[1]
		return c.start(ctx, agent, &o)
	})
	f := cmd.Flags()
	f.StringVar(&o.session, "session", "", "session `TIME`, required: hourly, daily, now, \"yyyy-MM-dd\" or \"yyyy-MM-dd HH:mm:ss\" of the workflow's time zone")
	f.StringVar(&o.revision, "revision", "", "start the workflow as it was in this `REVISION` (default: the latest)")
	f.StringVar(&o.retry, "retry", "", "`NAME` of a further attempt of a session that has been run")
	f.BoolVarP(&o.dryRun, "dry-run", "d", false, "show what would be started")
	o.given.add(f)
	completeOption(cmd, "session", "hourly", "daily", "now")
	return cmd
}

// givenParams are the parameters that a command line adds to an attempt's.
type givenParams struct{ options projectOptions }

func (g *givenParams) add(f *pflag.FlagSet) {
	f.StringArrayVarP(&g.options.params, "param", "p", nil, "set a parameter: `KEY=VALUE`, may be repeated")
	f.StringArrayVarP(&g.options.files, "params-file", "P", nil, "read parameters from a YAML or JSON `FILE`")
}

// attemptParams merges those of the configuration and of the command line.
func (c *cli) attemptParams(o *clientOptions, g *givenParams) (*params.Map, error) {
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return nil, err
	}
	return g.options.loadParams(config)
}

func (c *cli) start(ctx context.Context, agent *client.Client, o *startOptions) error {
	session, mode, err := sessionOption(o.session, time.Now())
	if err != nil {
		return err
	}
	given, err := c.attemptParams(&o.clientOptions, &o.given)
	if err != nil {
		return err
	}
	project, err := agent.Project(ctx, o.project)
	if err != nil {
		return err
	}
	workflow, err := agent.Workflow(ctx, reference(&project), o.workflow, o.revision)
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
		return c.result(&o.clientOptions, request, func() { c.printDryRun(&workflow, &request) })
	}
	attempt, err := agent.Start(ctx, request)
	var conflict *client.Conflict
	if errors.As(err, &conflict) {
		return o.taken(&conflict.Attempt)
	}
	if err != nil {
		return err
	}
	return c.printStarted(&o.clientOptions, &attempt)
}

func (c *cli) printStarted(o *clientOptions, a *api.Attempt) error {
	return c.result(o, a, func() {
		fmt.Fprintln(c.stdout, "Started a session attempt:")
		block(c.stdout, "  ", begun(a)...)
		c.hint("gitdag log %s -f follows what its tasks print, gitdag tasks %s shows them", a.ID, a.ID)
	})
}

// printDryRun shows the session time in UTC, as Digdag does.
func (c *cli) printDryRun(w *api.Workflow, r *api.StartRequest) {
	const none = "(dry run)"
	fmt.Fprintln(c.stdout, "Session attempt:")
	block(c.stdout, "  ",
		field{"session id", none},
		field{"attempt id", none},
		field{"uuid", none},
		field{"project", w.Project.Name},
		field{"workflow", w.Name},
		field{"session time", r.SessionTime.UTC().Format(clockFormat)},
		field{"retry attempt name", textOr(r.RetryAttemptName, "")},
		field{"params", object(r.Params)})
}

// taken is the error of a start whose session has an attempt, with a command
// that runs it once more.
func (o *startOptions) taken(there *api.Attempt) error {
	hint := fmt.Sprintf("to run it once more: gitdag retry %s --latest-revision --all", there.ID)
	if o.session == "now" {
		hint += " (session times are whole seconds: one --session now a second)"
	}
	name := "without a retry name"
	if o.retry != "" {
		name = fmt.Sprintf("named %q", o.retry)
	}
	return &advised{sessionTaken(there, name), hint}
}

// sessionTaken is the error for an attempt that is there already. Name says what
// it is called.
func sessionTaken(there *api.Attempt, name string) error {
	return fmt.Errorf("session %s of %s has an attempt %s already: session id %s, attempt id %s, %s",
		there.SessionTime.Format(clockFormat), there.Workflow.Name, name, there.SessionID, there.ID, there.Status)
}
