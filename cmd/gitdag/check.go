package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitdag/engine/dig"
	"gitdag/engine/local"
	"gitdag/engine/params"
	"gitdag/gitsync"
)

// checkOptions are the command line of `check`.
type checkOptions struct {
	projectOptions
	format string // of the diagnostics; empty for text beside the report
}

// checkCommand validates a project and shows what is in it (language.md 9.3),
// or validates all projects of a directory.
func (c *cli) checkCommand() *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:     "check [WORKFLOW|DIR]",
		Aliases: []string{"c"},
		Short:   "Checks workflows and shows what is wrong with them",
		Long: "Checks a project and shows its workflows and schedules; a WORKFLOW shows that one alone.\n" +
			"Given a directory it checks all projects in it, one line each, as an agent would find them.\n" +
			"The exit status is 1 if there are errors, whatever the warnings.",
		Example: `  gitdag check
  gitdag check daily.dig
  gitdag check .
  gitdag check . --format github`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			if o.format == "" {
				c.banner()
			} else if !slices.Contains(dig.Formats(), dig.Format(o.format)) {
				return usagef("unknown format %q: it must be one of %s", o.format, formats())
			}
			arg := ""
			if len(args) == 1 {
				arg = args[0]
			}
			return c.check(&o, arg)
		},
	}
	cmd.Flags().SortFlags = false
	o.add(cmd.Flags())
	cmd.Flags().StringVar(&o.format, "format", "", "write diagnostics, and nothing else, to standard output: `FORMAT` is "+formats())
	return cmd
}

// formats lists the formats of diagnostics for people.
func formats() string {
	var names []string
	for _, f := range dig.Formats() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

func (c *cli) check(o *checkOptions, arg string) error {
	_, done, err := c.openConsole(&o.commonOptions)
	if err != nil {
		return err
	}
	defer done()
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return err
	}
	given, err := o.loadParams(config)
	if err != nil {
		return err
	}
	if info, err := os.Stat(arg); err == nil && info.IsDir() && o.project == "" {
		return c.checkFolders(o, arg, config)
	}
	return c.checkProject(o, arg, given, config)
}

// checkOne loads a project for all who check: the names of its files are as
// seen from the current directory.
func checkOne(dir string, config properties) (*dig.Project, dig.Diagnostics) {
	types := operators()
	known := func(name string) bool { _, ok := types.Lookup(name); return ok }
	project, diagnostics := dig.Load(dir, dig.Options{Operators: known, Installed: programs(config).Installed})
	for i := range diagnostics {
		diagnostics[i].File = seenFromHere(dir, diagnostics[i].File)
	}
	return project, diagnostics
}

// seenFromHere is the path of a file in dir, relative to the current directory
// where it lies below that.
func seenFromHere(dir, file string) string {
	name := filepath.Join(dir, filepath.FromSlash(file))
	if wd, err := os.Getwd(); err == nil && filepath.IsAbs(name) {
		if rel, err := filepath.Rel(wd, name); err == nil && filepath.IsLocal(rel) {
			name = rel
		}
	}
	return filepath.ToSlash(name)
}

// tell writes the diagnostics where the format wants them.
func (c *cli) tell(o *checkOptions, diagnostics dig.Diagnostics) error {
	if o.format == "" {
		return diagnostics.Write(c.stderr, dig.Text, c.version)
	}
	return diagnostics.Write(c.stdout, dig.Format(o.format), c.version)
}

func (c *cli) checkProject(o *checkOptions, workflow string, given *params.Map, config properties) error {
	dir, _, err := o.dir()
	if err != nil {
		return err
	}
	project, diagnostics := checkOne(dir, config)
	if err := c.tell(o, diagnostics); err != nil {
		return err
	}
	if n := len(diagnostics.Errors()); n > 0 {
		return fmt.Errorf("the project in %s has %s", dir, counted(n, "error"))
	}
	shown := project.Workflows
	if workflow != "" { // L59
		w, err := local.FindWorkflow(project, dir, workflow)
		if err != nil {
			return err
		}
		shown = []*dig.Workflow{w}
	}
	if o.format != "" {
		return nil
	}
	c.show(shown, given, time.Now())
	if len(shown) == 0 {
		fmt.Fprintf(c.stderr, "hint: the projects in the directories below are checked by: gitdag check %s\n", cmp.Or(o.project, "."))
	}
	return nil
}

// checkFolders checks all projects of a directory.
func (c *cli) checkFolders(o *checkOptions, dir string, config properties) error {
	folders, refused, err := gitsync.FindFolders(dir)
	if err != nil {
		return err
	}
	if len(folders)+len(refused) == 0 {
		return fmt.Errorf("there is no project in %s: a project is a directory with a .dig file", dir)
	}
	var all dig.Diagnostics
	for _, d := range refused {
		all = append(all, dig.Diagnostic{
			File: seenFromHere(dir, d.File), Line: d.Line, Column: d.Column, Severity: dig.Severity(d.Severity), Message: d.Message,
		})
	}
	broken := 0
	for _, folder := range folders {
		project, diagnostics := checkOne(filepath.Join(dir, filepath.FromSlash(folder.Path)), config)
		if err := dig.DoubtName(folder.Name); err != nil {
			all = append(all, dig.Diagnostic{File: seenFromHere(dir, folder.Path), Severity: dig.Warning, Message: err.Error()})
		}
		all = append(all, diagnostics...)
		if len(diagnostics.Errors()) > 0 {
			broken++
		}
		if o.format == "" {
			fmt.Fprintf(c.stdout, "%s: %s\n", cmp.Or(folder.Name, folder.Path), summary(project, diagnostics))
		}
	}
	if err := c.tell(o, all); err != nil {
		return err
	}
	switch n := len(all.Errors()); {
	case n == 0:
		return nil
	case broken == 0:
		return errors.New(counted(n, "error"))
	default:
		return fmt.Errorf("%s, in %d of %s", counted(n, "error"), broken, counted(len(folders), "project"))
	}
}

// summary is a project on one line.
func summary(project *dig.Project, diagnostics dig.Diagnostics) string {
	var parts []string
	if n := len(diagnostics.Errors()); n > 0 {
		parts = append(parts, counted(n, "error"))
	} else {
		parts = append(parts, counted(len(project.Workflows), "workflow"))
		scheduled := 0
		for _, w := range project.Workflows {
			if w.Schedule != nil {
				scheduled++
			}
		}
		if scheduled > 0 {
			parts = append(parts, counted(scheduled, "schedule"))
		}
	}
	if n := len(diagnostics.Warnings()); n > 0 {
		parts = append(parts, counted(n, "warning"))
	}
	return strings.Join(parts, ", ")
}

// counted is a number with its noun.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// show prints workflows, parameters and schedules.
func (c *cli) show(workflows []*dig.Workflow, given *params.Map, now time.Time) {
	fmt.Fprintf(c.stdout, "  System default timezone: %s\n\n", c.systemZone())
	fmt.Fprintf(c.stdout, "  Definitions (%d workflows):\n", len(workflows))
	scheduled := 0
	for _, w := range workflows {
		fmt.Fprintf(c.stdout, "    %s (%d tasks)\n", w.Name, len(w.Tree.Nodes))
		for _, name := range required(w.Config, nil) {
			fmt.Fprintf(c.stdout, "      -> %s\n", name)
		}
		if w.Schedule != nil {
			scheduled++
		}
	}
	fmt.Fprintf(c.stdout, "\n  Parameters:\n%s\n", local.YAML(given, "    "))
	fmt.Fprintf(c.stdout, "  Schedules (%d entries):\n", scheduled)
	for _, w := range workflows {
		if w.Schedule == nil {
			continue
		}
		first, _ := w.Schedule.First(now)
		fmt.Fprintf(c.stdout, "    %s:\n%s", w.Name, local.YAML(w.ScheduleConfig, "      "))
		fmt.Fprintf(c.stdout, "      first session time: %s\n", systemTime(first.Session))
		fmt.Fprintf(c.stdout, "      first scheduled to run at: %s (in %s)\n\n", systemTime(first.Run), span(first.Run.Unix()-now.Unix()))
	}
}

func systemTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 -0700") }

// span writes a number of seconds without leading zero units: 2h 0m 3s.
func span(s int64) string {
	s = max(s, 0)
	text := fmt.Sprintf("%ds", s%60)
	if s >= 60 {
		text = fmt.Sprintf("%dm %s", s/60%60, text)
	}
	if s >= 3600 {
		text = fmt.Sprintf("%dh %s", s/3600, text)
	}
	return text
}

// required lists the workflows that a workflow names in a `require>`, each
// once.
func required(v any, found []string) []string {
	switch v := v.(type) {
	case *params.Map:
		for key, value := range v.All() {
			name, isText := params.Text(value)
			if key == "require>" && isText && !strings.Contains(name, "$") && !slices.Contains(found, name) {
				found = append(found, name)
			}
			found = required(value, found)
		}
	case params.List:
		for _, item := range v {
			found = required(item, found)
		}
	}
	return found
}

// systemZone is the name of the machine's time zone.
func (c *cli) systemZone() string {
	if name := strings.TrimPrefix(c.getenv("TZ"), ":"); name != "" {
		return name
	}
	if target, err := os.Readlink("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(filepath.ToSlash(target), "zoneinfo/"); ok {
			return name
		}
	}
	name, _ := time.Now().Zone()
	return name
}
