package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gitdag/engine"
	"gitdag/engine/command/docker"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/operator/param"
	"gitdag/engine/params"
	"gitdag/engine/secret"
	"gitdag/engine/secret/agefile"
	"gitdag/engine/tasklog"
	"gitdag/gitsync/forge"
	"gitdag/notify"
)

// Options say what an agent is made of. What has no default must be set.
type Options struct {
	Config Config
	// Self is the binary that children re-execute.
	Self    string
	Version string
	Log     *slog.Logger
	// Alerts takes alerts where no channel is configured; nil means the log.
	Alerts notify.Sender
	// Params are visible to all tasks, below all others.
	Params *params.Map
	// Operators are the types of tasks that there are; nil means those that are
	// built in.
	Operators *operator.Registry
	// ParamServer keeps the values of `param_set>` if the configuration names no
	// other; the zero value means the data directory, or the project's own.
	ParamServer param.Server
	// Directory is what the agent runs if the configuration names no repository.
	Directory *Directory
	// Server is what Digdag's server can be told and the configuration has no key
	// for.
	Server Server
}

// Agent is a running daemon. Make one with [New].
type Agent struct {
	options Options
	config  atomic.Pointer[Config]
	log     *slog.Logger

	store   *store
	secrets *secret.Store
	// identities decrypt the secrets in Git.
	identities agefile.Identities
	engine     *engine.Engine
	projects   *projects
	syncs      syncs
	source     source
	alerts     atomic.Pointer[alerter]
	hooks      atomic.Pointer[forge.Handler]
	logs       *tasklog.Store
	spaces     *workspaces
	evaluator  *expr.Evaluator
	// containers run the programs of tasks, those that want no container included.
	containers *docker.Executor
	listener   net.Listener
	admin      net.Listener // nil for none
	serving    sync.WaitGroup
	failed     chan error // what ended the HTTP interface

	failure error // set before done is closed
	done    chan struct{}

	// teardown ends what has been begun, in the opposite order.
	teardown []func(context.Context)
	stopped  sync.Once
}

// New checks the configuration; nothing is touched before [Agent.Start].
func New(o Options) (*Agent, error) {
	a := &Agent{options: o, log: o.Log, failed: make(chan error, 2), done: make(chan struct{})}
	c := o.Config
	if err := a.complete(&c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	a.config.Store(&c)
	return a, nil
}

// complete fills in the defaults of a configuration and checks the whole.
func (a *Agent) complete(c *Config) error {
	switch repos := len(c.Repos) > 0; {
	case repos && a.options.Directory != nil:
		return errors.New("a directory cannot have repositories beside it")
	case !repos && a.options.Directory == nil && !c.AllowPush:
		return &hinted{errors.New("no repository is configured"), "allow_push: true is for an agent that projects are pushed to"}
	case c.Secrets.KeyFile != "" && !a.options.Server.SecretKey.IsZero():
		return errors.New("two keys for secrets are configured")
	case len(c.Secrets.OldKeyFiles) > 0 && c.Secrets.KeyFile == "" && a.options.Server.SecretKey.IsZero():
		return errors.New("secrets.old_key_files needs the key that takes their place, in secrets.key_file")
	}
	if err := c.complete(); err != nil {
		return err
	}
	credentials := c.Auth != (Auth{}) || a.options.Server.User.Name != ""
	if err := c.checkListen(c.Listen, credentials); err != nil || a.options.Server.AdminListen == "" {
		return err
	}
	return c.checkListen(a.options.Server.AdminListen, credentials)
}

// Start recovers the data directory and begins to serve, to run and to sync.
// After an error everything is ended again.
func (a *Agent) Start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			a.Stop(context.WithoutCancel(ctx))
		}
	}()
	if err := a.startEngine(ctx); err != nil {
		return err
	}
	if err := a.serve(ctx); err != nil {
		return err
	}
	a.watch()
	a.background(ctx, a.keepHouse)
	// While tasks drain, requests are still answered.
	a.onStop(a.stopEngine)
	a.onStop(func(context.Context) { a.source.stop() })
	a.onStop(a.pause)
	return a.source.begin(ctx)
}

// onStop notes what Stop is to do first.
func (a *Agent) onStop(f func(context.Context)) { a.teardown = append(a.teardown, f) }

// Stop ends the agent: no more syncs, no new tasks; running tasks may end until
// ctx is done, or for the configured time; requests are answered to their end.
// It returns when all is quiet; a second call waits for the first.
func (a *Agent) Stop(ctx context.Context) {
	a.stopped.Do(func() {
		for i := len(a.teardown) - 1; i >= 0; i-- {
			a.teardown[i](ctx)
		}
	})
}

// Done is closed when the agent has stopped or cannot go on; Err says why.
func (a *Agent) Done() <-chan struct{} { return a.done }

// background runs f until the agent stops.
func (a *Agent) background(ctx context.Context, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	a.serving.Add(1)
	go func() {
		defer a.serving.Done()
		f(ctx)
	}()
	a.onStop(func(context.Context) { cancel() })
}

// watch closes Done when a part of the agent has failed. Stop ends it by
// stopping the engine.
func (a *Agent) watch() {
	a.serving.Add(1)
	go func() {
		defer a.serving.Done()
		defer close(a.done)
		select {
		case <-a.engine.Done():
			a.failure = a.engine.Err()
		case a.failure = <-a.failed:
		}
	}()
}

// Err returns why the agent cannot go on, once Done is closed.
func (a *Agent) Err() error { return a.failure }

// Addr returns the address that the agent listens on.
func (a *Agent) Addr() string { return a.listener.Addr().String() }

// Sync has a repository, or all of them if the name is empty, polled at once.
func (a *Agent) Sync(repo string) bool { return a.source.Sync(repo) }

// Reload takes over what of a configuration can change while the agent runs:
// repositories, alerts, how many tasks run, and how long things are kept.
func (a *Agent) Reload(ctx context.Context, c Config) error {
	if err := a.complete(&c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	alerts, err := newAlerter(&c, a.options.Alerts, a.logs, a.log.With("component", "notify"))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if err := a.source.replace(context.WithoutCancel(ctx), &c); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if a.config.Load().needsRestart(&c) {
		a.log.Warn("data, listen, auth, secrets, log, allow_push, the limits of logs and exports and the settings of tasks but max change at the next start only")
	}
	a.config.Store(&c)
	a.alerts.Store(alerts)
	a.hooks.Store(a.webhooks())
	a.engine.Configure(ctx, a.flowConfig(&c))
	a.source.Sync("")
	return nil
}

// pause keeps schedules from starting anything while the rest is still being
// stopped (Q39).
func (a *Agent) pause(ctx context.Context) {
	config := a.flowConfig(a.config.Load())
	config.NoSchedules = true
	a.engine.Configure(ctx, config)
}

// flowConfig is what the core decides by.
func (a *Agent) flowConfig(c *Config) flow.Config {
	slots := c.Tasks.Max
	if slots == 0 {
		slots = max(32, 16*runtime.NumCPU())
	}
	s := &a.options.Server
	return flow.Config{
		Slots: slots, TasksPerAttempt: c.Limits.TasksPerAttempt, CatchUpLimit: c.CatchUpLimit,
		LiveAttempts: c.Limits.Attempts, MaxAttempts: s.MaxAttempts,
		AttemptTTL: time.Duration(c.Limits.AttemptTTL), TaskTTL: time.Duration(c.Limits.TaskTTL),
		NoSchedules: s.NoSchedules, NoTasks: s.NoTasks,
	}
}
