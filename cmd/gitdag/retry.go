package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
	"gitdag/engine/params"
)

// retryOptions are the command line of `retry`.
type retryOptions struct {
	clientOptions
	attempt api.ID

	// At most one of each group is given.
	latest, keep bool
	revision     string
	all, resume  bool
	from         string

	name  string
	given projectOptions // of which only the parameters
}

// retryCommand runs the session of an attempt once more.
func (c *cli) retryCommand() *cobra.Command {
	var o retryOptions
	cmd := &cobra.Command{
		Use:   "retry ATTEMPT",
		Short: "Runs what failed in an attempt, and what follows, once more",
		Long: `Starts a further attempt of the session of an attempt, with its parameters.
Unless told otherwise it is of the latest revision and takes over the tasks that succeeded, with
what they stored.`,
		Example: `  gitdag retry 42
  gitdag retry 42 --keep-revision
  gitdag retry 42 --resume-from +load
  gitdag retry 42 --all -p station=NZ-07`,
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.attempt, err = parseID("ATTEMPT", args[0]); err != nil {
				return err
			}
			if err := o.check(cmd.Flags().Changed); err != nil {
				return err
			}
			return c.retry(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	o.add(f)
	f.BoolVar(&o.latest, "latest-revision", false, "run the workflow as it is now (default)")
	f.BoolVar(&o.keep, "keep-revision", false, "run the workflow as the attempt did")
	f.StringVar(&o.revision, "revision", "", "run the workflow as it was in this `REVISION`, of which it must have run before")
	f.BoolVar(&o.resume, "resume", false, "take over the tasks that succeeded (default)")
	f.StringVar(&o.from, "resume-from", "", "take over what stands in front of the one task whose full name ends with `+TASK`")
	f.BoolVar(&o.all, "all", false, "run all tasks")
	f.StringVar(&o.name, "name", "", "`NAME` of the new attempt (default: a random UUID)")
	f.StringArrayVarP(&o.given.params, "param", "p", nil, "set a parameter: `KEY=VALUE`, may be repeated")
	f.StringArrayVarP(&o.given.files, "params-file", "P", nil, "read parameters from a YAML or JSON `FILE`")
	return cmd
}

// check refuses options that exclude each other, and empty ones.
func (o *retryOptions) check(given func(string) bool) error {
	for _, group := range [][]string{
		{"latest-revision", "keep-revision", "revision"},
		{"resume", "resume-from", "all"},
	} {
		first := ""
		for _, name := range group {
			switch {
			case !given(name):
			case first != "":
				return usagef("--%s and --%s exclude each other", first, name)
			default:
				first = name
			}
		}
	}
	for name, text := range map[string]string{"revision": o.revision, "resume-from": o.from, "name": o.name} {
		if given(name) && text == "" {
			return usagef("--%s needs a value", name)
		}
	}
	return nil
}

func (c *cli) retry(ctx context.Context, o *retryOptions) error {
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
	old, err := agent.Attempt(ctx, o.attempt)
	if err != nil {
		return err
	}
	workflow, err := o.definition(ctx, agent, &old)
	if err != nil {
		return err
	}
	name := o.name
	if name == "" {
		name = uuid.NewString()
	}
	attempt, err := agent.Start(ctx, api.StartRequest{
		WorkflowID: workflow, SessionTime: api.Instant{Time: old.SessionTime.Time}, Params: params.Merge(old.Params, given),
		RetryAttemptName: &name, Resume: o.takeover(),
	})
	if err != nil {
		return o.explain(err, &old, name)
	}
	return c.printStarted(&startOptions{clientOptions: o.clientOptions}, &attempt)
}

// definition returns the workflow definition that is to run.
func (o *retryOptions) definition(ctx context.Context, agent *client.Client, old *api.Attempt) (api.ID, error) {
	if o.keep {
		if old.Workflow.ID == nil {
			return 0, fmt.Errorf("attempt %s does not tell which definition of workflow %s it ran", old.ID, old.Workflow.Name)
		}
		return *old.Workflow.ID, nil
	}
	w, err := agent.WorkflowAt(ctx, old.Project, old.Workflow.Name, o.revision)
	return w.ID, err
}

// takeover says what the new attempt takes over; nil for nothing.
func (o *retryOptions) takeover() *api.Resume {
	switch {
	case o.all:
		return nil
	case o.from != "":
		return &api.Resume{Mode: api.ResumeFrom, AttemptID: o.attempt, From: o.from}
	}
	return &api.Resume{Mode: api.ResumeFailed, AttemptID: o.attempt}
}

// explain adds to a refusal what can be done about it.
func (o *retryOptions) explain(err error, old *api.Attempt, name string) error {
	var conflict *client.Conflict
	var refused *client.Refused
	switch {
	case errors.As(err, &conflict):
		return &advised{
			fmt.Errorf("session %s of %s has an attempt named %q already: attempt id %s, %s",
				old.SessionTime.Format(clockFormat), old.Workflow.Name, name, conflict.Attempt.ID, conflict.Attempt.Status),
			"give another --name, or none",
		}
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest && old.Success && !o.all && o.from == "":
		return &advised{err, fmt.Sprintf("gitdag retry %s --all runs all tasks once more", old.ID)}
	case errors.As(err, &refused) && refused.Status == http.StatusNotFound && o.keep:
		return &advised{
			fmt.Errorf("what attempt %s ran of workflow %s is not kept any more", old.ID, old.Workflow.Name),
			fmt.Sprintf("gitdag retry %s --latest-revision runs the workflow as it is now", old.ID),
		}
	}
	return err
}

// advised is an error with something to do about it.
type advised struct {
	error
	hint string
}

// Hint says what to do.
func (e *advised) Hint() string { return e.hint }

// Unwrap returns the error.
func (e *advised) Unwrap() error { return e.error }
