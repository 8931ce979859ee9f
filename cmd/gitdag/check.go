package main

import (
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
)

// checkCommand validates a project and shows what is in it (language.md 9.3).
func (c *cli) checkCommand() *cobra.Command {
	var o projectOptions
	cmd := &cobra.Command{
		Use:     "check [WORKFLOW|DIR]",
		Aliases: []string{"c"},
		Short:   "Checks a local project and shows its workflows and schedules",
		Example: `  gitdag check
  gitdag check daily.dig
  gitdag check --project ~/flows`,
		Args: arguments(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			c.banner()
			workflow := ""
			if len(args) == 1 {
				workflow = args[0]
			}
			return c.check(&o, workflow)
		},
	}
	cmd.Flags().SortFlags = false
	o.add(cmd.Flags())
	return cmd
}

func (c *cli) check(o *projectOptions, workflow string) error {
	_, done, err := c.openConsole(&o.commonOptions)
	if err != nil {
		return err
	}
	defer done()
	if info, err := os.Stat(workflow); err == nil && info.IsDir() && o.project == "" {
		o.project, workflow = workflow, ""
	}
	config, err := c.loadConfig(&o.commonOptions)
	if err != nil {
		return err
	}
	given, err := o.loadParams(config)
	if err != nil {
		return err
	}
	dir, _, err := o.dir()
	if err != nil {
		return err
	}
	types := operators()
	known := func(name string) bool { _, ok := types.Lookup(name); return ok }
	project, err := c.loadProject(dir, dig.Options{Operators: known},
		func(d dig.Diagnostic) { fmt.Fprintln(c.stderr, d) })
	if err != nil {
		return err
	}
	shown := project.Workflows
	if workflow != "" { // L59
		w, err := local.FindWorkflow(project, dir, workflow)
		if err != nil {
			return err
		}
		shown = []*dig.Workflow{w}
	}
	c.show(shown, given, time.Now())
	return nil
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
