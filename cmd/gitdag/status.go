package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// statusCommand shows what an agent is and does.
func (c *cli) statusCommand() *cobra.Command {
	var o clientOptions
	var healthy bool
	cmd := c.asking(&cobra.Command{
		Use:     "status",
		Short:   "Shows repositories, failing workflows and next runs of the agent",
		Example: "  gitdag status\n  gitdag status --healthy",
		Args:    arguments(cobra.NoArgs),
	}, &o, func(ctx context.Context, agent *client.Client, _ []string) error {
		if healthy {
			if err := agent.Ready(ctx); err != nil {
				return &exitError{1}
			}
			return nil
		}
		status, err := agent.Status(ctx)
		if err != nil {
			return err
		}
		return c.result(&o, status, func() { c.printStatus(agent.Endpoint(), status) })
	})
	cmd.Flags().BoolVar(&healthy, "healthy", false, "print nothing; exit 0 if the agent is ready, else 1")
	return unchecked(cmd, &o)
}

func (c *cli) printStatus(endpoint string, s *api.Status) {
	ready := "ready"
	if !s.Ready {
		ready = "not ready"
	}
	fmt.Fprintf(c.stdout, "gitdag %s at %s: %s\n", s.Version, endpoint, ready)
	for _, why := range s.NotReady {
		fmt.Fprintf(c.stdout, "  %s\n", why)
	}
	fmt.Fprintf(c.stdout, "  started at: %s\n", localTimeFrom(s.StartedAt, s.Now.Time))
	fmt.Fprintf(c.stdout, "  running: %s, %s\n", counted(s.Running.Attempts, "attempt"), counted(s.Running.Tasks, "task"))
	if s.DiskFull {
		fmt.Fprintln(c.stdout, "  disk: FULL, nothing new is accepted until there is space")
	}
	if s.Alerts.Pending > 0 {
		fmt.Fprintf(c.stdout, "  alerts: %d not delivered yet, the oldest of %s%s\n", s.Alerts.Pending,
			localTimeFrom(s.Alerts.Oldest, s.Now.Time), because(s.Alerts.LastError))
	}
	fmt.Fprintln(c.stdout, "\nRepositories:")
	for i := range s.Repositories {
		c.printRepository(&s.Repositories[i], s.Now.Time)
	}
	c.printFailing(s)
	c.printNext(s)
}

func because(why *string) string {
	if why == nil {
		return ""
	}
	return ": " + *why
}

func (c *cli) printRepository(r *api.Repository, now time.Time) {
	w := c.stdout
	fmt.Fprintf(w, "  %s\n    url: %s\n", r.Name, r.URL)
	if r.Ref != "" {
		fmt.Fprintf(w, "    ref: %s\n", r.Ref)
	}
	if r.Commit == nil {
		fmt.Fprintln(w, "    commit: none yet")
	} else {
		fmt.Fprintf(w, "    commit: %s %s (%s)\n", short(r.Commit.ID), r.Commit.Subject, r.Commit.Author)
		fmt.Fprintf(w, "    live since: %s\n", localTimeFrom(r.LiveSince, now))
	}
	fmt.Fprintf(w, "    sync: %s%s\n", r.Phase, polled(r, now))
	if r.LastError != nil {
		fmt.Fprintf(w, "    error: %s (%s in a row since %s)\n", *r.LastError, counted(r.Failures, "failure"), localTime(r.FailingSince))
	}
	fmt.Fprintf(w, "    live: %s, %s\n", counted(r.Projects, "project"), counted(r.Workflows, "workflow"))
	for i := range r.Rejected {
		j := &r.Rejected[i]
		rest := "nothing of it is live"
		if j.Live {
			rest = "its last good revision stays live"
		}
		fmt.Fprintf(w, "    rejected: %s in %s, %s\n", j.Project, short(j.Commit), rest)
		for _, reason := range j.Reasons {
			fmt.Fprintf(w, "      %s\n", strings.ReplaceAll(reason, "\n", "\n      "))
		}
	}
}

// polled says when a repository was and will be looked at.
func polled(r *api.Repository, now time.Time) string {
	var parts []string
	if !r.LastPoll.IsZero() {
		parts = append(parts, "last poll "+relative(r.LastPoll, now))
	}
	if !r.NextPoll.IsZero() {
		parts = append(parts, "next "+relative(r.NextPoll, now))
	}
	if len(parts) == 0 {
		return ""
	}
	return ", " + strings.Join(parts, ", ")
}

// short cuts a commit's hash to what people tell each other.
func short(hash string) string {
	const length = 12
	if len(hash) > length {
		return hash[:length]
	}
	return hash
}

func (c *cli) printFailing(s *api.Status) {
	if len(s.Failing) == 0 {
		return
	}
	fmt.Fprintln(c.stdout, "\nFailing workflows:")
	for i := range s.Failing {
		f := &s.Failing[i]
		fmt.Fprintf(c.stdout, "  %s %s: %s in a row since %s, first with %s\n", f.Project.Name, f.Workflow.Name,
			counted(f.Failures, "failure"), localTimeFrom(f.Since, s.Now.Time), short(f.Revision))
	}
}

func (c *cli) printNext(s *api.Status) {
	if len(s.NextRuns) == 0 {
		return
	}
	fmt.Fprintln(c.stdout, "\nNext runs:")
	for i := range s.NextRuns {
		n := &s.NextRuns[i]
		fmt.Fprintf(c.stdout, "  %s: %s %s, session %s\n", localTimeFrom(n.NextRunTime, s.Now.Time),
			n.Project.Name, n.Workflow.Name, n.NextScheduleTime.Format(clockFormat))
	}
}
