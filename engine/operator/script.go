package operator

import (
	"context"
	"path/filepath"
	"strconv"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

const defaultShell = "/bin/sh"

// runSh runs a text as a shell script (operators.md 6.1).
func runSh(ctx context.Context, t *Task) (*Result, error) {
	config, err := withDefaults(t.Config, "sh")
	if err != nil {
		return nil, err
	}
	shell, err := params.Optional(config, "shell", stringList, []string{defaultShell})
	if err != nil {
		return nil, err
	}
	text, err := params.Required(config, "_command", params.String)
	if err != nil {
		return nil, err
	}
	secret, err := remapped(t)
	if err != nil {
		return nil, err
	}
	text, private, err := fillIn(ctx, text, secret)
	if err != nil {
		return nil, err
	}
	own, err := ownVariables(ctx, t)
	if err != nil {
		return nil, err
	}
	scratch, err := t.Workspace.Scratch(ctx)
	if err != nil {
		return nil, err
	}
	script := scratchFile{
		path:     filepath.Join(scratch, runName("sh", t)),
		private:  private,
		reusable: readsAlone(shell),
	}
	dir, path, err := fromDir(ctx, t, script.path)
	if err != nil {
		return nil, err
	}
	defer func() { t.discard(script.discard) }()
	code, err := program{
		Command: command.Command{Args: arguments(shell, path), Dir: dir, Env: environment(inherited(t), config, own)},
		files:   script.path, prepare: func() error { return script.write(text) },
	}.run(ctx, t)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, &Error{Message: "Command failed with code " + strconv.Itoa(code), Kind: "runtime"}
	}
	return &Result{}, nil
}

// readsAlone tells whether the script has no reader but the program itself: a
// shell, of which no child reads on. Any other may be a wrapper that hands the
// script to a process which outlives it.
func readsAlone(shell []string) bool {
	if len(shell) != 1 {
		return false
	}
	switch filepath.Base(shell[0]) {
	case "sh", "bash", "dash":
		return true
	}
	return false
}
