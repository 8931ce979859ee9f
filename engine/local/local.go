package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"gitdag/engine"
	"gitdag/engine/command"
	"gitdag/engine/command/docker"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
)

// projectName is what a local project is called.
const projectName = "default"

// Report is what came of a run.
type Report struct {
	Succeeded bool
	// Interrupted tells that the context ended before the workflow did.
	Interrupted bool
	// Failed are the tasks that failed themselves, in the order in which they
	// were made; of a task that ran several times only its last failure.
	Failed []Failure
	// SavedIn is the directory of the session's states as messages show it;
	// empty if none are kept.
	SavedIn string
}

// Failure is a task with its error.
type Failure struct {
	Task, Message string
}

// runner is one run.
type runner struct {
	options   *Options
	console   *Console
	workflow  *dig.Workflow
	session   time.Time
	selection *selection
	states    *states

	mu      sync.Mutex
	results map[uint64]*operator.Result // of tasks that have not settled yet
	partial map[string]bool             // tasks that were left out, or have one that was below them
	logged  map[flow.Lease]bool         // failures
	record  *flow.Record                // of the main attempt, once it is over
	records map[uint64]*flow.Record     // of all attempts that are over
	alerts  int                         // not delivered yet
	over    chan struct{}               // closed when there is nothing left to wait for
	ended   bool
}

// Run runs a workflow and returns when it is over and its alerts are
// delivered, or when ctx has ended and the processes of its tasks with it.
// The error is for what kept it from running at all.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the project: %w", err)
	}
	o.Dir = dir
	r := &runner{
		options: &o, console: o.Console,
		records: map[uint64]*flow.Record{},
		results: map[uint64]*operator.Result{}, partial: map[string]bool{}, logged: map[flow.Lease]bool{},
		over: make(chan struct{}),
	}
	project, err := r.prepare()
	if err != nil {
		return nil, err
	}
	return r.run(ctx, project)
}

// prepare settles what is run: the tree, the session, the states. It returns
// the project as the engine gets it.
func (r *runner) prepare() (*dig.Project, error) {
	o := r.options
	w, err := FindWorkflow(o.Project, o.Dir, o.Workflow)
	if err != nil {
		return nil, err
	}
	if o.Task != "" {
		target, err := match(fullNames(w.Tree), o.Task)
		if err != nil {
			return nil, err
		}
		part := *w
		if part.Tree, err = alone(w.Tree, target); err != nil {
			return nil, err
		}
		w = &part
	}
	r.workflow = w
	if r.selection, err = o.choose(w.Tree); err != nil {
		return nil, err
	}
	var note string
	if r.session, note, err = session(o.Session, w, o.saveDir(), o.Now()); err != nil {
		return nil, err
	}
	if note != "" {
		r.console.Warn("%s: %s", note, r.session.Format("2006-01-02T15:04:05-07:00"))
	}
	read := !o.NoSave || o.Start != ""
	r.states, err = openStates(o.saveDir(), r.session, read, !o.NoSave && !o.DryRun)
	return unscheduled(o.Project, w), err
}

// unscheduled is the project with w in it, whose schedules nobody arms.
func unscheduled(p *dig.Project, w *dig.Workflow) *dig.Project {
	q := &dig.Project{}
	for _, other := range p.Workflows {
		c := *other
		if c.Name == w.Name {
			c = *w
		}
		c.Schedule, c.ScheduleConfig = nil, nil
		q.Workflows = append(q.Workflows, &c)
	}
	return q
}

func (r *runner) run(ctx context.Context, project *dig.Project) (*Report, error) {
	o := r.options
	evaluator := expr.New(expr.Options{})
	defer evaluator.Close()
	workspace := &directory{dir: o.Dir}
	defer workspace.close()
	e := engine.New(r.engineOptions(evaluator, workspace))
	// What runs must not end with ctx: Stop ends it, in order.
	if err := e.Start(ctx); err != nil {
		return nil, err
	}
	started := o.Now()
	defer func() { e.Stop(context.WithoutCancel(ctx)) }()
	err := e.Deploy(ctx, &engine.Deployment{Repo: projectName, Projects: []engine.Project{{
		Name: projectName, Content: project, Revision: started.UTC().Format("2006-01-02T15:04:05Z"),
	}}})
	if err != nil {
		return interrupted(ctx, err)
	}
	if o.NoSave {
		r.console.Info("states are not saved")
	} else {
		r.console.Info("states are saved in %s", shown(r.states.dir))
	}
	r.console.Info("starting a new session: project %s, workflow %s, session time %s",
		projectName, r.workflow.Name, r.session.Format("2006-01-02T15:04:05-07:00"))
	if o.Watcher != nil {
		o.Watcher.Start(r.workflow.Tree)
	}
	_, err = e.StartAttempt(ctx, engine.StartRequest{
		Project: projectName, Workflow: r.workflow.Name, Session: r.session, Params: o.Params,
	})
	if err != nil {
		return interrupted(ctx, err)
	}
	return r.wait(ctx, e)
}

// interrupted returns what came of a run that could not begin: an error, unless
// it is for the end of ctx.
func interrupted(ctx context.Context, err error) (*Report, error) {
	if ctx.Err() != nil {
		return &Report{Interrupted: true}, nil
	}
	return nil, err
}

func (r *runner) engineOptions(evaluator *expr.Evaluator, workspace *directory) engine.Options {
	o := r.options
	slots := o.Slots
	if slots == 0 {
		slots = DefaultSlots
	}
	l := &logs{stdout: o.Stdout, watcher: o.Watcher}
	if o.TaskLog != "" {
		l.dir = filepath.Join(o.TaskLog, logDir(r.workflow.Name, r.session, o.Now()))
	}
	return engine.Options{
		Config:  flow.Config{Slots: slots, TasksPerAttempt: o.TasksPerAttempt},
		Objects: &engine.MemoryObjects{}, History: (*history)(r),
		Operators: o.Operators, Workspaces: workspace, Logs: l,
		Commands: docker.New(docker.Options{Host: command.Local{Grace: o.Grace}, Grace: o.Grace, Environ: o.Environ, Log: o.Console.logger()}),
		Secrets:  func(*flow.AttemptFacts) operator.Secrets { return o.Secrets }, Evaluator: evaluator,
		Environ: o.Environ, DataID: "run-" + strconv.Itoa(os.Getpid()),
		Deliver: o.Deliver, Skip: r.skip, Around: r.around, Narrate: r.narrate,
		Log: o.Console.logger(), Now: o.Now,
	}
}

// logDir is where an attempt's logs lie below the directory of all logs: as on
// a server.
func logDir(workflow string, session, now time.Time) string {
	return filepath.Join(now.UTC().Format("2006-01-02"),
		"0."+projectName+"@"+workflow+"@"+session.Format(sessionDir))
}

// wait waits for the end of the attempt and of its alerts, or of ctx.
func (r *runner) wait(ctx context.Context, e *engine.Engine) (*Report, error) {
	select {
	case <-r.over:
	case <-e.Done():
		return nil, e.Err()
	case <-ctx.Done():
		e.Stop(ctx) // ctx has ended: nothing is waited for
	}
	report := &Report{Interrupted: true}
	if r.states.write {
		report.SavedIn = shown(r.states.dir)
	}
	r.mu.Lock()
	record := r.record
	r.mu.Unlock()
	if record != nil {
		report.Interrupted, report.Succeeded = false, record.Succeeded
		report.Failed = failures(record)
	}
	return report, nil
}

// waitFor changes what is waited for.
func (r *runner) waitFor(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	if r.record != nil && (r.alerts == 0 || r.options.Deliver == nil) && !r.ended {
		r.ended = true
		close(r.over)
	}
}

// failures lists the tasks of a failed attempt that are to blame. Only the last
// row of a name counts: an earlier one has been repeated.
func failures(record *flow.Record) []Failure {
	if record.Succeeded {
		return nil
	}
	last := map[string]int{}
	for i := range record.Tasks {
		last[record.Tasks[i].FullName] = i
	}
	var list []Failure
	for i := range record.Tasks {
		row := &record.Tasks[i]
		if last[row.FullName] == i && row.State.Failed() && row.Error.Len() > 0 {
			list = append(list, Failure{Task: row.FullName, Message: message(row.Error)})
		}
	}
	return list
}
