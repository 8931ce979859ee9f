package gitsync

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	configFile     = "gitdag.yaml"
	maxConfigBytes = 1 << 20
)

// repoConfig is gitdag.yaml in the root of a repository.
type repoConfig struct {
	projects map[string]namedProject // by path
	ignore   []string                // patterns of paths
}

type namedProject struct {
	path string
	name string
	line int
	col  int
}

// configError is a place in gitdag.yaml and what is wrong there.
type configError struct {
	line, col int
	message   string
}

func (e configError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", configFile, e.line, e.col, e.message)
}

func (e configError) diagnostic() Diagnostic {
	return Diagnostic{File: configFile, Line: e.line, Column: e.col, Severity: Error, Message: e.message}
}

func configErrorf(n *yaml.Node, format string, args ...any) error {
	return configError{n.Line, n.Column, fmt.Sprintf(format, args...)}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// parseConfig reads gitdag.yaml strictly. Its errors are configErrors.
func parseConfig(b []byte) (repoConfig, error) {
	c := repoConfig{projects: map[string]namedProject{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		e := configError{1, 1, err.Error()}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			e.line, _ = strconv.Atoi(orDefault(m[1], "1"))
			e.message = m[2]
		}
		return c, e
	}
	if len(doc.Content) == 0 {
		return c, nil
	}
	return c, eachKey(doc.Content[0], func(key, value *yaml.Node) error {
		switch key.Value {
		case "projects":
			return c.readProjects(value)
		case "ignore":
			return c.readIgnore(value)
		}
		return configErrorf(key, "unknown key %q: known are projects and ignore", key.Value)
	})
}

// eachKey walks a mapping that must have only texts as keys, each once.
func eachKey(n *yaml.Node, f func(key, value *yaml.Node) error) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return configErrorf(n, "a mapping is expected here")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode {
			return configErrorf(key, "a key must be a text")
		}
		if seen[key.Value] {
			return configErrorf(key, "the key %q is there twice", key.Value)
		}
		seen[key.Value] = true
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *repoConfig) readProjects(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return configErrorf(n, "projects must be a list of {path, name}")
	}
	names := map[string]bool{}
	for _, item := range n.Content {
		p := namedProject{line: item.Line, col: item.Column}
		err := eachKey(item, func(key, value *yaml.Node) error {
			if value.Kind != yaml.ScalarNode {
				return configErrorf(value, "%s must be a text", key.Value)
			}
			switch key.Value {
			case "path":
				p.path = value.Value
			case "name":
				p.name = value.Value
			default:
				return configErrorf(key, "unknown key %q: known are path and name", key.Value)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := c.addProject(item, p, names); err != nil {
			return err
		}
	}
	return nil
}

func (c *repoConfig) addProject(item *yaml.Node, p namedProject, names map[string]bool) error {
	clean, err := cleanPath(p.path)
	if err != nil {
		return configErrorf(item, "path %q %v", p.path, err)
	}
	p.path = clean
	if _, twice := c.projects[p.path]; twice {
		return configErrorf(item, "the path %q is there twice", p.path)
	}
	if p.name != "" {
		if bad := badProjectName(p.name); bad != "" {
			return configErrorf(item, "the name %q %s", p.name, bad)
		}
		if names[p.name] {
			return configErrorf(item, "the name %q is there twice", p.name)
		}
		names[p.name] = true
	}
	c.projects[p.path] = p
	return nil
}

func (c *repoConfig) readIgnore(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return configErrorf(n, "ignore must be a list of paths")
	}
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			return configErrorf(item, "ignore must be a list of paths")
		}
		pattern, err := cleanPath(item.Value)
		if err != nil {
			return configErrorf(item, "path %q %v", item.Value, err)
		}
		if _, err := path.Match(pattern, ""); err != nil {
			return configErrorf(item, "the pattern %q is malformed", item.Value)
		}
		c.ignore = append(c.ignore, pattern)
	}
	return nil
}

func cleanPath(p string) (string, error) {
	if p == "" {
		return "", errors.New("is missing")
	}
	clean := path.Clean(p)
	if path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", errors.New("leaves the repository")
	}
	return clean, nil
}

// ignored says whether a folder, with all in it, is left out. Patterns are those
// of path.Match over the path from the repository's root.
func (c repoConfig) ignored(dir string) bool {
	for _, p := range c.ignore {
		if ok, _ := path.Match(p, dir); ok {
			return true
		}
	}
	return false
}
