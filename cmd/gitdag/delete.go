package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gitdag/agent/client"
)

// deleteCommand deletes a project that was pushed.
func (c *cli) deleteCommand() *cobra.Command {
	var o clientOptions
	var force bool
	cmd := &cobra.Command{
		Use:               "delete PROJECT",
		Short:             "Deletes a project that was pushed",
		Long:              "Deletes a project that was pushed, and its schedules. What has run stays to be seen, what runs goes on.",
		Example:           "  gitdag delete etl\n  gitdag delete etl --force",
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: c.completing(&o, projectNames),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		project, err := agent.Project(ctx, args[0])
		if err != nil {
			return err
		}
		to := c.stdout
		if o.json {
			to = c.stderr
		}
		fmt.Fprintln(to, "Project:")
		block(to, "  ",
			field{"id", project.ID},
			field{"name", project.Name},
			field{"latest revision", project.Revision},
			field{"created at", localTime(project.CreatedAt)},
			field{"last updated at", localTime(project.UpdatedAt)})
		if !force {
			if err := c.confirm(ctx, "Delete this project? [y/N]: "); err != nil {
				return err
			}
		}
		deleted, err := agent.DeleteProject(ctx, project.ID)
		if err != nil {
			return err
		}
		return c.result(&o, deleted, func() { fmt.Fprintf(c.stderr, "Project %s is deleted.\n", project.Name) })
	})
	cmd.Flags().BoolVar(&force, "force", false, "do not ask")
	return cmd
}

// confirm asks a question; what is not a yes is an error.
func (c *cli) confirm(ctx context.Context, question string) error {
	fmt.Fprint(c.stderr, question)
	type answer struct {
		text string
		err  error
	}
	// An interrupt does not end the read: the process does, soon after.
	answers := make(chan answer, 1)
	go func() {
		text, err := bufio.NewReader(c.stdin).ReadString('\n')
		answers <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.stderr)
		return &exitError{130}
	case a := <-answers:
		switch {
		case a.err != nil && !errors.Is(a.err, io.EOF):
			return fmt.Errorf("read the answer: %w", a.err)
		case !strings.HasSuffix(a.text, "\n"):
			fmt.Fprintln(c.stderr)
		}
		switch strings.ToLower(strings.TrimSpace(a.text)) {
		case "y", "yes":
			return nil
		}
		return errors.New("canceled")
	}
}
