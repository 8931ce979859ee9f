package agent

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"gitdag/engine/dig"
	"gitdag/engine/schedule"
	"gitdag/gitsync"
)

// Config is the agent's configuration file; docs/agent.yaml explains each key.
// The zero value of a key means its default.
type Config struct {
	Data        string    `yaml:"data"`
	Listen      string    `yaml:"listen"`
	ExternalURL string    `yaml:"external_url"`
	Repos       []Repo    `yaml:"repos"`
	Insecure    bool      `yaml:"insecure"`
	Tasks       Tasks     `yaml:"tasks"`
	Drain       Duration  `yaml:"drain"`
	Auth        Auth      `yaml:"auth"`
	Alerts      Alerts    `yaml:"alerts"`
	Sync        Sync      `yaml:"sync"`
	Limits      Limits    `yaml:"limits"`
	Retention   Retention `yaml:"retention"`
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
}

// Auth protects the HTTP interface.
type Auth struct {
	TokenFile string `yaml:"token_file"`
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

// Limits bounds what an attempt and a project may hold.
type Limits struct {
	TasksPerAttempt    int   `yaml:"tasks_per_attempt"`
	LogBytes           Bytes `yaml:"log_bytes"`
	ExportFileBytes    Bytes `yaml:"export_file_bytes"`
	ExportProjectBytes Bytes `yaml:"export_project_bytes"`
	ExportEntries      int   `yaml:"export_entries"`
	ExportDepth        int   `yaml:"export_depth"`
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

// ReadConfig reads a configuration file. Relative file names in it are meant
// from its own directory.
func ReadConfig(file string) (Config, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", file, err)
	}
	c.resolve(filepath.Dir(file))
	return c, nil
}

// ParseConfig reads a configuration. A key that it does not know is an error
// with its line and, where one is near, the key that was meant.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	err := d.Decode(&c)
	if errors.Is(err, io.EOF) {
		return c, nil
	}
	var typed *yaml.TypeError
	if errors.As(err, &typed) {
		texts := make([]string, len(typed.Errors))
		for i, text := range typed.Errors {
			texts[i] = explain(text)
		}
		return c, errors.New(strings.Join(texts, "\n"))
	}
	return c, err
}

var unknownField = regexp.MustCompile(`^(line \d+): field (\S+) not found in type agent\.(\w+)$`)

// explain puts the decoder's words for an unknown key into ours.
func explain(text string) string {
	m := unknownField.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	out := fmt.Sprintf("%s: unknown key %q", m[1], m[2])
	if hint := dig.DidYouMean(m[2], keysOf(m[3])); hint != "" {
		out += "; " + hint
	}
	return out
}

// keysOf returns the keys that a part of the configuration knows.
func keysOf(part string) []string {
	var keys []string
	for _, t := range []reflect.Type{
		reflect.TypeFor[Config](), reflect.TypeFor[Repo](), reflect.TypeFor[RepoAuth](), reflect.TypeFor[Webhook](),
		reflect.TypeFor[Tasks](), reflect.TypeFor[Auth](), reflect.TypeFor[Alerts](), reflect.TypeFor[Slack](),
		reflect.TypeFor[Sync](), reflect.TypeFor[Limits](), reflect.TypeFor[Retention](),
		reflect.TypeFor[AttemptRetention](), reflect.TypeFor[LogRetention](),
	} {
		if t.Name() != part {
			continue
		}
		for i := range t.NumField() {
			if key := t.Field(i).Tag.Get("yaml"); key != "-" {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// resolve makes relative file names absolute.
func (c *Config) resolve(dir string) {
	files := []*string{&c.Auth.TokenFile, &c.Alerts.Slack.WebhookURLFile, &c.Alerts.Slack.TokenFile}
	for i := range c.Repos {
		a := &c.Repos[i].Auth
		files = append(files, &a.TokenFile, &a.PasswordFile, &a.SSHKeyFile, &a.KnownHostsFile)
		for j := range c.Repos[i].Webhook.SecretFiles {
			files = append(files, &c.Repos[i].Webhook.SecretFiles[j])
		}
	}
	for _, f := range files {
		if *f != "" && !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
}

// complete fills in the defaults and checks the whole.
func (c *Config) complete() error {
	if c.Data == "" {
		c.Data = ".gitdag"
		if os.Geteuid() == 0 {
			c.Data = "/var/lib/gitdag"
		}
	}
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
	seen := map[string]bool{}
	for i := range c.Repos {
		r, err := c.Repos[i].gitsync(c.Insecure).Complete()
		if err != nil {
			return err
		}
		if seen[r.Name] {
			return fmt.Errorf("two repositories are named %q: give one of them another name", r.Name)
		}
		seen[r.Name] = true
		c.Repos[i].Name = r.Name
	}
	return c.checkListen()
}

// needsRestart tells whether next differs in what is read at the start only.
func (c *Config) needsRestart(next *Config) bool {
	return c.Data != next.Data || c.Listen != next.Listen || c.Auth != next.Auth || c.Limits != next.Limits ||
		c.Tasks.KillGrace != next.Tasks.KillGrace || !slices.Equal(c.Tasks.Env, next.Tasks.Env)
}

// checkListen refuses an address that others can reach without a token.
func (c *Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: it needs the form HOST:PORT", c.Listen)
	}
	if ip := net.ParseIP(host); host == "localhost" || (ip != nil && ip.IsLoopback()) {
		return nil
	}
	if c.Auth.TokenFile == "" && !c.Insecure {
		return &hinted{
			fmt.Errorf("listen address %q can be reached from other machines, and no API token is configured", c.Listen),
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
