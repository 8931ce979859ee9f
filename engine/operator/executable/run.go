package executable

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// protocol is the version of what a program is told and answers.
const protocol = "1"

// run runs the program once.
func (p *program) run(ctx context.Context, t *operator.Task) (*operator.Result, error) {
	request, err := p.request(ctx, t)
	if err != nil {
		return nil, err
	}
	c := command.Command{Label: p.name}
	if c.Env, err = operator.Environment(ctx, t); err != nil {
		return nil, err
	}
	if c.Dir, err = t.Workspace.Dir(ctx); err != nil {
		return nil, err
	}
	files, err := p.exchange(ctx, t)
	if err != nil {
		return nil, err
	}
	defer files.discard()
	if v, _ := t.Config.Lookup("docker"); v != nil {
		if !p.own {
			return nil, operator.ConfigError("docker: %s is a program of this machine, which a container does not see: put it into the project, as operators/%s",
				p.name, t.Type)
		}
		if err := files.ask(request); err != nil {
			return nil, err
		}
		// A container is given no descriptors, only the project's files.
		c.Args = []string{"/bin/sh", "-c", `exec "$0" <"$1" 3>"$2"`, p.file, files.request, files.answer}
	} else {
		c.Args = []string{p.file}
		c.Input = request
		if c.Result, err = files.open(); err != nil {
			return nil, err
		}
	}
	code, err := operator.RunProgram(ctx, t, c)
	if err != nil {
		return nil, err
	}
	return p.outcome(files, code)
}

// request is what the program reads on its standard input: one JSON object.
func (p *program) request(ctx context.Context, t *operator.Task) ([]byte, error) {
	m, err := p.manifest()
	if err != nil {
		return nil, err
	}
	secrets, err := m.secrets(ctx, t)
	if err != nil {
		return nil, err
	}
	config, err := operator.WithDefaults(t, t.Type)
	if err != nil {
		return nil, err
	}
	command, _ := config.Lookup("_command")
	state := t.State
	if state == nil {
		state = params.NewMap(0)
	}
	return append(params.AppendJSON(nil, params.Of(
		"protocol", params.Number(protocol),
		"operator", t.Type,
		"task", params.Of(
			"name", t.FullName, "id", strconv.FormatUint(t.ID, 10), "execution", params.Number(strconv.Itoa(t.Execution)),
			"key", t.Key, "time", t.Now.In(zone(t)).Format(time.RFC3339),
		),
		"command", command,
		"options", without(t.Local),
		"params", without(config),
		"state", state,
		"secrets", secrets,
	)), '\n'), nil
}

func zone(t *operator.Task) *time.Location {
	if t.Zone == nil {
		return time.UTC
	}
	return t.Zone
}

// without leaves out `_secrets`, which says where secrets are found.
func without(m *params.Map) *params.Map {
	m = m.Clone()
	m.Delete("_secrets")
	return m
}

// secrets looks up what the manifest asks for.
func (m *manifest) secrets(ctx context.Context, t *operator.Task) (*params.Map, error) {
	look, err := operator.LookUp(t)
	if err != nil {
		return nil, err
	}
	found := params.NewMap(len(m.required) + len(m.optional))
	for _, key := range m.required {
		value, err := look(ctx, key)
		if err != nil {
			return nil, err
		}
		found.Set(key, value)
	}
	for _, key := range m.optional {
		value, err := look(ctx, key)
		var failure *operator.Error
		switch {
		case errors.As(err, &failure) && failure.Kind == "secret not found":
		case err != nil:
			return nil, err
		default:
			found.Set(key, value)
		}
	}
	return found, nil
}

// exchange are the files of one execution. Without a container they have no names
// for longer than it takes to open them.
type exchange struct {
	request, answer string
	result          *os.File // nil until it is opened
}

func (p *program) exchange(ctx context.Context, t *operator.Task) (*exchange, error) {
	scratch, err := t.Workspace.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(scratch, fmt.Sprintf("operator-%d-%d", t.ID, t.Execution))
	return &exchange{request: base + ".request", answer: base + ".answer"}, nil
}

// open makes the file for the answer, and forgets its name.
func (x *exchange) open() (*os.File, error) {
	if err := os.Remove(x.answer); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("make a scratch file: %w", err)
	}
	f, err := os.OpenFile(x.answer, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make a scratch file: %w", err)
	}
	x.result = f
	if err := os.Remove(x.answer); err != nil {
		return nil, fmt.Errorf("make a scratch file: %w", err)
	}
	return f, nil
}

// ask writes the request, which may hold secrets, for the agent's account alone.
func (x *exchange) ask(request []byte) error {
	for _, name := range []string{x.request, x.answer} {
		if err := os.RemoveAll(name); err != nil {
			return fmt.Errorf("make a scratch file: %w", err)
		}
	}
	if err := os.WriteFile(x.request, request, 0o600); err != nil {
		return fmt.Errorf("make a scratch file: %w", err)
	}
	return nil
}

func (x *exchange) discard() {
	if x.result != nil {
		_ = x.result.Close()
		return
	}
	_ = os.Remove(x.request)
	_ = os.Remove(x.answer)
}
