package main

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

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
	secretFile string
	set        agent.Config
	// settings lay a flag's value over a configuration, by the flag's name.
	settings map[string]func(*agent.Config) error
}

// addFile adds what only an agent with a configuration of its own has.
func (f *agentFlags) addFile(flags *pflag.FlagSet) {
	flags.StringVar(&f.config, "config", "", "configuration file (default "+defaultConfig+" if that exists)")
	flags.BoolVar(&f.check, "check-config", false, "check the configuration and do nothing")
	f.text(flags, "data", "data directory (default ./.gitdag, for root /var/lib/gitdag)", func(c *agent.Config) *string { return &c.Data })
	f.text(flags, "listen", "address of the HTTP interface (default 127.0.0.1:65432)", func(c *agent.Config) *string { return &c.Listen })
	f.flag(flags, "allow-push", "take projects that are pushed", func(c *agent.Config) *bool { return &c.AllowPush })
	f.number(flags, "tasks-max", "tasks that run at a time (default: 16 a CPU, at least 32)", func(c *agent.Config) *int { return &c.Tasks.Max })
	f.number(flags, "limits-tasks-per-attempt", "tasks that an attempt may have (default 100,000)", func(c *agent.Config) *int { return &c.Limits.TasksPerAttempt })
	f.duration(flags, "limits-attempt-ttl", "how long an attempt may take (default 7d)", func(c *agent.Config) *agent.Duration { return &c.Limits.AttemptTTL })
	f.duration(flags, "limits-task-ttl", "how long one run of a task may take (default 1d)", func(c *agent.Config) *agent.Duration { return &c.Limits.TaskTTL })
	f.text(flags, "secrets-key-file", "file with the key that encrypts the secrets of projects", func(c *agent.Config) *string { return &c.Secrets.KeyFile })
}

// addRepo adds what describes one repository.
func (f *agentFlags) addRepo(flags *pflag.FlagSet) {
	flags.StringVar(&f.repo.URL, "repo", "", "repository to follow: https, ssh or a local path")
	flags.StringVar(&f.repo.Ref, "branch", "", "branch, tag or commit (default: the repository's default branch)")
	flags.StringVar(&f.repo.Path, "path", "", "folder of the repository in which projects are looked for")
	f.duration(flags, "poll", "how often the repository is looked at (default 60s)", func(*agent.Config) *agent.Duration { return &f.repo.Poll })
	flags.StringVar(&f.repo.Auth.SSHKeyFile, "ssh-key-file", "", "private key for an ssh repository")
	flags.StringVar(&f.repo.Auth.KnownHostsFile, "known-hosts-file", "", "host keys that are accepted")
	flags.StringVar(&f.repo.Auth.TokenFile, "token-file", "", "file with the token for an https repository")
	flags.StringVar(&f.secretFile, "webhook-secret-file", "", "file with the secret that webhooks are signed with")
}

// addSettings adds what a server may be told as well as an agent.
func (f *agentFlags) addSettings(flags *pflag.FlagSet) {
	f.text(flags, "external-url", "how people reach the agent; used in links", func(c *agent.Config) *string { return &c.ExternalURL })
	f.text(flags, "api-token-file", "file with the token that requests must bear", func(c *agent.Config) *string { return &c.Auth.TokenFile })
	f.text(flags, "auth-basic-file", "file with the names and bcrypt hashes of users, as htpasswd -B writes it", func(c *agent.Config) *string { return &c.Auth.BasicFile })
	f.flag(flags, "insecure", "allow plain http remotes and a public address without a token", func(c *agent.Config) *bool { return &c.Insecure })
	f.duration(flags, "tasks-kill-grace", "between SIGTERM and SIGKILL of a task (default 10s)", func(c *agent.Config) *agent.Duration { return &c.Tasks.KillGrace })
	flags.StringSliceVar(&f.set.Tasks.Env, "tasks-env", nil, "variables that tasks inherit (default PATH,HOME,LANG,TZ)")
	f.lay("tasks-env", func(c *agent.Config) error { c.Tasks.Env = f.set.Tasks.Env; return nil })
	flags.StringSliceVar(&f.set.Tasks.OperatorPath, "tasks-operator-path", nil, "directories with operators that are programs, gitdag-operator-NAME")
	f.lay("tasks-operator-path", func(c *agent.Config) error { c.Tasks.OperatorPath = f.set.Tasks.OperatorPath; return nil })
	f.duration(flags, "drain", "how long tasks may go on when the agent stops (default 30s)", func(c *agent.Config) *agent.Duration { return &c.Drain })
	f.number(flags, "limits-attempts", "attempts that run at a time; more wait (default 10,000)", func(c *agent.Config) *int { return &c.Limits.Attempts })
	var catchUp string
	flags.StringVar(&catchUp, "catch-up", "", "missed ticks that run: all, last or none (default all)")
	f.lay("catch-up", func(c *agent.Config) (err error) { c.CatchUp, err = agent.ParseCatchUp(catchUp); return err })
	f.number(flags, "catch-up-limit", "missed ticks of a workflow that run at most (default 100)", func(c *agent.Config) *int { return &c.CatchUpLimit })
	flags.StringSliceVar(&f.set.Secrets.OldKeyFiles, "secrets-old-key-files", nil, "files with keys that the secrets were encrypted with before")
	f.lay("secrets-old-key-files", func(c *agent.Config) error { c.Secrets.OldKeyFiles = f.set.Secrets.OldKeyFiles; return nil })
	f.text(flags, "secrets-dir", "directory with a file for each secret that all projects may read", func(c *agent.Config) *string { return &c.Secrets.Dir })
	flags.StringSliceVar(&f.set.Secrets.AgeIdentityFiles, "secrets-age-identity-files", nil, "files with what the secrets in Git are decrypted with")
	f.lay("secrets-age-identity-files", func(c *agent.Config) error {
		c.Secrets.AgeIdentityFiles = f.set.Secrets.AgeIdentityFiles
		return nil
	})
	slack := func(c *agent.Config) *agent.Slack { return &c.Alerts.Slack }
	f.text(flags, "slack-webhook-file", "file with the address of a Slack webhook", func(c *agent.Config) *string { return &slack(c).WebhookURLFile })
	f.text(flags, "slack-webhook", "address of a Slack webhook; other users of this machine can see it", func(c *agent.Config) *string { return &slack(c).WebhookURL })
	f.text(flags, "slack-token-file", "file with the token of a Slack bot", func(c *agent.Config) *string { return &slack(c).TokenFile })
	f.text(flags, "slack-channel", "channel that the bot posts to", func(c *agent.Config) *string { return &slack(c).Channel })
	f.text(flags, "slack-api-url", "address of the Slack API", func(c *agent.Config) *string { return &slack(c).APIURL })
}

// addLog adds how the log looks.
func (f *agentFlags) addLog(flags *pflag.FlagSet) {
	f.text(flags, "log-format", "text or json (default text)", func(c *agent.Config) *string { return &c.Log.Format })
	f.text(flags, "log-level", "debug, info, warn or error (default info)", func(c *agent.Config) *string { return &c.Log.Level })
}

// lay notes what a flag that was given does.
func (f *agentFlags) lay(name string, set func(*agent.Config) error) {
	if f.settings == nil {
		f.settings = map[string]func(*agent.Config) error{}
	}
	f.settings[name] = set
}

func (f *agentFlags) text(flags *pflag.FlagSet, name, usage string, place func(*agent.Config) *string) {
	flags.StringVar(place(&f.set), name, "", usage)
	f.lay(name, func(c *agent.Config) error { *place(c) = *place(&f.set); return nil })
}

func (f *agentFlags) flag(flags *pflag.FlagSet, name, usage string, place func(*agent.Config) *bool) {
	flags.BoolVar(place(&f.set), name, false, usage)
	f.lay(name, func(c *agent.Config) error { *place(c) = *place(&f.set); return nil })
}

func (f *agentFlags) number(flags *pflag.FlagSet, name, usage string, place func(*agent.Config) *int) {
	flags.IntVar(place(&f.set), name, 0, usage)
	f.lay(name, func(c *agent.Config) error { *place(c) = *place(&f.set); return nil })
}

// duration keeps the text: pflag's own durations have no days.
func (f *agentFlags) duration(flags *pflag.FlagSet, name, usage string, place func(*agent.Config) *agent.Duration) {
	var text string
	flags.StringVar(&text, name, "", usage)
	f.lay(name, func(c *agent.Config) (err error) { *place(c), err = agent.ParseDuration(text); return err })
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
		name := variable(f.Name)
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

// variable is the environment's name of a flag.
func variable(flag string) string {
	return "GITDAG_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// load reads the configuration file and lays the flags over it.
func (f *agentFlags) load(flags *pflag.FlagSet) (agent.Config, error) {
	config, err := f.file()
	if err != nil {
		return config, err
	}
	if err := f.overlay(&config, flags); err != nil {
		return config, err
	}
	if len(config.Repos) == 0 && !config.AllowPush {
		return config, usagef("no repository: give --repo URL, or --config FILE with repos:")
	}
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
func (f *agentFlags) overlay(config *agent.Config, flags *pflag.FlagSet) error {
	for _, name := range slices.Sorted(maps.Keys(f.settings)) {
		if !flags.Changed(name) {
			continue
		}
		if err := f.settings[name](config); err != nil {
			return usagef("--%s: %w", name, err)
		}
	}
	if !flags.Changed("repo") {
		return nil
	}
	if len(config.Repos) > 0 {
		return usagef("--repo and repos: in %s cannot both be given", f.config)
	}
	repo := f.repo
	if f.secretFile != "" {
		repo.Webhook.SecretFiles = []string{f.secretFile}
	}
	config.Repos = []agent.Repo{repo}
	return nil
}
