package main

import (
	"cmp"
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
	given givenParams
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
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) (err error) {
		if o.attempt, err = parseID("ATTEMPT", args[0]); err != nil {
			return err
		}
		if err := o.check(cmd.Flags().Changed); err != nil {
			return err
		}
		return c.retry(ctx, agent, &o)
	})
	f := cmd.Flags()
	f.BoolVar(&o.latest, "latest-revision", false, "run the workflow as it is now (default)")
	f.BoolVar(&o.keep, "keep-revision", false, "run the workflow as the attempt did")
	f.StringVar(&o.revision, "revision", "", "run the workflow as it was in this `REVISION`")
	f.BoolVar(&o.resume, "resume", false, "take over the tasks that succeeded (default)")
	f.StringVar(&o.from, "resume-from", "", "take over what stands in front of the one task whose full name ends with `+TASK`")
	f.BoolVar(&o.all, "all", false, "run all tasks")
	f.StringVar(&o.name, "name", "", "`NAME` of the new attempt (default: a random UUID)")
	o.given.add(f)
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

func (c *cli) retry(ctx context.Context, agent *client.Client, o *retryOptions) error {
	given, err := c.attemptParams(&o.clientOptions, &o.given)
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
	name := cmp.Or(o.name, uuid.NewString())
	attempt, err := agent.Start(ctx, api.StartRequest{
		WorkflowID: workflow, SessionTime: api.Instant{Time: old.SessionTime.Time}, Params: params.Merge(old.Params, given),
		RetryAttemptName: &name, Resume: o.takeover(),
	})
	if err != nil {
		return o.explain(err, &old, name)
	}
	return c.printStarted(&o.clientOptions, &attempt)
}

// definition returns the workflow definition that is to run.
func (o *retryOptions) definition(ctx context.Context, agent *client.Client, old *api.Attempt) (api.ID, error) {
	if o.keep {
		if old.Workflow.ID == nil {
			return 0, fmt.Errorf("attempt %s does not tell which definition of workflow %s it ran", old.ID, old.Workflow.Name)
		}
		return *old.Workflow.ID, nil
	}
	w, err := agent.Workflow(ctx, old.Project, old.Workflow.Name, o.revision)
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
		return &advised{sessionTaken(&conflict.Attempt, fmt.Sprintf("named %q", name)), "give another --name, or none"}
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
