package agent

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"gitdag/engine"
	"gitdag/engine/archive"
	"gitdag/engine/command"
	"gitdag/engine/command/docker"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/operator/executable"
	"gitdag/engine/tasklog"
	"gitdag/engine/workspace"
	"gitdag/gitsync"
)

// startEngine recovers the data directory, ends what a crashed agent has left
// running, and starts the engine and what it stands on.
func (a *Agent) startEngine(ctx context.Context) error {
	c := a.config.Load()
	if err := a.open(ctx, c); err != nil {
		return err
	}
	alerts, err := newAlerter(c, a.options.Alerts, a.logs, a.log.With("component", "notify"))
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	a.alerts.Store(alerts)
	operators := a.options.Operators
	if operators == nil {
		operators = operator.NewRegistry(operator.Builtin())
	}
	if operators, err = a.withParams(c, operators); err != nil {
		return err
	}
	operators = operators.WithPrograms(executable.NewFinder(c.Tasks.OperatorPath))
	a.containers = docker.New(docker.Options{
		Host: command.Local{Grace: time.Duration(c.Tasks.KillGrace)}, Grace: time.Duration(c.Tasks.KillGrace),
		Environ: os.Environ(), Log: a.log.With("component", "docker"),
	})
	a.evaluator = expr.New(expr.Options{Warm: runtime.NumCPU()})
	a.onStop(func(context.Context) { a.evaluator.Close() })
	o := a.engineOptions(c, operators)
	if o.Survived, err = takeOver(ctx, a.containers, a.store.id, a.store.state, a.log); err != nil {
		return err
	}
	o.Resumed = func(l flow.Lease) {
		a.containers.EndUnused(context.WithoutCancel(ctx), command.Run(a.store.id, l.Task, l.Execution))
	}
	if d := a.options.Directory; d != nil {
		inPlace := &workspace.InPlace{Name: "agent-" + a.store.id}
		a.onStop(func(context.Context) { inPlace.Close() })
		d.equip(&o, inPlace)
	}
	a.engine = engine.New(o)
	if err := a.startSource(c, operators); err != nil {
		return err
	}
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	a.onStop(a.stopEngine)
	return nil
}

// open takes hold of what lies on the disk.
func (a *Agent) open(ctx context.Context, c *Config) (err error) {
	if a.store, err = openStore(ctx, c.Data, a.options.Version, a.flowConfig(c), a.log); err != nil {
		return err
	}
	a.onStop(func(ctx context.Context) {
		if err := a.store.close(context.WithoutCancel(ctx)); err != nil {
			a.log.Error("close data directory", "err", err)
		}
	})
	if a.secrets, err = a.openSecrets(c); err != nil {
		return err
	}
	if err := a.loadIdentities(c); err != nil {
		return err
	}
	if err := endSurvivors(ctx, a.store.id, time.Duration(c.Tasks.KillGrace), a.log); err != nil {
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
	a.spaces = &workspaces{store: workspace.NewStore(filepath.Join(c.Data, "workspaces")), log: a.log}
	return nil
}

func (a *Agent) engineOptions(c *Config, operators *operator.Registry) engine.Options {
	return engine.Options{
		Config: a.flowConfig(c), State: a.store.state, Follower: a.store.follower,
		Journal: a.store.journal, Objects: a.store.objects, History: archives{a.store.history},
		Operators: operators, Workspaces: a.spaces, Logs: logs{a.logs},
		Commands: a.containers, Printed: logs{a.logs}.printed, Secrets: a.taskSecrets(c),
		Evaluator: a.evaluator, Environ: command.Allow(os.Environ(), c.Tasks.Env), DataID: a.store.id, Params: a.options.Params,
		Deliver: func(ctx context.Context, d *flow.Deliver) engine.Delivery { return a.alerts.Load().deliver(ctx, d) },
		Around:  around(operators, a.log.With("component", "engine")),
		Former:  archives{a.store.history}.Former,
		Log:     a.log.With("component", "engine"),
	}
}

// startSource prepares where deployments come from: repositories, a directory,
// and pushes.
func (a *Agent) startSource(c *Config, operators *operator.Registry) error {
	a.syncs.make = func(c *Config) (*gitsync.Syncer, error) { return a.newSyncer(c, operators) }
	a.syncs.forget = func(ctx context.Context, configured []Repo) error {
		return a.target().forget(ctx, configured, a.log)
	}
	a.source = &a.syncs
	if a.options.Directory != nil {
		a.source = newDirectory(a, operators)
	}
	if err := a.source.start(c); err != nil {
		return err
	}
	pushed, err := openCheckouts(c.Data, a.store.objects)
	if err != nil {
		return err
	}
	a.spaces.dir, a.spaces.restore = a.source.dir, pushed.restore
	a.projects = &projects{
		engine: a.engine, checkouts: pushed, dir: a.source.dir, operators: operators, config: a.config.Load,
		pushes: c.AllowPush && a.options.Directory == nil, turn: make(chan struct{}, 1), log: a.log.With("component", "push"),
		limits: archive.Limits{
			Bytes:   cmp.Or(a.options.Server.ArchiveLimit, int64(c.Limits.ExportProjectBytes)),
			Entries: c.Limits.ExportEntries, Depth: c.Limits.ExportDepth,
		},
	}
	return nil
}

// target is the engine as the syncs see it.
func (a *Agent) target() target { return target{a.engine, a.store.history, a.config.Load} }

// logDir is where the logs of tasks lie.
func (a *Agent) logDir(c *Config) string {
	if d := a.options.Directory; d != nil && d.Logs != "" {
		return d.Logs
	}
	return cmp.Or(a.options.Server.Logs, filepath.Join(c.Data, "logs"))
}

// stopEngine lets running tasks end for the configured time, then ends them.
func (a *Agent) stopEngine(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(a.config.Load().Drain))
	defer cancel()
	a.engine.Stop(ctx)
}

func (a *Agent) newSyncer(c *Config, operators *operator.Registry) (*gitsync.Syncer, error) {
	repos := make([]gitsync.Repo, len(c.Repos))
	for i := range c.Repos {
		repos[i] = c.Repos[i].gitsync(c.Insecure)
	}
	return gitsync.New(gitsync.Options{
		Repos: repos, Data: c.Data, Self: a.options.Self,
		Checker: checker{operators}, Target: a.target(),
		Log: a.log, Rand: rand.Float64,
		AlertAfter: time.Duration(c.Sync.AlertAfter), Memory: int64(c.Sync.Memory), Depth: c.Sync.Depth,
		Revisions: c.Retention.Revisions,
		Limits: gitsync.Limits{
			FileBytes: int64(c.Limits.ExportFileBytes), ProjectBytes: int64(c.Limits.ExportProjectBytes),
			Entries: c.Limits.ExportEntries, Depth: c.Limits.ExportDepth,
		},
	})
}
