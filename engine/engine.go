package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// Journal keeps the engine's events. Append returns once the records are
// durable. [journal.Journal] is one.
type Journal interface {
	Append(records [][]byte) (last uint64, err error)
	SnapshotDue() bool
	Snapshot(seq uint64, write func(io.Writer) error) error
}

// ObjectStore keeps what events name by content. Put returns once the object
// is durable. [journal.Objects] is one.
type ObjectStore interface {
	Put(data []byte) (name string, err error)
	PutAll(data [][]byte) (names []string, err error)
	Read(name string) ([]byte, error)
}

// History keeps attempts that are over. Put returns once the record is durable,
// and may be called again with the same one. Past answers nil for a session
// that it does not know.
type History interface {
	Put(ctx context.Context, r *flow.Record) error
	Past(ctx context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error)
	// Record answers nil for an attempt that it does not know.
	Record(ctx context.Context, attempt uint64) (*flow.Record, error)
}

// Workspaces gives attempts their working directories. Its methods are called
// by many goroutines.
type Workspaces interface {
	// Make returns the root of the project in the attempt's workspace, which is
	// made when it is first asked for.
	Make(attempt uint64, checkout string) (string, error)
	// Scratch returns the directory of the attempt's scripts, inside dir, which
	// no other attempt or process uses.
	Scratch(attempt uint64, dir string) (string, error)
	// Settled is called when an attempt is over.
	Settled(attempt uint64, success bool)
}

// Logs gives executions their logs.
type Logs interface {
	Begin(attempt uint64, task uint64, execution int, fullName string, at time.Time) TaskLog
	// Pack is called when an attempt is over; it may be called again.
	Pack(attempt uint64) error
}

// TaskLog is the log of one execution.
type TaskLog interface {
	operator.Log
	io.Closer
}

// Delivery is what became of an alert: delivered where Why is empty; to be
// tried again at Retry; given up where that is zero.
type Delivery struct {
	Thread flow.Thread
	Retry  time.Time
	Why    string
}

// Call is one execution on its way to its operator.
type Call struct {
	Dispatch *flow.Dispatch
	Task     *operator.Task
	// Silent marks the rows that only stand for an alert which the core raises.
	Silent bool
	// Survived tells that an agent which is gone has begun the execution, and its
	// log.
	Survived bool
	// Mask masks the secrets of the project in a text for people. The log and the
	// runner's errors are masked already.
	Mask func(text string) string
}

// Options configure an engine. What has no default must be set.
type Options struct {
	Config flow.Config
	// State is what the journal recovered; nil starts empty. Follower is a
	// second one, rebuilt alike.
	State, Follower *flow.State
	// Journal keeps the engine's events; nil for none, as in a local run, where
	// nothing outlives the process.
	Journal Journal
	// Objects keeps what events name, and what is deployed.
	Objects ObjectStore
	History History
	// Former tells what the newest attempt of the history knows of a definition
	// that the state keeps no more; nil, and an answer of nil, for nothing.
	Former func(ctx context.Context, definition uint64) (*flow.AttemptFacts, error)
	// Before returns the time of a workflow's newest session before another time,
	// as far as the history knows; nil, and a zero time, for none.
	Before func(ctx context.Context, project uint64, workflow string, before time.Time) (time.Time, error)

	Operators  *operator.Registry
	Workspaces Workspaces
	Logs       Logs
	Commands   command.Executor
	Evaluator  *expr.Evaluator
	// Secrets gives the tasks of an attempt their secrets. All values that they have
	// are masked wherever tasks of the project write, as [secret.Masks] tells.
	Secrets func(a *flow.AttemptFacts) operator.Secrets
	// Environ is what the processes of tasks inherit.
	Environ []string
	// DataID names the data directory in the environment of those processes.
	DataID string
	// Survived are the leases of State whose programs go on without the agent that
	// has started them: their operators run once more under the same lease.
	Survived map[flow.Lease]bool
	// Resumed is called when the result of one of Survived is durable; nil for nobody
	// who wants to know.
	Resumed func(flow.Lease)
	// Printed opens what agents that are gone have kept of an execution's output;
	// nil where none can be.
	Printed func(attempt, task uint64, execution int) (io.ReadCloser, error)
	// Params are visible everywhere, below all others.
	Params *params.Map
	// Deliver sends an alert; it may take its time. It is asked again after a
	// restart if the answer was lost.
	Deliver func(ctx context.Context, d *flow.Deliver) Delivery
	// Skip is asked before a task is evaluated: one that is done already succeeds
	// with the result and runs nothing. Nil skips none.
	Skip func(d *flow.Dispatch) (result *operator.Result, done bool)
	// Around runs before and instead of an operator, and may call it; nil calls
	// it.
	Around func(ctx context.Context, c *Call, run Runner) (*operator.Result, error)
	// Narrate tells people what happened: it is called with the events of each
	// batch once they are durable and in the state, in order, from one
	// goroutine, before their effects are performed. It must not keep the state.
	// Nil writes log lines.
	Narrate func(s *flow.State, events []flow.Event)
	Log     *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Runner runs a call's operator.
type Runner func(context.Context) (*operator.Result, error)

// Engine runs attempts. Make one with [New].
type Engine struct {
	options Options
	log     *slog.Logger
	now     func() time.Time
	objects *objects
	workers *workers
	masks   *secret.Masks

	// The owner's.
	state *flow.State
	wake  time.Time

	external, internal chan request
	configs            chan flow.Config
	batches            chan *batch
	written            chan bool // true: the disk is full
	durable            chan *batch
	quit               chan struct{} // closed by Stop
	ended              chan struct{} // closed when the engine has failed
	followed           chan struct{} // closed when the follower goroutine has ended
	full               atomic.Bool

	// The follower's.
	mu           sync.RWMutex
	follower     *flow.State
	snapshotting atomic.Bool

	effects  gate // the effects under way, tasks apart
	ctx      context.Context
	cancel   context.CancelCauseFunc
	sessions sessionLocks
	// answers and archives bound the effects that are no tasks: those that an
	// attempt waits for, and those that nobody does.
	answers, archives chan struct{}

	endOnce sync.Once
	err     error
	stopped sync.Once
}

// New returns an engine that has not begun. The recovered states in the
// options belong to it from now on.
func New(o Options) *Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Secrets == nil {
		o.Secrets = func(*flow.AttemptFacts) operator.Secrets { return nil }
	}
	if o.State == nil {
		o.State, o.Follower = flow.New(o.Config), flow.New(o.Config)
	}
	o.State.Configure(o.Config)
	e := &Engine{
		options: o, log: o.Log, now: o.Now, objects: newObjects(o.Objects, o.Journal == nil),
		state: o.State, follower: o.Follower,
		external: make(chan request), internal: make(chan request),
		configs: make(chan flow.Config), batches: make(chan *batch), written: make(chan bool, 1),
		durable: make(chan *batch, 4), quit: make(chan struct{}), ended: make(chan struct{}),
		masks:    secret.NewMasks(o.Now),
		followed: make(chan struct{}), answers: make(chan struct{}, 64), archives: make(chan struct{}, 8),
	}
	e.workers = newWorkers(e)
	return e
}

// Start begins: what ran when the journal ended is lost and runs again, and
// what the state owes the world is done. The engine works until Stop, or until
// Done is closed.
func (e *Engine) Start(ctx context.Context) error {
	e.ctx, e.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	boot := newBatch()
	out, err := e.state.Step(e.now(), &flow.Boot{Survived: e.options.Survived})
	if err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	e.wake = out.Wake
	for _, ev := range out.Events {
		boot.events = append(boot.events, ev)
		if e.options.Journal != nil {
			line, err := flow.EncodeEvent(ev)
			if err != nil {
				return fmt.Errorf("start engine: %w", err)
			}
			boot.records = append(boot.records, line)
		}
	}
	if err := e.appendRecords(boot); err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	for _, ev := range boot.events {
		e.follower.Apply(ev)
	}
	close(boot.durable)
	owed := e.state.Pending()
	go e.own()
	go e.write()
	go e.follow()
	for _, effect := range owed {
		if d, ok := effect.(*flow.Dispatch); ok {
			e.workers.start(d, boot.durable)
			continue
		}
		e.perform(effect)
	}
	return nil
}

// Done is closed when the engine has failed and cannot go on; Err says why.
func (e *Engine) Done() <-chan struct{} { return e.ended }

// Err returns why the engine failed; nil while it has not.
func (e *Engine) Err() error {
	select {
	case <-e.ended:
		return e.err
	default:
		return nil
	}
}

// fail ends the engine for a reason that only a restart can mend.
func (e *Engine) fail(err error) {
	e.endOnce.Do(func() {
		e.err = err
		close(e.ended)
	})
}

func (e *Engine) endError() error {
	if e.err != nil {
		return e.err
	}
	return ErrStopped
}

// Full tells that the disk is full and nothing new is accepted.
func (e *Engine) Full() bool { return e.full.Load() }

// Configure replaces the limits that the core decides by.
func (e *Engine) Configure(ctx context.Context, config flow.Config) {
	select {
	case e.configs <- config:
	case <-ctx.Done():
	case <-e.ended:
	}
}

// errStopping ends the tasks that are still running when the drain is over. An
// end for this cause is no result: the tasks run again at the next start.
var errStopping = errors.New("the engine is stopping")

// Stop ends the engine. It hands out no more tasks, lets running ones end until
// ctx is done, and then ends them. It returns when all is quiet; a second call
// waits for the first.
func (e *Engine) Stop(ctx context.Context) {
	e.stopped.Do(func() {
		draining := e.options.Config
		draining.Draining = true
		e.Configure(ctx, draining)
		e.workers.drain(ctx)
		e.cancel(errStopping)
		e.workers.drain(context.WithoutCancel(ctx))
		e.effects.close()
		close(e.quit)
		<-e.followed
		e.fail(ErrStopped)
	})
}

// View calls read with the state that is durable. read must not keep what it
// is given, nor take long.
func (e *Engine) View(read func(*flow.State)) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	read(e.follower)
}

// snapshotIfDue has the follower's state written when the log has grown enough.
// Encoding holds readers of the follower up, writing does not.
func (e *Engine) snapshotIfDue(seq uint64) {
	j := e.options.Journal
	if j == nil || !j.SnapshotDue() || !e.snapshotting.CompareAndSwap(false, true) {
		return
	}
	var state bytes.Buffer
	err := e.follower.Encode(&state)
	begun := e.effects.run(func() {
		defer e.snapshotting.Store(false)
		if err == nil {
			err = j.Snapshot(seq, func(w io.Writer) error {
				_, err := w.Write(state.Bytes())
				return err
			})
		}
		if err != nil {
			e.log.Error("snapshot failed; the journal keeps growing until one succeeds", "err", err)
		}
	})
	if !begun {
		e.snapshotting.Store(false)
	}
}
