package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"gitdag/engine"
	"gitdag/engine/command"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/tasklog"
	"gitdag/engine/workspace"
	"gitdag/gitsync"
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
	// Directory is what the agent runs if the configuration names no repository.
	Directory *Directory
}

// Agent is a running daemon. Make one with [New].
type Agent struct {
	options Options
	config  atomic.Pointer[Config]
	log     *slog.Logger

	store     *store
	engine    *engine.Engine
	syncs     syncs
	source    source
	alerts    atomic.Pointer[alerter]
	hooks     atomic.Pointer[forge.Handler]
	logs      *tasklog.Store
	spaces    *workspaces
	evaluator *expr.Evaluator
	listener  net.Listener
	server    *http.Server
	serving   sync.WaitGroup
	failed    chan struct{} // closed when the HTTP server has failed
	failure   error
	done      chan struct{}

	// teardown ends what has been begun, in the opposite order.
	teardown []func(context.Context)
	stopped  sync.Once
}

// New checks the configuration; nothing is touched before [Agent.Start].
func New(o Options) (*Agent, error) {
	a := &Agent{options: o, log: o.Log, failed: make(chan struct{}), done: make(chan struct{})}
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
	case !repos && a.options.Directory == nil:
		return errors.New("no repository is configured")
	}
	return c.complete()
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
		case <-a.failed:
		}
	}()
}

// Err returns why the agent cannot go on.
func (a *Agent) Err() error { return errors.Join(a.engine.Err(), a.failure) }

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
		a.log.Warn("data, listen, auth, limits and the settings of tasks but max change at the next start only")
	}
	a.config.Store(&c)
	a.alerts.Store(alerts)
	a.hooks.Store(a.webhooks())
	a.engine.Configure(ctx, flowConfig(&c))
	a.source.Sync("")
	return nil
}

func flowConfig(c *Config) flow.Config {
	slots := c.Tasks.Max
	if slots == 0 {
		slots = max(32, 16*runtime.NumCPU())
	}
	return flow.Config{Slots: slots, TasksPerAttempt: c.Limits.TasksPerAttempt}
}

// startEngine recovers the data directory, ends what a crashed agent has left
// running, and starts the engine and what it stands on.
func (a *Agent) startEngine(ctx context.Context) error {
	c := a.config.Load()
	var err error
	if a.store, err = openStore(ctx, c.Data, a.options.Version, flowConfig(c), a.log); err != nil {
		return err
	}
	a.onStop(func(ctx context.Context) {
		if err := a.store.close(context.WithoutCancel(ctx)); err != nil {
			a.log.Error("close data directory", "err", err)
		}
	})
	grace := time.Duration(c.Tasks.KillGrace)
	if err := endSurvivors(ctx, a.store.id, grace, a.log); err != nil {
		return err
	}
	host, _ := os.Hostname()
	a.logs = tasklog.NewStore(tasklog.Options{
		Dir: a.logDir(c), Agent: fmt.Sprintf("%d@%s", os.Getpid(), host), MaxBytes: int64(c.Limits.LogBytes),
	})
	a.onStop(func(context.Context) {
		if err := a.logs.Close(); err != nil {
			a.log.Error("close task logs", "err", err)
		}
	})
	alerts, err := newAlerter(c, a.options.Alerts, a.logs, a.log.With("component", "notify"))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	a.alerts.Store(alerts)
	operators := operator.NewRegistry(operator.Builtin())
	a.evaluator = expr.New(expr.Options{Warm: runtime.NumCPU()})
	a.onStop(func(context.Context) { a.evaluator.Close() })
	a.spaces = &workspaces{store: workspace.NewStore(filepath.Join(c.Data, "workspaces")), log: a.log}
	o := engine.Options{
		Config: flowConfig(c), State: a.store.state, Follower: a.store.follower,
		Journal: a.store.journal, Objects: a.store.objects, History: archive{a.store.history},
		Operators: operators, Workspaces: a.spaces, Logs: logs{a.logs},
		Commands: command.Local{Grace: grace}, Secrets: func(uint64) operator.Secrets { return secrets{} }, Evaluator: a.evaluator,
		Environ: command.Allow(os.Environ(), c.Tasks.Env), DataID: a.store.id,
		Deliver: func(ctx context.Context, d *flow.Deliver) engine.Delivery { return a.alerts.Load().deliver(ctx, d) },
		Around:  around(operators, a.log.With("component", "engine")),
		Log:     a.log.With("component", "engine"),
	}
	if d := a.options.Directory; d != nil {
		inPlace := &workspace.InPlace{}
		a.onStop(func(context.Context) { inPlace.Close() })
		d.equip(&o, inPlace)
	}
	a.engine = engine.New(o)
	a.syncs.make = func(c *Config) (*gitsync.Syncer, error) { return a.newSyncer(c, operators) }
	a.syncs.forget = func(ctx context.Context, configured []Repo) error {
		return target{a.engine, a.store.history}.forget(ctx, configured, a.log)
	}
	a.source = &a.syncs
	if a.options.Directory != nil {
		a.source = newDirectory(a, operators)
	}
	if err := a.source.start(c); err != nil {
		return err
	}
	a.spaces.dir = a.source.dir
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	a.onStop(a.stopEngine)
	return nil
}

// logDir is where the logs of tasks lie.
func (a *Agent) logDir(c *Config) string {
	if d := a.options.Directory; d != nil && d.Logs != "" {
		return d.Logs
	}
	return filepath.Join(c.Data, "logs")
}

// stopEngine lets running tasks end for the configured time, then ends them.
func (a *Agent) stopEngine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.config.Load().Drain))
	defer cancel()
	a.engine.Stop(ctx)
}

// endSurvivors ends the processes that a killed agent's tasks have left: their
// results can no longer be taken, and the tasks run again.
func endSurvivors(ctx context.Context, id string, grace time.Duration, log *slog.Logger) error {
	for {
		found, err := command.Survivors(id)
		if err != nil {
			return fmt.Errorf("look for processes of an earlier run: %w", err)
		}
		if len(found) == 0 {
			return nil
		}
		log.Warn("processes of tasks outlived the last agent and are ended", "count", len(found))
		ctx, cancel := context.WithTimeout(ctx, grace+time.Minute)
		err = command.End(ctx, found, grace)
		cancel()
		if err != nil {
			return fmt.Errorf("end processes of an earlier run: %w", err)
		}
	}
}

func (a *Agent) newSyncer(c *Config, operators *operator.Registry) (*gitsync.Syncer, error) {
	repos := make([]gitsync.Repo, len(c.Repos))
	for i := range c.Repos {
		repos[i] = c.Repos[i].gitsync(c.Insecure)
	}
	return gitsync.New(gitsync.Options{
		Repos: repos, Data: c.Data, Self: a.options.Self,
		Checker: checker{operators}, Target: target{a.engine, a.store.history},
		Log: a.log, Rand: rand.Float64,
		AlertAfter: time.Duration(c.Sync.AlertAfter), Memory: int64(c.Sync.Memory), Depth: c.Sync.Depth,
		Revisions: c.Retention.Revisions,
		Limits: gitsync.Limits{
			FileBytes: int64(c.Limits.ExportFileBytes), ProjectBytes: int64(c.Limits.ExportProjectBytes),
			Entries: c.Limits.ExportEntries, Depth: c.Limits.ExportDepth,
		},
	})
}

// serve listens and answers requests.
func (a *Agent) serve(ctx context.Context) error {
	handler, err := a.handler()
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	if a.listener, err = lc.Listen(ctx, "tcp", a.config.Load().Listen); err != nil {
		return fmt.Errorf("listen on %s: %w", a.config.Load().Listen, err)
	}
	a.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	a.serving.Add(1)
	go func() {
		defer a.serving.Done()
		if err := a.server.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.failure = fmt.Errorf("serve http: %w", err)
			close(a.failed)
		}
	}()
	a.onStop(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if err := a.server.Shutdown(ctx); err != nil {
			a.server.Close()
		}
		a.serving.Wait()
	})
	return nil
}
