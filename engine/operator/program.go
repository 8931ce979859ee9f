package operator

import (
	"context"
	"path/filepath"
	"strconv"

	"gitdag/engine/command"
	"gitdag/engine/params"
)

// fromDir returns the task's working directory, and the path of a file as seen
// from there.
func fromDir(ctx context.Context, t *Task, file string) (dir, relative string, err error) {
	if dir, err = t.Workspace.Dir(ctx); err != nil {
		return "", "", err
	}
	relative, err = filepath.Rel(dir, file)
	return dir, relative, err
}

// runProgram runs a program of the task to its end, with the task's log for its
// output, and returns its exit status. What is meant for a container never runs
// on the host instead (O7).
func runProgram(ctx context.Context, t *Task, c command.Command) (int, error) {
	if v, ok := t.Config.Lookup("docker"); ok && v != nil {
		return 0, &Error{Message: "docker: this task wants a container, and there is nothing to run one with", Kind: "config"}
	}
	c.Output = t.Log
	exit, err := t.Commands.Run(ctx, c)
	return exit.Code, err
}

// runName names what belongs to one execution of a task in the attempt's
// scratch directory.
func runName(kind string, t *Task) string {
	return kind + "-" + strconv.FormatUint(t.ID, 10) + "-" + strconv.Itoa(t.Execution)
}

// arguments is args with more at the end; args stays as it is.
func arguments(args []string, more ...string) []string {
	return append(args[:len(args):len(args)], more...)
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

// programWords takes a program's name, which is never split, or a list of it
// and its first arguments.
func programWords(v any) ([]string, string) {
	if text, ok := params.Text(v); ok && text != "" {
		return []string{text}, ""
	}
	if words, wrong := stringList(v); wrong == "" && len(words) > 0 {
		return words, ""
	}
	return nil, "string or array of strings"
}
