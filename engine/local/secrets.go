package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"gitdag/engine/operator"
	"gitdag/engine/secret"
)

// Secrets are the local secrets: entries of the configuration first, then a
// file for each key, whose whole content is the value (language.md 5.8).
type Secrets struct {
	Config map[string]string
	// Dirs are looked into in order.
	Dirs []string
	// Others are asked after them.
	Others []secret.Source
}

// Secret is a key with its value.
type Secret struct{ Key, Value string }

// ParseSecrets reads a mapping of keys to values, YAML or JSON, in its order.
// The text of a value counts as it is written: 0123 is no number. Keys are not
// checked, and may come twice.
func ParseSecrets(text []byte) ([]Secret, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("it must be a mapping of keys to values")
	}
	var list []Secret
	for nodes := doc.Content[0].Content; len(nodes) > 0; nodes = nodes[2:] {
		key, value := nodes[0], nodes[1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" {
			return nil, fmt.Errorf("line %d: the value of %s must be a text", key.Line, key.Value)
		}
		list = append(list, Secret{key.Value, value.Value})
	}
	return list, nil
}

// FormatSecrets writes what [ParseSecrets] reads, for people to edit.
func FormatSecrets(list []Secret) []byte {
	doc := yaml.Node{Kind: yaml.MappingNode}
	for _, s := range list {
		key, value := &yaml.Node{}, &yaml.Node{}
		key.SetString(s.Key)
		value.SetString(s.Value)
		if strings.HasPrefix(s.Value, "\n") { // as a block it would not come back
			value.Style = yaml.DoubleQuotedStyle
		}
		doc.Content = append(doc.Content, key, value)
	}
	text, err := yaml.Marshal(&doc)
	if err != nil {
		panic("local: " + err.Error()) // texts can be written
	}
	return text
}

// Secret implements [operator.Secrets].
func (s Secrets) Secret(ctx context.Context, key string) (string, error) {
	if value, ok := s.Config[key]; ok {
		return value, nil
	}
	if secret.IsKey(key) {
		for _, dir := range s.Dirs {
			value, err := os.ReadFile(filepath.Join(dir, key))
			switch {
			case err == nil:
				return string(value), nil
			case !errors.Is(err, fs.ErrNotExist):
				return "", fmt.Errorf("read secret %s: %w", key, err)
			}
		}
	}
	for _, source := range s.Others {
		if value, ok, err := source.Lookup(ctx, key); ok || err != nil {
			return value, err
		}
	}
	return "", &operator.Error{Message: fmt.Sprintf("Secret not found for key: '%s'", key), Kind: "secret not found"}
}

// Values returns what there is, as far as it can be read: it is masked in what
// tasks print.
func (s Secrets) Values(ctx context.Context) ([]string, error) {
	var values []string
	for _, value := range s.Config {
		values = append(values, value)
	}
	others, err := secret.NewReader(nil, s.Others...).Values(ctx)
	values, errs := append(values, others...), []error{err}
	for _, dir := range s.Dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !secret.IsKey(e.Name()) {
				continue
			}
			info, err := e.Info()
			if err != nil || info.Size() > secret.MaxValue {
				continue // it is masked from when it is asked for
			}
			value, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err == nil {
				values = append(values, string(value))
			}
			errs = append(errs, err)
		}
	}
	return values, errors.Join(errs...)
}
