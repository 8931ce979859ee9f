package agent

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"gitdag/engine/flow"
	"gitdag/engine/schedule"
	"gitdag/gitsync"
)

// Config is the agent's configuration file; docs/agent.yaml explains each key.
// The zero value of a key means its default.
type Config struct {
	Data         string      `yaml:"data"`
	Listen       string      `yaml:"listen"`
	ExternalURL  string      `yaml:"external_url"`
	Repos        []Repo      `yaml:"repos"`
	AllowPush    bool        `yaml:"allow_push"`
	Insecure     bool        `yaml:"insecure"`
	Tasks        Tasks       `yaml:"tasks"`
	Drain        Duration    `yaml:"drain"`
	CatchUp      CatchUp     `yaml:"catch_up"`
	CatchUpLimit int         `yaml:"catch_up_limit"`
	Auth         Auth        `yaml:"auth"`
	Secrets      Secrets     `yaml:"secrets"`
	ParamServer  ParamServer `yaml:"param_server"`
	Alerts       Alerts      `yaml:"alerts"`
	Log          Log         `yaml:"log"`
	Sync         Sync        `yaml:"sync"`
	Limits       Limits      `yaml:"limits"`
	Retention    Retention   `yaml:"retention"`
}

// Repo is a repository to follow.
type Repo struct {
	Name    string   `yaml:"name"`
	URL     string   `yaml:"url"`
	Ref     string   `yaml:"ref"`
	Path    string   `yaml:"path"`
	Poll    Duration `yaml:"poll"`
	Auth    RepoAuth `yaml:"auth"`
	Webhook Webhook  `yaml:"webhook"`
}

// RepoAuth names the files that hold a repository's credentials.
type RepoAuth struct {
	TokenFile      string `yaml:"token_file"`
	Username       string `yaml:"username"`
	PasswordFile   string `yaml:"password_file"`
	SSHKeyFile     string `yaml:"ssh_key_file"`
	KnownHostsFile string `yaml:"known_hosts_file"`
}

// Webhook names the files with the secrets that a delivery may be signed with.
type Webhook struct {
	SecretFiles []string `yaml:"secret_files"`
}

// Tasks bounds and equips the processes of tasks.
type Tasks struct {
	Max       int      `yaml:"max"`
	KillGrace Duration `yaml:"kill_grace"`
	Env       []string `yaml:"env"`
	// OperatorPath are directories with operators that are programs.
	OperatorPath []string `yaml:"operator_path"`
}

// Auth protects the HTTP interface.
type Auth struct {
	// TokenFile holds one token, which opens everything.
	TokenFile string `yaml:"token_file"`
	// BasicFile holds a name and a bcrypt hash a line, as `htpasswd -B` writes
	// them.
	BasicFile string `yaml:"basic_file"`
}

// Secrets says where tasks find their secrets.
type Secrets struct {
	// KeyFile holds the key that the store of secrets is encrypted with.
	KeyFile string `yaml:"key_file"`
	// OldKeyFiles hold keys that it was encrypted with before.
	OldKeyFiles []string `yaml:"old_key_files"`
	// Dir has a file for each secret that all projects may read.
	Dir string `yaml:"dir"`
	// AgeIdentityFiles hold what the secrets in Git are decrypted with.
	AgeIdentityFiles []string `yaml:"age_identity_files"`
}

// ParamServer says where `param_set>` keeps values; without a type that is the
// data directory.
type ParamServer struct {
	Type         string `yaml:"type"`
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	Database     string `yaml:"database"`
	SSL          bool   `yaml:"ssl"`
}

// Log says how the agent's own log looks. The agent itself is given a logger:
// this is for who makes it.
type Log struct {
	Format string `yaml:"format"`
	Level  string `yaml:"level"`
}

// Alerts says where alerts go. There is one channel; without one they go to
// the log.
type Alerts struct {
	Slack Slack `yaml:"slack"`
}

// Slack is a Slack channel: an incoming webhook, or a bot's token and a
// channel.
type Slack struct {
	WebhookURLFile string `yaml:"webhook_url_file"`
	TokenFile      string `yaml:"token_file"`
	Channel        string `yaml:"channel"`
	APIURL         string `yaml:"api_url"`
	// WebhookURL is for the command line alone; a file never holds it.
	WebhookURL string `yaml:"-"`
}

// Sync bounds the fetching of repositories.
type Sync struct {
	AlertAfter Duration `yaml:"alert_after"`
	Memory     Bytes    `yaml:"memory"`
	Depth      int      `yaml:"depth"`
}

// Limits bounds what runs, and what an attempt and a project may hold.
type Limits struct {
	TasksPerAttempt    int      `yaml:"tasks_per_attempt"`
	Attempts           int      `yaml:"attempts"`
	AttemptTTL         Duration `yaml:"attempt_ttl"`
	TaskTTL            Duration `yaml:"task_ttl"`
	LogBytes           Bytes    `yaml:"log_bytes"`
	ExportFileBytes    Bytes    `yaml:"export_file_bytes"`
	ExportProjectBytes Bytes    `yaml:"export_project_bytes"`
	ExportEntries      int      `yaml:"export_entries"`
	ExportDepth        int      `yaml:"export_depth"`
}

// complete fills in the defaults.
func (l *Limits) complete() {
	const day = Duration(24 * time.Hour)
	l.AttemptTTL = cmp.Or(l.AttemptTTL, 7*day)
	l.TaskTTL = cmp.Or(l.TaskTTL, day)
	l.ExportProjectBytes = cmp.Or(l.ExportProjectBytes, 64_000_000)
	l.ExportEntries = cmp.Or(l.ExportEntries, 10_000)
	l.ExportDepth = cmp.Or(l.ExportDepth, 64)
}

// Retention says how long what is over is kept.
type Retention struct {
	Attempts   AttemptRetention `yaml:"attempts"`
	Logs       LogRetention     `yaml:"logs"`
	Revisions  int              `yaml:"revisions"`
	Workspaces Duration         `yaml:"workspaces"`
}

// AttemptRetention bounds the history.
type AttemptRetention struct {
	Age   Duration `yaml:"age"`
	Count int      `yaml:"count"`
}

// LogRetention bounds the logs of attempts that are over.
type LogRetention struct {
	Age   Duration `yaml:"age"`
	Bytes Bytes    `yaml:"bytes"`
}

// complete fills in the defaults.
func (r *Retention) complete() {
	const day = Duration(24 * time.Hour)
	r.Attempts.Age = cmp.Or(r.Attempts.Age, 90*day)
	r.Attempts.Count = cmp.Or(r.Attempts.Count, 100_000)
	r.Logs.Age = cmp.Or(r.Logs.Age, 30*day)
	r.Logs.Bytes = cmp.Or(r.Logs.Bytes, 10_000_000_000)
	r.Revisions = cmp.Or(r.Revisions, 10)
	r.Workspaces = cmp.Or(r.Workspaces, day)
}

// CatchUp is what schedules do about ticks that were missed, unless they say so
// themselves: all, last or none of them run. The zero value is all.
type CatchUp flow.CatchUp

// UnmarshalYAML reads the text.
func (c *CatchUp) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseCatchUp(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*c = v
	return nil
}

// ParseCatchUp reads all, last or none.
func ParseCatchUp(text string) (CatchUp, error) {
	switch text {
	case "all":
		return CatchUp(flow.CatchUpAll), nil
	case "last":
		return CatchUp(flow.CatchUpLast), nil
	case "none":
		return CatchUp(flow.CatchUpNone), nil
	}
	return 0, fmt.Errorf("%q is none of all, last, none", text)
}

// Duration is a length of time, written as in workflows: 7d, 1h 30m, 30s.
type Duration time.Duration

// UnmarshalYAML reads the text.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = v
	return nil
}

// ParseDuration reads a length of time.
func ParseDuration(text string) (Duration, error) {
	d, err := schedule.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration such as 7d, 1h 30m or 30s", text)
	}
	return Duration(d), nil
}

// Bytes is a size, in powers of ten: 512MB, 1GB.
type Bytes int64

// UnmarshalYAML reads the text.
func (b *Bytes) UnmarshalYAML(n *yaml.Node) error {
	v, err := ParseBytes(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*b = v
	return nil
}

// ParseBytes reads a size.
func ParseBytes(text string) (Bytes, error) {
	digits := strings.TrimRight(strings.TrimSpace(strings.ToUpper(text)), "KMGTB ")
	unit := strings.TrimSpace(strings.TrimSpace(strings.ToUpper(text))[len(digits):])
	n, err := strconv.ParseInt(digits, 10, 64)
	factor, ok := map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
	if err != nil || !ok || n < 0 || n > (1<<62)/factor {
		return 0, fmt.Errorf("%q is no size such as 512MB or 1GB", text)
	}
	return Bytes(n * factor), nil
}

// DefaultData is the data directory where none is named.
func DefaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/gitdag"
	}
	return ".gitdag"
}

// complete fills in the defaults and checks the whole.
func (c *Config) complete() error {
	c.Data = cmp.Or(c.Data, DefaultData())
	abs, err := filepath.Abs(c.Data)
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	c.Data = abs
	if c.Listen == "" {
		c.Listen = "127.0.0.1:65432"
	}
	if c.Drain == 0 {
		c.Drain = Duration(30 * time.Second)
	}
	if c.Tasks.KillGrace == 0 {
		c.Tasks.KillGrace = Duration(10 * time.Second)
	}
	c.Retention.complete()
	c.Limits.complete()
	if err := c.validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range c.Repos {
		r, err := c.Repos[i].gitsync(c.Insecure).Complete()
		if err != nil {
			return err
		}
		if strings.HasPrefix(r.Name, flow.PushedSource("")) {
			return fmt.Errorf("a repository cannot be named %q: what begins with %q are pushed projects", r.Name, flow.PushedSource(""))
		}
		if seen[r.Name] {
			return fmt.Errorf("two repositories are named %q: give one of them another name", r.Name)
		}
		seen[r.Name] = true
		c.Repos[i].Name = r.Name
	}
	return nil
}

// validate refuses numbers that mean nothing.
func (c *Config) validate() error {
	for name, n := range map[string]int{
		"tasks.max": c.Tasks.Max, "limits.tasks_per_attempt": c.Limits.TasksPerAttempt, "limits.attempts": c.Limits.Attempts,
		"catch_up_limit": c.CatchUpLimit, "retention.revisions": c.Retention.Revisions, "retention.attempts.count": c.Retention.Attempts.Count,
		"limits.export_entries": c.Limits.ExportEntries, "limits.export_depth": c.Limits.ExportDepth,
	} {
		if n < 0 {
			return fmt.Errorf("%s is %d and must not be negative", name, n)
		}
	}
	if err := c.ParamServer.server().Validate(); err != nil {
		return fmt.Errorf("param_server: %w", err)
	}
	return nil
}

// needsRestart tells whether next differs in what is read at the start only.
func (c *Config) needsRestart(next *Config) bool {
	return c.Data != next.Data || c.Listen != next.Listen || c.Auth != next.Auth || !c.Secrets.equal(&next.Secrets) ||
		c.ParamServer != next.ParamServer ||
		c.AllowPush != next.AllowPush || c.Log != next.Log || c.Limits.storage() != next.Limits.storage() ||
		c.Tasks.KillGrace != next.Tasks.KillGrace || !slices.Equal(c.Tasks.Env, next.Tasks.Env) ||
		!slices.Equal(c.Tasks.OperatorPath, next.Tasks.OperatorPath)
}

func (s *Secrets) equal(other *Secrets) bool {
	return s.KeyFile == other.KeyFile && s.Dir == other.Dir && slices.Equal(s.OldKeyFiles, other.OldKeyFiles) &&
		slices.Equal(s.AgeIdentityFiles, other.AgeIdentityFiles)
}

// storage are the limits that are read at the start only.
func (l Limits) storage() Limits {
	l.TasksPerAttempt, l.Attempts, l.AttemptTTL, l.TaskTTL = 0, 0, 0, 0
	return l
}

// checkListen refuses an address that others can reach without credentials.
func (c *Config) checkListen(addr string, credentials bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("listen address %q: it needs the form HOST:PORT", addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	if !credentials && !c.Insecure {
		return &hinted{
			fmt.Errorf("listen address %q can be reached from other machines, and no API token is configured", addr),
			"give --api-token-file, or listen on 127.0.0.1",
		}
	}
	return nil
}

// hinted is an error that knows what the user can do about it.
type hinted struct {
	error
	hint string
}

// Hint says what to do.
func (e *hinted) Hint() string { return e.hint }

// Unwrap returns the error without its hint.
func (e *hinted) Unwrap() error { return e.error }

func (r *Repo) gitsync(insecure bool) gitsync.Repo {
	return gitsync.Repo{
		Name: r.Name, URL: r.URL, Ref: r.Ref, Path: r.Path, Poll: time.Duration(r.Poll),
		Auth: gitsync.Auth{
			TokenFile: r.Auth.TokenFile, Username: r.Auth.Username, PasswordFile: r.Auth.PasswordFile,
			SSHKeyFile: r.Auth.SSHKeyFile, KnownHostsFile: r.Auth.KnownHostsFile,
		},
		Insecure: insecure,
	}
}
