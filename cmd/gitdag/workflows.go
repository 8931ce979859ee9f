package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
	"gitdag/engine/local"
)

// workflowsCommand lists workflows, or shows the definition of one.
func (c *cli) workflowsCommand() *cobra.Command {
	var o clientOptions
	var filter client.Filter
	cmd := &cobra.Command{
		Use:               "workflows [PROJECT [NAME]]",
		Aliases:           []string{"workflow"},
		Short:             "Lists the workflows of the agent, or shows one",
		Example:           "  gitdag workflows\n  gitdag workflows etl\n  gitdag workflows etl daily",
		Args:              arguments(cobra.MaximumNArgs(2)),
		ValidArgsFunction: c.completing(&o, projectNames, workflowNames),
	}
	c.asking(cmd, &o, func(ctx context.Context, agent *client.Client, args []string) error {
		if err := checkPage(cmd.Flags(), "count", filter.Size); err != nil {
			return err
		}
		if order := filter.Order; order != "" && order != "asc" && order != "desc" {
			return usagef("--order must be asc or desc, not %q", order)
		}
		if len(args) == 2 {
			return c.showDefinition(ctx, agent, &o, args)
		}
		list, err := listWorkflows(ctx, agent, args, filter)
		if err != nil {
			return err
		}
		return c.result(&o, list, func() { c.printWorkflows(list) })
	})
	filterFlags(cmd.Flags(), &filter)
	cmd.Flags().StringVar(&filter.Order, "order", "", "list in this `ORDER` of ids: asc (default) or desc")
	completeOption(cmd, "order", "asc", "desc")
	return cmd
}

func listWorkflows(ctx context.Context, agent *client.Client, args []string, filter client.Filter) ([]api.Workflow, error) {
	if len(args) == 0 {
		return agent.Workflows(ctx, filter)
	}
	project, err := agent.Project(ctx, args[0])
	if err != nil {
		return nil, err
	}
	return agent.ProjectWorkflows(ctx, project.ID)
}

func (c *cli) showDefinition(ctx context.Context, agent *client.Client, o *clientOptions, args []string) error {
	project, err := agent.Project(ctx, args[0])
	if err != nil {
		return err
	}
	workflow, err := agent.Workflow(ctx, reference(&project), args[1], "")
	if err != nil {
		return err
	}
	return c.result(o, workflow, func() { fmt.Fprint(c.stdout, local.YAML(workflow.Config, "")) })
}

func (c *cli) printWorkflows(list []api.Workflow) {
	var project api.ID
	for i := range list {
		w := &list[i]
		if w.Project.ID != project {
			project = w.Project.ID
			fmt.Fprintf(c.stdout, "  %s\n", w.Project.Name)
		}
		fmt.Fprintf(c.stdout, "    %s\n", w.Name)
	}
	fmt.Fprintln(c.stdout)
	c.hint("gitdag workflows PROJECT NAME shows one")
}
