package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"gitdag/engine/command"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
	"gitdag/engine/secret"
)

// The values of a project's secrets stay between its operators and the world: what
// an execution hands to the journal, to its log or to people passes through here.
// Texts for people are masked. What later tasks are to compute with is refused,
// for *** is no value.

// mask returns the masker of an attempt's project, and the secrets of the attempt, of
// which it learns.
func (e *Engine) mask(ctx context.Context, a *flow.AttemptFacts) (*secret.Known, operator.Secrets) {
	secrets := e.options.Secrets(a)
	k := e.masks.Of(ctx, a.Project, secrets)
	if secrets == nil {
		return k, nil
	}
	return k, k.Watch(secrets)
}

// maskedLog is the log of an execution, without its project's secrets.
type maskedLog struct {
	TaskLog
	mask *secret.Known
	mu   sync.Mutex
	w    *secret.Writer
}

func newMaskedLog(log TaskLog, mask *secret.Known) *maskedLog {
	return &maskedLog{TaskLog: log, mask: mask, w: mask.Writer(log)}
}

func (l *maskedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// File gives the file only to the tasks of a project without secrets: others write
// through the mask.
func (l *maskedLog) File() (*os.File, error) {
	if l.mask.Masks() {
		return nil, errors.ErrUnsupported
	}
	return l.TaskLog.File()
}

// flush writes what may have been the beginning of a secret: nothing follows it
// before something else is told.
func (l *maskedLog) flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Flush()
}

func (l *maskedLog) Close() error { return errors.Join(l.flush(), l.TaskLog.Close()) }

// maskedCommands keeps secrets out of the arguments of programs that start
// containers.
type maskedCommands struct {
	command.Executor
	mask *secret.Known
}

// Run implements [command.Executor].
func (m maskedCommands) Run(ctx context.Context, c command.Command) (command.Exit, error) {
	if c.Container != nil && c.Container.Program != "" && m.mask.Masks() {
		in := *c.Container
		for _, entry := range c.Env {
			if name, value, _ := strings.Cut(entry, "="); m.mask.Finds(value) {
				in.Private = append(in.Private, name)
			}
		}
		c.Container = &in
	}
	return m.Executor.Run(ctx, c)
}

// maskedError is an error whose text does not tell secrets, nor does the
// [operator.Error] in it. It is what it was to [errors.Is].
type maskedError struct {
	error
	text   string
	object *operator.Error // masked; nil if there is none
}

func (m *maskedError) Error() string { return m.text }

func (m *maskedError) Unwrap() error { return m.error }

// As answers for the operator's error, so that nobody finds the one below.
func (m *maskedError) As(target any) bool {
	to, ok := target.(**operator.Error)
	if ok && m.object != nil {
		*to = m.object
	}
	return ok && m.object != nil
}

// maskError returns err, masked where it tells a secret.
func maskError(mask *secret.Known, err error) error {
	var poll *operator.Poll
	if err == nil || !mask.Masks() || errors.As(err, &poll) {
		return err
	}
	m := &maskedError{error: err, text: mask.Mask(err.Error())}
	var o *operator.Error
	if errors.As(err, &o) {
		m.object = &operator.Error{Message: mask.Mask(o.Message), Kind: mask.Mask(o.Kind), Extra: maskMap(mask, o.Extra)}
		if m.object.Message == o.Message && m.object.Kind == o.Kind && m.object.Extra == o.Extra && m.text == err.Error() {
			return err
		}
	}
	return m
}

// maskMap returns m without secrets, in whatever depth: m itself if there are none.
func maskMap(mask *secret.Known, m *params.Map) *params.Map {
	if m.Len() == 0 || !mask.Masks() || findSecret(mask, m) == nil {
		return m
	}
	return maskValue(mask, m).(*params.Map)
}

func maskValue(mask *secret.Known, v any) any {
	switch v := v.(type) {
	case string:
		return mask.Mask(v)
	case params.Template:
		return params.Template(mask.Mask(string(v)))
	case params.Number:
		if mask.Finds(string(v)) {
			return mask.Mask(string(v))
		}
	case params.List:
		list := make(params.List, len(v))
		for i := range v {
			list[i] = maskValue(mask, v[i])
		}
		return list
	case *params.Map:
		m := params.NewMap(v.Len())
		for key, value := range v.All() {
			m.Set(mask.Mask(key), maskValue(mask, value))
		}
		return m
	}
	return v
}

// findSecret returns the path to a text in v that contains a secret; nil if there
// is none. A key that contains one ends it as ***.
func findSecret(mask *secret.Known, v any) []string {
	switch v := v.(type) {
	case string:
		return foundIn(mask, v)
	case params.Template:
		return foundIn(mask, string(v))
	case params.Number:
		return foundIn(mask, string(v))
	case params.List:
		for i := range v {
			if path := findSecret(mask, v[i]); path != nil {
				return append([]string{fmt.Sprint(i)}, path...)
			}
		}
	case *params.Map:
		for key, value := range v.All() {
			if mask.Finds(key) {
				return []string{"***"}
			}
			if path := findSecret(mask, value); path != nil {
				return append([]string{key}, path...)
			}
		}
	}
	return nil
}

// foundIn returns the empty path if a text contains a secret.
func foundIn(mask *secret.Known, text string) []string {
	if mask.Finds(text) {
		return []string{}
	}
	return nil
}
