package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"

	"gitdag/engine/command"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// errRevoked ends a task whose attempt was killed.
var errRevoked = errors.New("the attempt was killed")

// workers run the leased tasks, each in a goroutine of its own: the core
// bounds how many there are.
type workers struct {
	e       *Engine
	group   sync.WaitGroup
	mu      sync.Mutex
	running map[flow.Lease]context.CancelCauseFunc
}

func newWorkers(e *Engine) *workers {
	return &workers{e: e, running: map[flow.Lease]context.CancelCauseFunc{}}
}

// start runs a leased task. It may prepare at once; what reaches outside waits
// until the lease is durable.
func (w *workers) start(d *flow.Dispatch, durable <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(w.e.ctx)
	w.mu.Lock()
	w.running[d.Lease] = cancel
	w.mu.Unlock()
	w.group.Add(1)
	go func() {
		defer w.group.Done()
		defer func() {
			w.mu.Lock()
			delete(w.running, d.Lease)
			w.mu.Unlock()
			cancel(nil)
		}()
		defer w.tellLasting(ctx, d.Lease)()
		r := &run{e: w.e, d: d, durable: durable}
		in := r.outcome(ctx)
		if in == nil || errors.Is(context.Cause(ctx), errStopping) {
			return // the execution is lost, and runs again after a restart
		}
		_, err := w.e.report(context.WithoutCancel(ctx), in)
		if err == nil || errors.Is(err, flow.ErrStaleLease) {
			for _, f := range r.later {
				f()
			}
			if w.e.options.Survived[d.Lease] && w.e.options.Resumed != nil {
				w.e.options.Resumed(d.Lease)
			}
		}
		if err != nil && !errors.Is(err, flow.ErrStaleLease) && w.e.Err() == nil {
			w.e.log.Error("the result of a task was not accepted", "task", d.FullName, "err", err)
		}
	}()
}

// pollLasts is how long a poll may take before it is shown as an execution.
const pollLasts = 10 * time.Second

// tellLasting has the core told of a poll that takes its time, until ctx is done
// or stop is called.
func (w *workers) tellLasting(ctx context.Context, l flow.Lease) (stop func()) {
	if l.Poll == 0 {
		return func() {}
	}
	timer := time.AfterFunc(pollLasts, func() {
		// One that has ended meanwhile is refused, and rightly.
		_, _ = w.e.report(ctx, &flow.PollLasts{Lease: l})
	})
	return func() { timer.Stop() }
}

// revoke ends a running task.
func (w *workers) revoke(l flow.Lease) {
	w.mu.Lock()
	cancel := w.running[l]
	w.mu.Unlock()
	if cancel != nil {
		cancel(errRevoked)
	}
}

// drain waits until no task runs, or ctx is done.
func (w *workers) drain(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		w.group.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// run is one execution.
type run struct {
	e       *Engine
	d       *flow.Dispatch
	durable <-chan struct{}
	retry   flow.Retry // covers the operator's own failure
	again   flow.Retry // covers the failure of its subtasks
	typ     string     // of the operator, once it is known
	mask    *secret.Known
	secrets operator.Secrets // of which the mask learns
	later   []func()         // to be done when the result is durable
}

// outcome runs the task and returns what the core is to be told; nil if there
// is no result.
func (r *run) outcome(ctx context.Context) (in flow.Input) {
	r.mask, r.secrets = r.e.mask(ctx, &r.d.View.Attempt)
	defer func() {
		if p := recover(); p != nil {
			r.e.log.Error("an operator panicked", "task", r.d.FullName, "err", r.mask.Mask(fmt.Sprint(p)), "stack", r.mask.Mask(string(debug.Stack())))
			in = r.failed(&operator.Error{Message: fmt.Sprint(p), Kind: "panic"}, flow.Retry{})
		}
	}()
	if !r.d.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, r.d.Deadline, errTimeout)
		defer cancel()
	}
	result, err := r.execute(ctx)
	if errors.Is(context.Cause(ctx), errTimeout) && err != nil {
		ttl := r.d.Deadline.Sub(r.d.Leased)
		err = &operator.Error{Message: fmt.Sprintf("Task execution timeout after %v", ttl.Round(time.Second)), Kind: "timeout"}
	}
	var poll *operator.Poll
	switch {
	case errors.As(err, &poll):
		verr := withholdState(r.mask, poll.State)
		var state flow.Value
		if verr == nil {
			state, verr = r.e.keepValue(poll.State)
		}
		if verr != nil {
			return r.failed(verr, flow.Retry{})
		}
		return &flow.TaskPostponed{Lease: r.d.Lease, After: poll.After, State: state, Awaits: poll.Attempt}
	case err != nil:
		return r.failed(err, r.retry)
	}
	return r.succeeded(result)
}

var errTimeout = errors.New("the task ran out of time")

func (r *run) failed(err error, retry flow.Retry) flow.Input {
	err = maskError(r.mask, err)
	r.e.log.Debug("task failed", "task", r.d.FullName, "err", err)
	v, verr := r.e.keepValue(r.failure(err))
	if verr != nil {
		v = flow.Value{Map: params.Of("message", err.Error())}
	}
	return &flow.TaskFailed{Lease: r.d.Lease, Failure: v, Retry: retry}
}

func (r *run) succeeded(result *operator.Result) flow.Input {
	if result == nil {
		result = &operator.Result{}
	}
	if err := withhold(r.mask, result); err != nil {
		return r.failed(err, flow.Retry{})
	}
	in := &flow.TaskSucceeded{Lease: r.d.Lease, Retry: r.again, Message: r.mask.Mask(result.Notify)}
	if r.silent() {
		in.Message = ""
	}
	broken := func(err error) flow.Input {
		v := flow.Value{Map: r.failure(maskError(r.mask, configError(err)))}
		return &flow.TaskSucceeded{Lease: r.d.Lease, Broken: &v}
	}
	var err error
	if in.Sub, err = r.compile("^sub", result.Subtasks); err != nil {
		return broken(err)
	}
	if in.Check, err = r.compile("^check", mapAt(r.d.Node.Config, "_check")); err != nil {
		return broken(err)
	}
	if in.Result.Export, err = r.e.keepValue(result.Export); err == nil {
		in.Result.Store, err = r.e.keepValue(result.Store)
	}
	if err != nil {
		return r.failed(err, flow.Retry{})
	}
	in.Result.Reset = result.Reset
	return in
}

func (r *run) compile(name string, config *params.Map) (*flow.Tree, error) {
	if config.Len() == 0 {
		return nil, nil
	}
	t, err := dig.Compile(name, config)
	if err != nil {
		return nil, err
	}
	return r.e.keepTree(t)
}

func configError(err error) *operator.Error {
	var e *operator.Error
	if errors.As(err, &e) {
		return e
	}
	return &operator.Error{Message: err.Error(), Kind: "config"}
}

// silent tells that the row only stands for an alert that the core raises.
func (r *run) silent() bool {
	return r.d.Kind == flow.AlertBlock || (r.d.Kind == flow.SLABlock && r.d.Node.Name == "^sla^alert")
}

// execute evaluates the task's parameters, finds its operator and runs it.
func (r *run) execute(ctx context.Context) (*operator.Result, error) {
	e, v := r.e, r.d.View
	if e.options.Skip != nil {
		if result, done := e.options.Skip(r.d); done {
			return result, nil
		}
	}
	zone, err := dig.Zone(v.Attempt.Timezone)
	if err != nil {
		return nil, configError(err)
	}
	own := local(r.d.Node.Config)
	evaluated, err := e.options.Evaluator.Evaluate(ctx, expr.Scope{
		Outer: e.assemble(v, r.d.FullName, zone), Local: own, Zone: zone,
	})
	if err != nil {
		return nil, configError(err)
	}
	typ, config, localConfig, err := operator.Select(evaluated, own)
	if err != nil {
		return nil, err
	}
	r.typ = typ
	entry, known := e.options.Operators.Lookup(typ)
	if err := r.readRetries(config, entry.Retries || !known); err != nil {
		return nil, err
	}
	if !entry.Pure {
		select {
		case <-r.durable:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	task, log, done := r.task(typ, config, localConfig, zone)
	defer done()
	call := &Call{Dispatch: r.d, Task: task, Silent: r.silent(), Mask: r.mask.Mask, Survived: e.options.Survived[r.d.Lease]}
	around := e.options.Around
	if around == nil {
		around = func(ctx context.Context, _ *Call, run Runner) (*operator.Result, error) { return run(ctx) }
	}
	return around(ctx, call, func(ctx context.Context) (result *operator.Result, err error) {
		switch {
		case typ == "":
			return nil, nil
		case known:
			result, err = entry.Operator.Run(ctx, task)
		default:
			result, err = r.program(ctx, task)
		}
		_ = log.flush() // its error is that of closing, too
		return result, maskError(r.mask, err)
	})
}

// program runs an operator that is not built in. Whether there is one is known only
// now; what does not exist is not repeated.
func (r *run) program(ctx context.Context, t *operator.Task) (*operator.Result, error) {
	found, err := r.e.options.Operators.Program(ctx, t)
	if err == nil && found == nil {
		r.retry = flow.Retry{}
		err = operator.Missing(t)
	}
	if err != nil {
		return nil, err
	}
	return found.Run(ctx, t)
}

// readRetries finds the repetitions that apply: for the operator's own failure
// any visible `_retry`, for that of its subtasks only its own (language.md
// 4.7). An operator that reads `_retry` fails on an invalid one.
func (r *run) readRetries(config *params.Map, reads bool) error {
	raw, ok := config.Lookup("_retry")
	if !ok {
		return nil
	}
	retry, err := flow.ParseRetry(raw)
	switch {
	case err != nil && reads:
		return configError(err)
	case err != nil:
		r.e.log.Warn("an invalid _retry is ignored", "task", r.d.FullName, "err", maskError(r.mask, err))
		return nil
	case reads:
		r.retry = retry
	}
	if r.d.Node.Config.Has("_retry") || r.d.Node.Export.Has("_retry") {
		r.again = retry
	}
	return nil
}

// task makes what the operator sees; done releases it.
func (r *run) task(typ string, config, localConfig *params.Map, zone *time.Location) (t *operator.Task, log *maskedLog, done func()) {
	e, d := r.e, r.d
	a := &d.View.Attempt
	counted := &countedLog{TaskLog: e.options.Logs.Begin(a.ID, d.Lease.Task, d.Lease.Execution, d.FullName, e.now())}
	log = newMaskedLog(counted, r.mask)
	t = &operator.Task{
		FullName: d.FullName, ID: d.Lease.Task, Execution: d.Lease.Execution, Project: a.Project,
		Key:  fmt.Sprintf("%s/%d/%d", d.View.Session.UUID, a.ID, d.Lease.Task),
		Type: typ, Config: config, Local: localConfig, State: d.State, Polls: d.Lease.Poll,
		Zone: zone, Now: e.now(), Log: log, Files: callFiles{}, Evaluator: e.options.Evaluator,
		Workspace: &taskWorkspace{e: e, attempt: a.ID, checkout: a.Checkout, config: config},
		Commands:  maskedCommands{e.options.Commands, r.mask},
		Environ:   append(e.options.Environ[:len(e.options.Environ):len(e.options.Environ)], command.Marker(e.options.DataID, d.Lease.Task, d.Lease.Execution)),
		Secrets:   r.secrets,
		Sessions:  taskSessions{e, a.ProjectName}, Unique: uuid.NewString(),
		MaxTasks: e.maxTasks(),
	}
	if e.options.Journal != nil {
		t.Lines = func() int {
			_ = log.flush() // its error is that of closing, too
			return int(counted.lines.Load())
		}
		t.Later = func(f func()) { r.later = append(r.later, f) }
	}
	if e.options.Printed != nil {
		t.Printed = func() (io.ReadCloser, error) { return e.options.Printed(a.ID, d.Lease.Task, d.Lease.Execution) }
	}
	return t, log, func() {
		if err := log.Close(); err != nil {
			e.log.Error("close task log", "task", d.FullName, "err", err)
		}
	}
}

// maxTasks is the limit that operators generate tasks by.
func (e *Engine) maxTasks() int {
	if n := e.options.Config.TasksPerAttempt; n > 0 {
		return n
	}
	return flow.DefaultTasks
}
