package operator

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os/exec"
	"strconv"

	"gitdag/engine/command"
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
	runner, args, err := calledScript(config, pythonRunner)
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
	defer func() { t.discard(x.discard) }()
	code, err := runPython(ctx, t, python, program{
		Command: command.Command{Args: x.args(args...), Dir: x.workdir, Env: environment(inherited(t), nil, own)},
		files:   x.dir, prepare: func() error { return x.ask(runner, config) },
	})
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, pythonFailure(x, code)
	}
	return x.result()
}

// runPython runs a script with the given Python, or the one that there is: many
// systems have it as `python3` only (O11). Of p the arguments are the script's.
func runPython(ctx context.Context, t *Task, python []string, p program) (int, error) {
	with := func(python []string) (int, error) {
		started := p
		started.Args = arguments(python, p.Args...)
		return started.run(ctx, t)
	}
	if python != nil {
		return with(python)
	}
	code, err := with([]string{"python"})
	if !errors.Is(err, exec.ErrNotFound) {
		return code, err
	}
	code, err = with([]string{"python3"})
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
