package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/dig"
)

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
		reflect.TypeFor[Tasks](), reflect.TypeFor[Auth](), reflect.TypeFor[Secrets](), reflect.TypeFor[ParamServer](), reflect.TypeFor[Log](),
		reflect.TypeFor[Alerts](), reflect.TypeFor[Slack](),
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
	files := []*string{&c.Auth.TokenFile, &c.Auth.BasicFile, &c.Secrets.KeyFile, &c.Secrets.Dir, &c.ParamServer.PasswordFile, &c.Alerts.Slack.WebhookURLFile, &c.Alerts.Slack.TokenFile}
	for i := range c.Tasks.OperatorPath {
		files = append(files, &c.Tasks.OperatorPath[i])
	}
	for i := range c.Secrets.OldKeyFiles {
		files = append(files, &c.Secrets.OldKeyFiles[i])
	}
	for i := range c.Secrets.AgeIdentityFiles {
		files = append(files, &c.Secrets.AgeIdentityFiles[i])
	}
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
