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
		path:     filepath.Join(scratch, "sh-"+strconv.FormatUint(t.ID, 10)+"-"+strconv.Itoa(t.Execution)),
		private:  private,
		reusable: readsAlone(shell),
	}
	defer script.discard()
	if err := script.write(text); err != nil {
		return nil, err
	}
	return runCommand(ctx, t, shell, script.path, environment(t.Environ, config, own))
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

// runCommand runs program with the file as its last argument, as seen from the
// task's working directory, and turns its exit status into the task's outcome.
func runCommand(ctx context.Context, t *Task, program []string, file string, env []string) (*Result, error) {
	dir, err := t.Workspace.Dir(ctx)
	if err != nil {
		return nil, err
	}
	if file, err = filepath.Rel(dir, file); err != nil {
		return nil, err
	}
	exit, err := t.Commands.Run(ctx, command.Command{
		Args: append(program[:len(program):len(program)], file), Dir: dir, Env: env, Output: t.Log,
	})
	if err != nil {
		return nil, err
	}
	if exit.Code != 0 {
		return nil, &Error{Message: "Command failed with code " + strconv.Itoa(exit.Code), Kind: "runtime"}
	}
	return &Result{}, nil
}

// stringList takes lists of texts.
func stringList(v any) ([]string, string) {
	const expected = "array of strings"
	list, ok := v.(params.List)
	if !ok {
		return nil, expected
	}
	texts := make([]string, len(list))
	for i, item := range list {
		var wrong string
		if texts[i], wrong = params.String(item); wrong != "" {
			return nil, expected
		}
	}
	return texts, ""
}
