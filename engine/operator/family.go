package operator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

// Func makes an operator of a function. What it returns as an error gets its class: a
// [*Poll] and an [*Error] stay, a parameter that cannot be read is of kind "config",
// anything else of kind "runtime".
func Func(run func(ctx context.Context, t *Task) (*Result, error)) Operator {
	return operatorFunc(run)
}

// ConfigError is the failure of a task whose parameters make no sense.
func ConfigError(format string, args ...any) *Error { return configError(format, args...) }

// With returns a registry that has these types as well; they come before others of their
// name.
func (r *Registry) With(entries map[string]Entry) *Registry {
	more := *r
	more.entries = maps.Clone(r.entries)
	maps.Copy(more.entries, entries)
	return &more
}

// WithDefaults lays the task's parameters over the objects that they hold under the
// keys, the first of which wins (operators.md 2.2).
func WithDefaults(t *Task, keys ...string) (*params.Map, error) {
	return withDefaults(t.Config, keys...)
}

// LookUp returns how the task's operator looks secrets up: by the names that its
// `_secrets` gives them.
func LookUp(t *Task) (func(ctx context.Context, key string) (string, error), error) {
	return remapped(t)
}

// Environment is what a program of the task is given: what it inherits and the task's
// own `_env`.
func Environment(ctx context.Context, t *Task) ([]string, error) {
	own, err := ownVariables(ctx, t)
	if err != nil {
		return nil, err
	}
	return environment(inherited(t), nil, own), nil
}

// Exchange is what a program and its operator tell each other through files.
type Exchange struct {
	// Dir is where they are, below the task's scratch directory.
	Dir string
	// Prepare makes Dir and writes what the program reads.
	Prepare func() error
}

// RunProgram runs a program of the task to its end, in its container if it wants one,
// with the task's log for its output, and returns its exit status. x may be zero.
func RunProgram(ctx context.Context, t *Task, c command.Command, x Exchange) (int, error) {
	return program{Command: c, files: x.Dir, prepare: x.Prepare}.run(ctx, t)
}

// Discard removes the files of a program that has run, as soon as nobody needs them.
func Discard(t *Task, remove func()) { t.discard(remove) }

// WantsContainer tells whether the task's programs run in a container.
func WantsContainer(t *Task) bool { return wantsContainer(t) }

// CommandText returns the text that a command stands for (operators.md 2.3): of an
// object its `data`, of a text the file of that name, which is a template, and without
// a command the parameter alias.
func CommandText(ctx context.Context, t *Task, config *params.Map, alias string) (string, error) {
	return commandText(ctx, t, config, alias)
}

// Settings reads what secrets and parameters say of a service that a family of
// operators uses.
type Settings struct {
	// Config is the task's over the defaults of the family.
	Config *params.Map
	family string
	look   lookUp
}

// NewSettings returns the settings of a task: its secrets are those below
// `family.`, its defaults the object under the key family.
func NewSettings(t *Task, family string) (*Settings, error) {
	config, err := withDefaults(t.Config, family)
	if err != nil {
		return nil, err
	}
	look, err := remapped(t)
	if err != nil {
		return nil, err
	}
	return &Settings{Config: config, family: family, look: look}, nil
}

// Secret returns a secret of the family, without the end of line that a file may have;
// one that there is not is an [*Error].
func (s *Settings) Secret(ctx context.Context, key string) (string, error) {
	value, err := s.look(ctx, s.family+"."+key)
	return strings.TrimRight(value, "\r\n"), err
}

// OptionalSecret is Secret, but for one that there is not.
func (s *Settings) OptionalSecret(ctx context.Context, key string) (value string, found bool, err error) {
	value, err = s.Secret(ctx, key)
	var failure *Error
	if errors.As(err, &failure) && failure.Kind == "secret not found" {
		return "", false, nil
	}
	return value, err == nil, err
}

// Setting reads a setting: its secret first, then its parameter; without both it is
// missing.
func Setting[T any](ctx context.Context, s *Settings, key string, as params.Conversion[T], missing T) (T, error) {
	value, found, err := secretSetting(ctx, s, key, as)
	if err != nil || found {
		return value, err
	}
	return params.Optional(s.Config, key, as, missing)
}

// RequiredSetting is Setting for one that must be there.
func RequiredSetting[T any](ctx context.Context, s *Settings, key string, as params.Conversion[T]) (T, error) {
	value, found, err := secretSetting(ctx, s, key, as)
	if err != nil || found {
		return value, err
	}
	return params.Required(s.Config, key, as)
}

func secretSetting[T any](ctx context.Context, s *Settings, key string, as params.Conversion[T]) (value T, found bool, err error) {
	text, found, err := s.OptionalSecret(ctx, key)
	if err != nil || !found {
		return value, false, err
	}
	value, expected := as(text)
	if expected != "" { // the value is not told
		return value, false, configError("Expected %s for the secret '%s.%s'", expected, s.family, key)
	}
	return value, true, nil
}

// ProjectFile is a file of the project that is being written. It has its name after
// Commit only.
type ProjectFile struct {
	*os.File
	root       *os.Root
	name, temp string
}

// CreateInProject begins a file, named as seen from the task's working directory, which
// neither `..` nor a link may lead out of the project.
func CreateInProject(ctx context.Context, t *Task, name string) (*ProjectFile, error) {
	root, inside, err := inProject(ctx, t, name)
	if err != nil {
		return nil, configError("Failed to write %s: %v", name, err)
	}
	temp := filepath.Join(filepath.Dir(inside), fmt.Sprintf(".%s.%016x.tmp", filepath.Base(inside), rand.Uint64()))
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		_ = root.Close()
		var told *fs.PathError
		if errors.As(err, &told) {
			err = told.Err // without the name that nobody has given
		}
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return &ProjectFile{File: f, root: root, name: inside, temp: temp}, nil
}

// Commit gives the file its name.
func (f *ProjectFile) Commit() error {
	if err := f.File.Close(); err != nil {
		return err
	}
	if err := f.root.Rename(f.temp, f.name); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

// Close removes what was not committed. It may be deferred.
func (f *ProjectFile) Close() error {
	defer f.root.Close()
	if f.temp == "" {
		return nil
	}
	return errors.Join(f.File.Close(), f.root.Remove(f.temp))
}
