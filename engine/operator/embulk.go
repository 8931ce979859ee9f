package operator

import (
	"context"
	"path/filepath"
	"strconv"

	"gitdag/engine/command"
	"gitdag/engine/dig"
	"gitdag/engine/params"
)

// loadFile is the configuration as Embulk gets it.
const loadFile = "load.yml"

// runEmbulk runs Embulk, which must be installed, with a configuration: a file of the
// project, which is a template and in which `${secret:…}` is filled in, or the
// parameter `config` as it is (operators.md 6.4).
func runEmbulk(ctx context.Context, t *Task) (*Result, error) {
	config, err := withDefaults(t.Config, "embulk")
	if err != nil {
		return nil, err
	}
	own, err := ownVariables(ctx, t)
	if err != nil {
		return nil, err
	}
	x, err := newExchange(ctx, t, loadFile)
	if err != nil {
		return nil, err
	}
	defer func() { t.discard(x.discard) }()
	code, err := program{
		Command: command.Command{
			Args: []string{"embulk", "run", filepath.Join(x.path, loadFile)}, Dir: x.workdir, Env: environment(inherited(t), nil, own),
		},
		files: x.dir, prepare: func() error { return writeLoad(ctx, t, config, x) },
	}.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, &Error{Message: "Command failed with code " + strconv.Itoa(code), Kind: "runtime"}
	}
	return &Result{}, nil
}

// writeLoad writes the configuration as Embulk gets it.
func writeLoad(ctx context.Context, t *Task, config *params.Map, x *exchange) error {
	if err := x.make(); err != nil {
		return err
	}
	load, err := embulkConfig(ctx, t, config, x)
	if err != nil {
		return err
	}
	// Of what YAML can say, JSON is a part. Secrets may be in it.
	file := scratchFile{path: filepath.Join(x.dir, loadFile), private: true}
	return file.write(string(params.AppendJSON(nil, load)) + "\n")
}

func embulkConfig(ctx context.Context, t *Task, config *params.Map, x *exchange) (any, error) {
	if !config.Has("_command") {
		return params.Required(config, "config", params.Object)
	}
	name, err := params.Required(config, "_command", params.String)
	if err != nil {
		return nil, err
	}
	text, err := templateFile(ctx, t, config, name)
	if err != nil {
		return nil, err
	}
	file := scratchFile{path: filepath.Join(x.dir, filepath.Base(name)), private: true}
	if err := file.write(text); err != nil {
		return nil, err
	}
	load, err := dig.LoadParams(file.path)
	if err != nil {
		return nil, configError("Failed to load %s: %v", name, err)
	}
	secret, err := remapped(t)
	if err != nil {
		return nil, err
	}
	return fillInAll(ctx, load, secret)
}

// fillInAll fills in the secrets of all texts of a value, those of keys included.
func fillInAll(ctx context.Context, v any, secret lookUp) (any, error) {
	switch v := v.(type) {
	case *params.Map:
		filled := params.NewMap(v.Len())
		for key, value := range v.All() {
			key, _, err := fillIn(ctx, key, secret)
			if err != nil {
				return nil, err
			}
			if value, err = fillInAll(ctx, value, secret); err != nil {
				return nil, err
			}
			filled.Set(key, value)
		}
		return filled, nil
	case params.List:
		filled := make(params.List, len(v))
		for i, item := range v {
			var err error
			if filled[i], err = fillInAll(ctx, item, secret); err != nil {
				return nil, err
			}
		}
		return filled, nil
	}
	text, ok := params.Text(v)
	if !ok {
		return v, nil
	}
	text, _, err := fillIn(ctx, text, secret)
	return text, err
}
