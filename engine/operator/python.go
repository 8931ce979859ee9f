package operator

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"gitdag/engine/params"
)

//go:embed runner/runner.py
var pythonRunner string

// runPy calls a Python function or method (operators.md 6.2).
func runPy(ctx context.Context, t *Task) (*Result, error) {
	config, err := withDefaults(t.Config, "py")
	if err != nil {
		return nil, err
	}
	python, err := params.Optional(config, "python", programWords, nil)
	if err != nil {
		return nil, err
	}
	runner, args, err := pythonScript(config)
	if err != nil {
		return nil, err
	}
	own, err := ownVariables(ctx, t)
	if err != nil {
		return nil, err
	}
	x, err := newExchange(ctx, t, runnerFile+".py")
	if err != nil {
		return nil, err
	}
	defer x.discard()
	if err := x.ask(runner, config); err != nil {
		return nil, err
	}
	code, err := runPython(ctx, t, x.workdir, python, x.args(args...), environment(t.Environ, nil, own))
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, pythonFailure(x, code)
	}
	return x.result()
}

// pythonScript returns the script that runs and its first argument, the method
// to call. Without a command the parameter `script` takes the runner's place.
func pythonScript(config *params.Map) (text string, args []string, err error) {
	if !config.Has("_command") {
		text, err = params.Required(config, "script", params.String)
		return text, nil, err
	}
	method, err := params.Required(config, "_command", params.String)
	return pythonRunner, []string{method}, err
}

// runPython runs the given Python, or the one that there is: many systems have
// it as `python3` only (O11).
func runPython(ctx context.Context, t *Task, dir string, python, args, env []string) (int, error) {
	if python != nil {
		return runProgram(ctx, t, dir, arguments(python, args...), env)
	}
	code, err := runProgram(ctx, t, dir, arguments([]string{"python"}, args...), env)
	if !errors.Is(err, exec.ErrNotFound) {
		return code, err
	}
	code, err = runProgram(ctx, t, dir, arguments([]string{"python3"}, args...), env)
	if errors.Is(err, exec.ErrNotFound) {
		err = fmt.Errorf("neither python nor python3 is there: %w", err)
	}
	return code, err
}

// pythonFailure returns the failure of a script: with the error that it
// answered with, if it could.
func pythonFailure(x *exchange, code int) *Error {
	message := "Python command failed with code " + strconv.Itoa(code)
	reason, err := x.failure()
	switch {
	case err != nil:
		message += "\nIts error cannot be told: " + err.Error()
	case reason != nil:
		message += "\nError messages from python: " + reason.String()
	}
	return &Error{Message: message, Kind: "runtime"}
}
