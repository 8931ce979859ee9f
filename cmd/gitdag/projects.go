package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// projectsCommand lists projects.
func (c *cli) projectsCommand() *cobra.Command {
	var o clientOptions
	var filter client.Filter
	cmd := &cobra.Command{
		Use:               "projects [NAME]",
		Aliases:           []string{"project"},
		Short:             "Lists the projects of the agent, or shows one",
		Example:           "  gitdag projects\n  gitdag projects etl\n  gitdag projects --name et",
		Args:              arguments(cobra.MaximumNArgs(1)),
		ValidArgsFunction: c.completing(&o, projectNames),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		if err := checkPage(cmd.Flags(), "count", filter.Size); err != nil {
			return err
		}
		if len(args) == 1 {
			project, err := agent.Project(ctx, args[0])
			if err != nil {
				return err
			}
			return c.result(&o, project, func() { c.printProjects([]api.Project{project}) })
		}
		list, err := agent.Projects(ctx, filter)
		if err != nil {
			return err
		}
		return c.result(&o, list, func() { c.printProjects(list) })
	})
	filterFlags(cmd.Flags(), &filter)
	return cmd
}

// filterFlags adds the options that select a part of a list by ids and names.
func filterFlags(f *pflag.FlagSet, filter *client.Filter) {
	f.IntVar(&filter.Size, "count", 0, "list the first `N` only (default: all)")
	f.Uint64Var((*uint64)(&filter.LastID), "last-id", 0, "list what follows the one of this `ID`")
	f.StringVar(&filter.Pattern, "name", "", "list those whose names contain this `PATTERN`")
}

func (c *cli) printProjects(list []api.Project) {
	fmt.Fprintln(c.stdout, "Projects")
	for i := range list {
		p := &list[i]
		block(c.stdout, "  ",
			field{"name", p.Name},
			field{"id", p.ID},
			field{"revision", p.Revision},
			field{"archive type", p.ArchiveType},
			field{"project created at", localTime(p.CreatedAt)},
			field{"revision updated at", localTime(p.UpdatedAt)})
	}
	c.hint("gitdag workflows PROJECT lists the workflows of one")
}

// printUploaded shows what a push has made.
func (c *cli) printUploaded(p *api.Project) {
	fmt.Fprintln(c.stdout, "Uploaded:")
	block(c.stdout, "  ",
		field{"id", p.ID},
		field{"name", p.Name},
		field{"revision", p.Revision},
		field{"archive type", p.ArchiveType},
		field{"project created at", p.CreatedAt.UTC().Format(time.RFC3339)},
		field{"revision updated at", p.UpdatedAt.UTC().Format(time.RFC3339)})
	c.hint("gitdag workflows %s lists its workflows", quote(p.Name))
}
