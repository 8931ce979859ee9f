package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/spf13/cobra"

	"gitdag/engine/dig"
)

//go:embed templates
var templates embed.FS

// ignored is what a new project keeps out of its repository.
const ignored = ".digdag\n.digdag-wrapper\n.gitdag\n*.pyc\n"

// templateFile is a file of a new project, beside its workflow.
type templateFile struct{ path, template string }

// taskName is what the name of a workflow, as that of its root task, consists of.
var taskName = regexp.MustCompile("^[A-Za-z0-9_=\\[\\]{}%&@`,.^-]+$")

// projectTemplates are the kinds of new projects; the workflow of each is the
// template of its name.
func projectTemplates() map[string][]templateFile {
	return map[string][]templateFile{
		"echo":       nil,
		"sh":         {{"scripts/task.sh", "task.sh"}},
		"ruby":       {{"scripts/tasks.rb", "tasks.rb"}},
		"python":     {{"scripts/__init__.py", ""}, {"scripts/tasks.py", "tasks.py"}},
		"td":         {{"queries/count.sql", "td.sql"}},
		"postgresql": {{"queries/count.sql", "postgresql.sql"}},
	}
}

// initCommand makes a project to begin with (language.md 9.4).
func (c *cli) initCommand() *cobra.Command {
	var o commonOptions
	var typ string
	cmd := &cobra.Command{
		Use:     "init DIR",
		Aliases: []string{"new"},
		Short:   "Makes a sample project",
		Example: "  gitdag init my_flow\n  gitdag init -t sh my_flow",
		Args:    arguments(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			files, ok := projectTemplates()[typ]
			if !ok {
				return usagef("unknown type %q: it must be echo, sh, ruby, python, td or postgresql", typ)
			}
			return c.initProject(args[0], typ, files)
		},
	}
	o.add(cmd.Flags())
	cmd.Flags().StringVarP(&typ, "type", "t", "echo", "`TYPE` of the sample: echo, sh, ruby, python, td or postgresql")
	return cmd
}

func (c *cli) initProject(target, typ string, files []templateFile) error {
	dir, err := filepath.Abs(target)
	if err != nil {
		return fmt.Errorf("make a project: %w", err)
	}
	name := filepath.Base(dir)
	if err := dig.CheckName(name); err != nil {
		return fmt.Errorf("the directory's name becomes the workflow's: %w", err)
	}
	if !taskName.MatchString(name) {
		return fmt.Errorf("the directory's name becomes the workflow's: %q has a character that no workflow's name may have", name)
	}
	workflow := name + ".dig"
	if _, err := os.Lstat(filepath.Join(dir, workflow)); err == nil {
		fmt.Fprintf(c.stdout, "%s exists already: nothing is changed\n", filepath.Join(target, workflow))
		return nil
	}
	files = append([]templateFile{{workflow, typ + ".dig"}}, files...)
	for _, f := range files {
		var text []byte
		if f.template != "" {
			if text, err = templates.ReadFile("templates/" + f.template); err != nil {
				return fmt.Errorf("make a project: %w", err)
			}
		}
		if err := c.create(target, f.path, text); err != nil {
			return err
		}
	}
	if err := c.create(target, ".gitignore", []byte(ignored)); err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "Done. Next: `cd %s` and `gitdag run %s`\n", target, workflow)
	return nil
}

// create writes a file of a new project, and leaves one alone that exists.
func (c *cli) create(target, path string, text []byte) error {
	file := filepath.Join(target, path)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make a project: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make a project: %w", err)
	}
	fmt.Fprintf(c.stdout, "Creating %s\n", file)
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("make a project: %w", err)
	}
	return nil
}
