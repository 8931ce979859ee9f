package operator

import (
	"context"
	_ "embed"
	"strconv"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

//go:embed runner/runner.rb
var rubyRunner string

// runRb calls a Ruby method (operators.md 6.3).
func runRb(ctx context.Context, t *Task) (*Result, error) {
	config, err := withDefaults(t.Config, "rb")
	if err != nil {
		return nil, err
	}
	ruby, err := params.Optional(config, "ruby", programWords, []string{"ruby"})
	if err != nil {
		return nil, err
	}
	feature, err := params.Optional(config, "require", params.String, "")
	if err != nil {
		return nil, err
	}
	runner, args, err := calledScript(config, rubyRunner)
	if err != nil {
		return nil, err
	}
	if args == nil { // a script of the task's own: the runner sees to this itself, and tells what is wrong
		ruby = arguments(ruby, "-I", ".")
		if feature != "" {
			ruby = arguments(ruby, "-r", feature)
		}
	}
	own, err := ownVariables(ctx, t)
	if err != nil {
		return nil, err
	}
	x, err := newExchange(ctx, t, runnerFile+".rb")
	if err != nil {
		return nil, err
	}
	defer func() { t.discard(x.discard) }()
	code, err := program{
		Command: command.Command{
			Args: arguments(arguments(ruby, "--"), x.args(args...)...), Dir: x.workdir, Env: environment(inherited(t), nil, own),
		},
		files: x.dir, prepare: func() error { return x.ask(runner, config) },
	}.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, rubyFailure(x, code)
	}
	return x.result()
}

// rubyFailure returns the failure of a script: with the error that it answered
// with, if it could.
func rubyFailure(x *exchange, code int) *Error {
	message := "Ruby command failed with code " + strconv.Itoa(code)
	reason, err := x.failure()
	switch {
	case err != nil:
		message += "\nIts error cannot be told: " + err.Error()
	case reason != nil:
		message += ": " + reason.String()
	}
	return &Error{Message: message, Kind: "runtime"}
}
