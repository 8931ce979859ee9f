package operator

import (
	"context"
	"slices"
	"strings"

	"gitdag/engine/params"
)

// withDefaults lays config over the maps that it holds under the given keys,
// the first of which wins (operators.md 2.2).
func withDefaults(config *params.Map, keys ...string) (*params.Map, error) {
	var base *params.Map
	for _, key := range slices.Backward(keys) {
		defaults, err := params.Optional(config, key, params.Object, nil)
		if err != nil {
			return nil, err
		}
		base = params.Merge(base, defaults)
	}
	if base.Len() == 0 {
		return config, nil
	}
	return params.Merge(base, config), nil
}

// ownVariables returns the task's `_env` with its secrets, texts only
// (operators.md 3.4). It counts only where the task itself has one.
func ownVariables(ctx context.Context, t *Task) (*params.Map, error) {
	given, err := params.Optional(t.Local, "_env", params.Object, nil)
	if err != nil {
		return nil, err
	}
	vars := params.NewMap(given.Len())
	for name := range given.All() {
		if !isVariable(name) {
			return nil, configError("Invalid _env key name: %s", name)
		}
		text, err := params.Required(given, name, params.String)
		if err != nil {
			return nil, err
		}
		if text, _, err = fillIn(ctx, text, t.Secrets.Secret); err != nil {
			return nil, err
		}
		vars.Set(name, text)
	}
	return vars, nil
}

// runVariable marks the processes of an execution; nothing may hide it.
const runVariable = "GITDAG_RUN"

// environment lays variables over what a child process inherits: of vars what
// can be a variable, then own, where nothing is null. Texts stay as they are,
// other values become JSON in Java's notation (L65), null sets nothing (L64).
// Every name is there once, so that no program has to choose.
func environment(inherited []string, vars, own *params.Map) []string {
	env := make([]string, 0, len(inherited)+vars.Len()+own.Len())
	for _, entry := range inherited {
		name, _, _ := strings.Cut(entry, "=")
		if name == runVariable || !own.Has(name) && !isParameterVariable(vars, name) {
			env = append(env, entry)
		}
	}
	for name, value := range vars.All() {
		if value != nil && isPassed(name) && !own.Has(name) {
			env = append(env, name+"="+params.EnvText(value))
		}
	}
	for name, value := range own.All() {
		if isPassed(name) {
			env = append(env, name+"="+params.EnvText(value))
		}
	}
	return env
}

func isParameterVariable(vars *params.Map, name string) bool {
	value, _ := vars.Lookup(name)
	return value != nil && isPassed(name)
}

// isPassed tells whether a parameter becomes a variable. `_secrets` says where
// secrets are found, which is nobody else's business.
func isPassed(name string) bool {
	return isVariable(name) && name != runVariable && name != "_secrets"
}

func isVariable(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
