package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"gitdag/agent/client"
)

// uploadCommand makes an archive a revision of a project.
func (c *cli) uploadCommand() *cobra.Command {
	var o clientOptions
	var revision string
	cmd := &cobra.Command{
		Use:     "upload FILE PROJECT",
		Short:   "Uploads an archive as a new revision of a project",
		Long:    "Uploads an archive, as gitdag archive makes it, as a new revision of a project.",
		Example: "  gitdag archive -o etl.tar.gz && gitdag upload etl.tar.gz etl",
		Args:    arguments(cobra.ExactArgs(2)),
	}
	cmd.ValidArgsFunction = c.completing(&o, nil, projectNames)
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		f, err := os.Open(args[0])
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is no file", args[0])
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		return c.upload(ctx, agent, &o, client.Push{
			Project: args[1], Revision: cmp.Or(revision, uuid.NewString()), Archive: f, Size: info.Size(),
		})
	})
	cmd.Flags().StringVarP(&revision, "revision", "r", "", "`NAME` of the revision (default: a random UUID)")
	return cmd
}
