package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"gitdag/agent/client"
)

// pushOptions are the command line of `push`.
type pushOptions struct {
	clientOptions
	packing
	revision     string
	scheduleFrom string
}

// pushCommand makes the files of a directory a revision of a project.
func (c *cli) pushCommand() *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push PROJECT",
		Short: "Uploads a directory as a new revision of a project",
		Example: `  gitdag push etl
  gitdag push etl --project flows -r "$(git rev-parse HEAD)"
  gitdag push etl --schedule-from "2026-02-01 00:00:00 +0000"`,
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: c.completing(&o.clientOptions, projectNames),
	}
	c.asking(cmd, &o.clientOptions, func(ctx context.Context, agent *client.Client, args []string) error {
		return c.push(ctx, agent, args[0], &o)
	})
	f := cmd.Flags()
	o.packing.add(f)
	f.StringVarP(&o.revision, "revision", "r", "", "`NAME` of the revision (default: a random UUID)")
	f.StringVar(&o.scheduleFrom, "schedule-from", "", "have new and changed schedules begin at this `TIME`: \"yyyy-MM-dd HH:mm:ss +hhmm\" (default: now)")
	return cmd
}

func (c *cli) push(ctx context.Context, agent *client.Client, project string, o *pushOptions) error {
	to := client.Push{Project: project, Revision: cmp.Or(o.revision, uuid.NewString())}
	if o.scheduleFrom != "" {
		from, err := instantOption("schedule-from", o.scheduleFrom)
		if err != nil {
			return err
		}
		to.ScheduleFrom = from
	}
	source, err := c.source(&o.packing)
	if err != nil {
		return err
	}
	f, err := temporaryArchive(source.dir)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := c.pack(f, source, o.json); err != nil {
		return err
	}
	if to.Size, err = f.Seek(0, io.SeekCurrent); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	to.Archive = f
	return c.upload(ctx, agent, &o.clientOptions, to)
}

// temporaryArchive makes a file among the states of a project, which are never
// packed, or, if nothing can be written there, elsewhere.
func temporaryArchive(project string) (*os.File, error) {
	const name = "archive-*.tar.gz"
	dir := filepath.Join(project, ".digdag", "tmp")
	if err := os.MkdirAll(dir, 0o755); err == nil {
		if f, err := os.CreateTemp(dir, name); err == nil {
			return f, nil
		}
	}
	f, err := os.CreateTemp("", name)
	if err != nil {
		return nil, fmt.Errorf("make an archive: %w", err)
	}
	return f, nil
}

// upload sends an archive and shows the revision that it has become.
func (c *cli) upload(ctx context.Context, agent *client.Client, o *clientOptions, to client.Push) error {
	project, err := agent.Push(ctx, to)
	if err != nil {
		return err
	}
	return c.result(o, project, func() { c.printUploaded(&project) })
}
