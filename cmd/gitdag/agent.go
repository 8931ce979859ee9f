package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gitdag/agent"
)

// agentCommand runs the daemon (agent.md 1).
func (c *cli) agentCommand() *cobra.Command {
	var f agentFlags
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Follows Git repositories and runs their workflows on schedule",
		Example: "  gitdag agent --repo https://git.example.com/team/workflows.git --data /var/lib/gitdag\n" +
			"  gitdag agent --config /etc/gitdag/agent.yaml",
		Args: arguments(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.flagsFromEnvironment(cmd.Flags()); err != nil {
				return err
			}
			config, err := f.load(cmd.Flags())
			if err != nil {
				return err
			}
			log, err := c.logger(cmp.Or(config.Log.Format, "text"), cmp.Or(config.Log.Level, "info"))
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program's own file: %w", err)
			}
			a, err := agent.New(agent.Options{Config: config, Self: self, Version: c.version, Log: log, Operators: operators()})
			if err != nil || f.check {
				return err
			}
			return c.runAgent(cmd.Context(), a, log, func() (agent.Config, error) { return f.load(cmd.Flags()) })
		},
	}
	f.addFile(cmd.Flags())
	f.addRepo(cmd.Flags())
	f.addSettings(cmd.Flags())
	f.addLog(cmd.Flags())
	return cmd
}

// logger writes the daemon's log to standard error.
func (c *cli) logger(format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("--log-level %q is none of debug, info, warn, error", level)
	}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: l})), nil
	case "json":
		return slog.New(slog.NewJSONHandler(c.stderr, &slog.HandlerOptions{Level: l})), nil
	}
	return nil, usagef("--log-format %q is neither text nor json", format)
}

// runAgent starts an agent and stops it at a signal. SIGHUP has the
// configuration read again and every repository polled.
func (c *cli) runAgent(ctx context.Context, a *agent.Agent, log *slog.Logger, reload func() (agent.Config, error)) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	manager := newSupervisor(c.environ())
	if err := a.Start(ctx); err != nil {
		return err
	}
	log.Info("agent started", "address", a.Addr(), "version", c.version)
	manager.ready()
	watchdog := manager.watchdog()
	failed := a.Done()
	for {
		select {
		case <-watchdog:
			manager.alive()
			continue
		case <-hangups:
			config, err := reload()
			if err == nil {
				err = a.Reload(ctx, config)
			}
			if err != nil {
				log.Error("the configuration is not taken over; the running one stays", "err", err)
				a.Sync("")
			}
			continue
		case <-failed:
			err := a.Err()
			a.Stop(context.WithoutCancel(ctx))
			return fmt.Errorf("the agent cannot go on: %w", err)
		case <-ctx.Done():
		}
		// A second signal ends the wait for running tasks.
		impatient, release := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGINT, syscall.SIGTERM)
		defer release()
		log.Info("agent stopping")
		manager.stopping()
		begin := time.Now()
		a.Stop(impatient)
		log.Info("agent stopped", "after", time.Since(begin).Round(time.Millisecond))
		return nil
	}
}
