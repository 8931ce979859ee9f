package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent/api"
	"gitdag/agent/client"
)

// names finds what an argument can be that is begun, given those before it.
type names func(ctx context.Context, agent *client.Client, before []string, begun string) ([]cobra.Completion, error)

// completionTime is how long a person waits for a completion.
const completionTime = time.Second

// completing completes arguments by what the agent knows: the n-th by the n-th
// of these, a file where that is nil. An agent that cannot be asked completes
// nothing.
func (c *cli) completing(o *clientOptions, arguments ...names) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= len(arguments) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		find := arguments[len(args)]
		if find == nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		unasked := *o
		unasked.anyVersion = true
		agent, err := c.connect(&unasked)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		list, err := find(ctx, agent, args, begun)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return list, cobra.ShellCompDirectiveNoFileComp
	}
}

// projectNames asks for one page of names that contain what is begun: a list
// that is longer helps nobody.
func projectNames(ctx context.Context, agent *client.Client, _ []string, begun string) ([]cobra.Completion, error) {
	list, err := agent.Projects(ctx, client.Filter{Page: client.Page{Size: 100}, Pattern: begun})
	return namesOf(list, func(p *api.Project) string { return p.Name }), err
}

func workflowNames(ctx context.Context, agent *client.Client, before []string, _ string) ([]cobra.Completion, error) {
	project, err := agent.Project(ctx, before[0])
	if err != nil {
		return nil, err
	}
	list, err := agent.ProjectWorkflows(ctx, project.ID)
	return namesOf(list, func(w *api.Workflow) string { return w.Name }), err
}

func namesOf[T any](list []T, name func(*T) string) []cobra.Completion {
	all := make([]cobra.Completion, len(list))
	for i := range list {
		all[i] = name(&list[i])
	}
	return all
}

// completeOption completes the value of an option from a fixed list.
func completeOption(cmd *cobra.Command, option string, values ...cobra.Completion) {
	// The one error is that there is no such option.
	_ = cmd.RegisterFlagCompletionFunc(option, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
