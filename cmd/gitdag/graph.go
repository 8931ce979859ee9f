package main

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitdag/engine/dig"
	"gitdag/engine/local"
)

// graphFormats are how a graph is written.
var graphFormats = []string{"text", "mermaid", "dot"}

// graphCommand shows a workflow's tasks and what each waits for.
func (c *cli) graphCommand() *cobra.Command {
	var project, format string
	cmd := &cobra.Command{
		Use:   "graph WORKFLOW[.dig]",
		Short: "Shows the tasks of a workflow and what each of them waits for",
		Long: "Shows the tasks of a workflow and what each of them waits for, those too that loops, conditions,\n" +
			"calls and failures add, as far as the files say. Nothing is run and no ${…} is evaluated.",
		Example: "  gitdag graph daily.dig\n" +
			"  gitdag graph etl/daily.dig --format mermaid\n" +
			"  gitdag graph daily.dig --format dot | dot -Tsvg > daily.svg",
		Args: arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(graphFormats, format) {
				return usagef("unknown format %q: it must be one of %s", format, strings.Join(graphFormats, ", "))
			}
			return c.graph(args[0], project, format)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "write the graph in this `FORMAT`: "+strings.Join(graphFormats, ", "))
	cmd.Flags().StringVar(&project, "project", "", "take the workflow of the project in this `DIR` (default: that of the file)")
	return cmd
}

func (c *cli) graph(workflow, dir, format string) error {
	if dir == "" {
		dir = "."
		if strings.HasSuffix(workflow, ".dig") {
			dir, workflow = filepath.Split(workflow)
			dir = filepath.Clean(dir)
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	project, diagnostics := dig.Load(dir, dig.Options{LooseSchedules: true})
	if project == nil {
		return &projectError{dir, diagnostics.Errors()}
	}
	w, err := local.FindWorkflow(project, dir, workflow)
	if err != nil {
		if slices.Contains(project.Broken, strings.TrimSuffix(workflow, ".dig")) {
			return &projectError{dir, diagnostics.Errors()}
		}
		return err
	}
	root, err := drawWorkflow(dir, w)
	if err != nil {
		return err
	}
	switch format {
	case "mermaid":
		return writeMermaid(c.stdout, root)
	case "dot":
		return writeDot(c.stdout, root)
	}
	return writeTree(c.stdout, root)
}
