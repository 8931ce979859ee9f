package main

import (
	"github.com/spf13/cobra"

	"gitdag/engine/dig"
	"gitdag/gitsync"
)

// schemaCommand prints what an editor needs to help with our files.
func (c *cli) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [dig|gitdag.yaml]",
		Short: "Prints the JSON Schema of .dig files, or of gitdag.yaml, for editors",
		Long: "Prints the JSON Schema (2020-12) of .dig files, or of gitdag.yaml. An editor that knows YAML then\n" +
			"completes keys and marks mistakes: give it the schema for the files *.dig and allow the tag !include.",
		Example: "  gitdag schema > dig.schema.json\n  gitdag schema gitdag.yaml > gitdag.schema.json",
		Args:    arguments(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			of := "dig"
			if len(args) == 1 {
				of = args[0]
			}
			var text []byte
			var err error
			switch of {
			case "dig", ".dig":
				text, err = dig.Schema(operators().Types())
			case "gitdag.yaml":
				text, err = gitsync.ConfigSchema()
			default:
				return usagef("there is no schema of %q: it must be dig or gitdag.yaml", of)
			}
			if err != nil {
				return err
			}
			_, err = c.stdout.Write(text)
			return err
		},
	}
}
