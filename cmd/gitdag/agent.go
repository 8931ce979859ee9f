package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"gitdag/agent"
)

// defaultConfig is read when it exists and no other file is named.
const defaultConfig = "/etc/gitdag/agent.yaml"

// agentFlags are the settings that the command line and the environment may
// give. Each flag has a variable: --tasks-max is GITDAG_TASKS_MAX.
type agentFlags struct {
	config     string
	check      bool
	repo       agent.Repo
	poll       string
	secretFile string
	set        agent.Config
	drain      string
	killGrace  string
	logFormat  string
	logLevel   string
}

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
			log, err := c.logger(f.logFormat, f.logLevel)
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program's own file: %w", err)
			}
			a, err := agent.New(agent.Options{Config: config, Self: self, Version: c.version, Log: log})
			if err != nil || f.check {
				return err
			}
			return c.runAgent(cmd.Context(), a, log, func() (agent.Config, error) { return f.load(cmd.Flags()) })
		},
	}
	f.register(cmd.Flags())
	return cmd
}

func (f *agentFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.config, "config", "", "configuration file (default "+defaultConfig+" if that exists)")
	flags.BoolVar(&f.check, "check-config", false, "check the configuration and do nothing")
	flags.StringVar(&f.repo.URL, "repo", "", "repository to follow: https, ssh or a local path")
	flags.StringVar(&f.repo.Ref, "branch", "", "branch, tag or commit (default: the repository's default branch)")
	flags.StringVar(&f.repo.Path, "path", "", "folder of the repository in which projects are looked for")
	flags.StringVar(&f.poll, "poll", "", "how often the repository is looked at (default 60s)")
	flags.StringVar(&f.repo.Auth.SSHKeyFile, "ssh-key-file", "", "private key for an ssh repository")
	flags.StringVar(&f.repo.Auth.KnownHostsFile, "known-hosts-file", "", "host keys that are accepted")
	flags.StringVar(&f.repo.Auth.TokenFile, "token-file", "", "file with the token for an https repository")
	flags.StringVar(&f.secretFile, "webhook-secret-file", "", "file with the secret that webhooks are signed with")
	flags.StringVar(&f.set.Data, "data", "", "data directory (default ./.gitdag, for root /var/lib/gitdag)")
	flags.StringVar(&f.set.Listen, "listen", "", "address of the HTTP interface (default 127.0.0.1:65432)")
	flags.StringVar(&f.set.ExternalURL, "external-url", "", "how people reach the agent; used in links")
	flags.StringVar(&f.set.Auth.TokenFile, "api-token-file", "", "file with the token that requests must bear")
	flags.BoolVar(&f.set.Insecure, "insecure", false, "allow plain http remotes and a public address without a token")
	flags.IntVar(&f.set.Tasks.Max, "tasks-max", 0, "tasks that run at a time (default: 16 a CPU, at least 32)")
	flags.StringVar(&f.killGrace, "tasks-kill-grace", "", "between SIGTERM and SIGKILL of a task (default 10s)")
	flags.StringSliceVar(&f.set.Tasks.Env, "tasks-env", nil, "variables that tasks inherit (default PATH,HOME,LANG,TZ)")
	flags.StringVar(&f.drain, "drain", "", "how long tasks may go on when the agent stops (default 30s)")
	flags.StringVar(&f.set.Alerts.Slack.WebhookURLFile, "slack-webhook-file", "", "file with the address of a Slack webhook")
	flags.StringVar(&f.set.Alerts.Slack.WebhookURL, "slack-webhook", "", "address of a Slack webhook; other users of this machine can see it")
	flags.StringVar(&f.set.Alerts.Slack.TokenFile, "slack-token-file", "", "file with the token of a Slack bot")
	flags.StringVar(&f.set.Alerts.Slack.Channel, "slack-channel", "", "channel that the bot posts to")
	flags.StringVar(&f.set.Alerts.Slack.APIURL, "slack-api-url", "", "address of the Slack API")
	flags.StringVar(&f.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
}

// flagsFromEnvironment sets flags that were not given from their variables.
func (c *cli) flagsFromEnvironment(flags *pflag.FlagSet) error {
	env := map[string]string{}
	for _, entry := range c.environ() {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	var err error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "GITDAG_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := env[name]
		if !ok || f.Changed || err != nil {
			return
		}
		if serr := flags.Set(f.Name, value); serr != nil {
			err = usagef("%s: %w", name, serr)
		}
	})
	return err
}

// load reads the configuration file and lays the flags over it.
func (f *agentFlags) load(flags *pflag.FlagSet) (agent.Config, error) {
	config, err := f.file()
	if err != nil {
		return config, err
	}
	if flags.Changed("repo") {
		if len(config.Repos) > 0 {
			return config, usagef("--repo and repos: in %s cannot both be given", f.config)
		}
		repo := f.repo
		if repo.Poll, err = durationFlag("poll", f.poll); err != nil {
			return config, err
		}
		if f.secretFile != "" {
			repo.Webhook.SecretFiles = []string{f.secretFile}
		}
		config.Repos = []agent.Repo{repo}
	} else if len(config.Repos) == 0 {
		return config, usagef("no repository: give --repo URL, or --config FILE with repos:")
	}
	if d, err := durationFlag("drain", f.drain); err != nil {
		return config, err
	} else if d != 0 {
		config.Drain = d
	}
	if d, err := durationFlag("tasks-kill-grace", f.killGrace); err != nil {
		return config, err
	} else if d != 0 {
		config.Tasks.KillGrace = d
	}
	f.overlay(&config, flags)
	return config, nil
}

func (f *agentFlags) file() (agent.Config, error) {
	name := f.config
	if name == "" {
		if _, err := os.Stat(defaultConfig); errors.Is(err, fs.ErrNotExist) {
			return agent.Config{}, nil
		}
		name = defaultConfig
	}
	return agent.ReadConfig(name)
}

// overlay lays the flags that were given over the configuration.
func (f *agentFlags) overlay(config *agent.Config, flags *pflag.FlagSet) {
	for name, set := range map[string]func(){
		"data":               func() { config.Data = f.set.Data },
		"listen":             func() { config.Listen = f.set.Listen },
		"external-url":       func() { config.ExternalURL = f.set.ExternalURL },
		"api-token-file":     func() { config.Auth.TokenFile = f.set.Auth.TokenFile },
		"insecure":           func() { config.Insecure = f.set.Insecure },
		"tasks-max":          func() { config.Tasks.Max = f.set.Tasks.Max },
		"tasks-env":          func() { config.Tasks.Env = f.set.Tasks.Env },
		"slack-webhook-file": func() { config.Alerts.Slack.WebhookURLFile = f.set.Alerts.Slack.WebhookURLFile },
		"slack-webhook":      func() { config.Alerts.Slack.WebhookURL = f.set.Alerts.Slack.WebhookURL },
		"slack-token-file":   func() { config.Alerts.Slack.TokenFile = f.set.Alerts.Slack.TokenFile },
		"slack-channel":      func() { config.Alerts.Slack.Channel = f.set.Alerts.Slack.Channel },
		"slack-api-url":      func() { config.Alerts.Slack.APIURL = f.set.Alerts.Slack.APIURL },
	} {
		if flags.Changed(name) {
			set()
		}
	}
}

func durationFlag(name, text string) (agent.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := agent.ParseDuration(text)
	if err != nil {
		return 0, usagef("--%s: %w", name, err)
	}
	return d, nil
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
