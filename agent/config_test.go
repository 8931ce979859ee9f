package agent

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1h 30m": 90 * time.Minute, "7d": 7 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); err != nil || time.Duration(got) != want {
			t.Errorf("%q: got %v, %v, want %v", text, time.Duration(got), err, want)
		}
	}
	for _, text := range []string{"", "soon", "10", "-1s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, time.Duration(got))
		}
	}
}

func TestParseBytes(t *testing.T) {
	for text, want := range map[string]Bytes{
		"0": 0, "512": 512, "512B": 512, "1KB": 1000, "512MB": 512_000_000, "1 gb": 1_000_000_000, " 2TB ": 2_000_000_000_000,
	} {
		if got, err := ParseBytes(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "lots", "-1MB", "1.5GB", "MB", "1XB", "99999999999999999TB"} {
		if got, err := ParseBytes(text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// A key that is not known is an error with its line, and a suggestion where a
// known one is near.
func TestUnknownKeys(t *testing.T) {
	for text, want := range map[string]string{
		"dat: x":                                  `line 1: unknown key "dat"; did you mean "data"?`,
		"data: x\nrepos:\n- {url: y, pth: z}":     `line 3: unknown key "pth"; did you mean "path"?`,
		"alerts: {slack: {tokenfile: x}}":         `line 1: unknown key "tokenfile"; did you mean "token_file"?`,
		"retention: {logs: {age: 1d, bites: 1}}":  `line 1: unknown key "bites"; did you mean "bytes"?`,
		"zzzzzzzz: 1":                             `line 1: unknown key "zzzzzzzz"`,
		"dat: x\ndrane: 1s":                       "line 1: unknown key \"dat\"; did you mean \"data\"?\nline 2: unknown key \"drane\"; did you mean \"drain\"?",
		"tasks: {max: many}":                      "line 1: cannot unmarshal",
		"repos: [{url: x, auth: {token_fil: y}}]": `line 1: unknown key "token_fil"; did you mean "token_file"?`,
	} {
		if _, err := ParseConfig([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if c, err := ParseConfig(nil); err != nil || len(c.Repos) != 0 {
		t.Errorf("an empty file: got %+v, %v, want the zero value", c, err)
	}
}

// Names of files are meant from the folder of the configuration.
func TestConfigResolvesFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	text := `
repos:
- {url: x, auth: {token_file: a, password_file: /abs/b, ssh_key_file: sub/c, known_hosts_file: d}, webhook: {secret_files: [e, /abs/f]}}
auth: {token_file: g, basic_file: i}
secrets: {key_file: j, old_key_files: [l, /abs/m], dir: k, age_identity_files: [n]}
alerts: {slack: {webhook_url_file: h}}
`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	r := c.Repos[0]
	got := []string{
		r.Auth.TokenFile, r.Auth.PasswordFile, r.Auth.SSHKeyFile, r.Auth.KnownHostsFile,
		r.Webhook.SecretFiles[0], r.Webhook.SecretFiles[1], c.Auth.TokenFile, c.Alerts.Slack.WebhookURLFile,
		c.Auth.BasicFile, c.Secrets.KeyFile, c.Secrets.OldKeyFiles[0], c.Secrets.OldKeyFiles[1], c.Secrets.Dir, c.Secrets.AgeIdentityFiles[0],
	}
	want := []string{
		filepath.Join(dir, "a"), "/abs/b", filepath.Join(dir, "sub", "c"), filepath.Join(dir, "d"),
		filepath.Join(dir, "e"), "/abs/f", filepath.Join(dir, "g"), filepath.Join(dir, "h"),
		filepath.Join(dir, "i"), filepath.Join(dir, "j"), filepath.Join(dir, "l"), "/abs/m", filepath.Join(dir, "k"), filepath.Join(dir, "n"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if _, err := ReadConfig(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: got %v, want %v", err, os.ErrNotExist)
	}
}

func TestListenAddresses(t *testing.T) {
	for _, c := range []struct {
		listen             string
		auth               Auth
		insecure, accepted bool
	}{
		{"127.0.0.1:1", Auth{}, false, true},
		{"[::1]:1", Auth{}, false, true},
		{"localhost:1", Auth{}, false, true},
		{"0.0.0.0:1", Auth{}, false, false},
		{":1", Auth{}, false, false},
		{"192.0.2.1:1", Auth{}, false, false},
		{"example.com:1", Auth{}, false, false},
		{"0.0.0.0:1", Auth{TokenFile: "file"}, false, true},
		{"0.0.0.0:1", Auth{BasicFile: "file"}, false, true},
		{"0.0.0.0:1", Auth{}, true, true},
		{"nonsense", Auth{TokenFile: "file"}, true, false},
	} {
		config := Config{Listen: c.listen, Insecure: c.insecure, Auth: c.auth, Repos: []Repo{{URL: "/x"}}}
		_, err := New(Options{Config: config, Log: slog.New(slog.DiscardHandler)})
		if (err == nil) != c.accepted {
			t.Errorf("%+v: got %v", c, err)
		}
		var h interface{ Hint() string }
		if c.listen == "0.0.0.0:1" && err != nil && (!errors.As(err, &h) || !strings.Contains(h.Hint(), "--api-token-file")) {
			t.Errorf("%+v: no hint in %v", c, err)
		}
	}
}
