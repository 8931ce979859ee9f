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
	x, err := newExchange(ctx, t)
	if err != nil {
		return nil, err
	}
	defer operator.Discard(t, x.discard)
	var files operator.Exchange
	if operator.WantsContainer(t) {
		if !p.own {
			return nil, operator.ConfigError("docker: %s is a program of this machine, which a container does not see: put it into the project, as operators/%s",
				p.name, t.Type)
		}
		// A container is given no descriptors, only the project's files.
		c.Args = []string{"/bin/sh", "-c", `exec "$0" <"$1" 3>"$2"`, p.file, x.request(), x.answer()}
		files = operator.Exchange{Dir: x.dir, Prepare: func() error { return x.ask(request) }}
	} else {
		c.Args = []string{p.file}
		c.Input = request.text
		if c.Result, err = x.open(); err != nil {
			return nil, err
		}
	}
	code, err := operator.RunProgram(ctx, t, c, files)
	if err != nil {
		return nil, err
	}
	return p.outcome(x, code)
}

// request is what a program is told: one JSON object.
type request struct {
	text    []byte
	private bool // it has secrets
}

func (p *program) request(ctx context.Context, t *operator.Task) (*request, error) {
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
	text := params.AppendJSON(nil, params.Of(
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
	))
	return &request{text: append(text, '\n'), private: secrets.Len() > 0}, nil
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

// exchange is the directory of one execution.
type exchange struct {
	dir    string
	result *os.File // without a container: for the answer, and without a name
}

func newExchange(ctx context.Context, t *operator.Task) (*exchange, error) {
	scratch, err := t.Workspace.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	return &exchange{dir: filepath.Join(scratch, fmt.Sprintf("operator-%d-%d", t.ID, t.Execution))}, nil
}

func (x *exchange) request() string { return filepath.Join(x.dir, "request.json") }

func (x *exchange) answer() string { return filepath.Join(x.dir, "result.json") }

// open makes a file for the answer, and forgets its name.
func (x *exchange) open() (*os.File, error) {
	err := os.RemoveAll(x.dir)
	if err == nil {
		x.result, err = os.OpenFile(x.dir, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err == nil {
		err = os.Remove(x.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("make a scratch file: %w", err)
	}
	return x.result, nil
}

// ask makes the directory, in which every account may write: who a container's user
// is, is not known here. With secrets the request is for the agent's alone. What a
// crashed run left is not this run's answer.
func (x *exchange) ask(r *request) error {
	mode := os.FileMode(0o644)
	if r.private {
		mode = 0o600
	}
	err := os.RemoveAll(x.dir)
	if err == nil {
		err = os.Mkdir(x.dir, 0o755)
	}
	if err == nil {
		err = os.Chmod(x.dir, 0o777|os.ModeSticky)
	}
	if err == nil {
		err = os.WriteFile(x.request(), r.text, mode)
	}
	if err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	return nil
}

func (x *exchange) discard() {
	if x.result != nil {
		_ = x.result.Close()
		return
	}
	_ = os.RemoveAll(x.dir)
}
