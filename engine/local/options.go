package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gitdag/engine"
	"gitdag/engine/dig"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// DefaultSlots is how many tasks run at a time where nobody says otherwise: a
// bound of the machine, not of the workflow.
const DefaultSlots = 1000

// Options say what is run and how. Dir, Project, Workflow, Stdout, Console,
// Operators and Secrets must be set.
type Options struct {
	// Dir is the project's directory, Project what was loaded from it.
	Dir     string
	Project *dig.Project
	// Workflow is a workflow's name, or its file's relative to Dir.
	Workflow string
	// Task is a pattern: that task runs alone with what is below it; empty for
	// the whole workflow.
	Task string

	// Session is an expression: last, daily, hourly, schedule, or a local time.
	// Empty means last.
	Session string
	// Rerun ignores saved states. Start ignores those of a task and of all that
	// does not precede it; Goal does too, and leaves out what is neither before
	// the task nor below it; End leaves out the task and all that does not
	// precede it. The three are patterns; empty for none.
	Rerun            bool
	Start, Goal, End string

	// SaveDir holds the states, relative to Dir; empty means .digdag/status.
	SaveDir string
	// NoSave neither writes states nor uses them, but for what precedes Start:
	// that is skipped, with its saved result or without one (L54).
	NoSave bool
	// DryRun runs control-flow operators only, and saves nothing.
	DryRun bool
	// ShowParams logs the parameters of each task.
	ShowParams bool

	// Slots bounds the tasks that run at a time; 0 means DefaultSlots.
	Slots int
	// TasksPerAttempt bounds the tasks; 0 means the engine's default.
	TasksPerAttempt int
	// TaskLog is a directory for the tasks' logs; empty for none.
	TaskLog string

	// Params are the attempt's parameters.
	Params    *params.Map
	Operators *operator.Registry
	Secrets   operator.Secrets
	// Environ is what the processes of tasks inherit.
	Environ []string
	// Stdout takes what tasks print. The processes of tasks write straight to
	// it if it is a file.
	Stdout  io.Writer
	Console *Console
	// Watcher shows the run, and takes what tasks print instead of Stdout; nil
	// for none.
	Watcher Watcher
	// Deliver sends an alert; Run waits for it. Nil drops alerts.
	Deliver func(ctx context.Context, d *flow.Deliver) engine.Delivery
	// Grace lies between SIGTERM and SIGKILL when a run is interrupted; 0 means
	// 10 seconds.
	Grace time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Validate tells whether the options contradict each other or cannot be read.
func (o *Options) Validate() error {
	conflict := func(a, b string) error { return fmt.Errorf("%s and %s can't be used together", a, b) }
	switch {
	case o.Start != "" && o.Goal != "":
		return conflict("--start", "--goal")
	case o.Goal != "" && o.End != "":
		return conflict("--goal", "--end")
	case o.Rerun && o.Start != "":
		return conflict("--rerun", "--start")
	case o.Rerun && o.Goal != "":
		return conflict("--rerun", "--goal")
	case o.Slots < 0:
		return errors.New("--max-task-threads must not be negative")
	}
	for _, pattern := range []string{o.Task, o.Start, o.Goal, o.End} {
		if pattern != "" {
			if _, err := parsePattern(pattern); err != nil {
				return err
			}
		}
	}
	return checkSession(o.Session)
}

// UnknownWorkflow is the error for a workflow that the project does not have.
type UnknownWorkflow struct {
	Name, Dir string
}

func (e *UnknownWorkflow) Error() string {
	return fmt.Sprintf("workflow %q does not exist in %s", e.Name, e.Dir)
}

// Hint says what the user can do.
func (e *UnknownWorkflow) Hint() string {
	return "workflows are the .dig files directly in the project's directory: change to it, or name it with --project DIR"
}

// FindWorkflow returns the workflow of a name, or of a file's path relative to
// dir.
func FindWorkflow(p *dig.Project, dir, name string) (*dig.Workflow, error) {
	found := name
	if strings.HasSuffix(name, ".dig") {
		found = strings.TrimSuffix(filepath.ToSlash(filepath.Clean(name)), ".dig")
		if rel, err := filepath.Rel(dir, name); filepath.IsAbs(name) && err == nil {
			found = strings.TrimSuffix(filepath.ToSlash(rel), ".dig")
		}
	}
	if w := p.Workflow(found); w != nil {
		return w, nil
	}
	return nil, &UnknownWorkflow{Name: name, Dir: dir}
}

func (o *Options) saveDir() string {
	switch {
	case o.SaveDir == "":
		return filepath.Join(o.Dir, ".digdag", "status")
	case filepath.IsAbs(o.SaveDir):
		return o.SaveDir
	}
	return filepath.Join(o.Dir, o.SaveDir)
}

// shown is a path as messages show it: relative if it is below the working
// directory.
func shown(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
