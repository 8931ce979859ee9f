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

// program is a program of a task.
type program struct {
	command.Command
	// files is what prepare writes for the program, and the program for us. Nil
	// prepare writes nothing.
	files   string
	prepare func() error
}

// run runs the program to its end, with the task's log for its output, and returns
// its exit status. What is meant for a container never runs on the host instead
// (O7).
func (p program) run(ctx context.Context, t *Task) (int, error) {
	c := p.Command
	c.Output = t.Log
	var err error
	if c.Container, err = container(ctx, t); err != nil {
		return 0, err
	}
	switch {
	case c.Container != nil:
		c.Container.Files, c.Container.Prepare = p.files, p.prepare
	case p.prepare != nil:
		if err := p.prepare(); err != nil {
			return 0, err
		}
	}
	exit, err := t.Commands.Run(ctx, c)
	t.lasting = c.Container != nil && err == nil
	return exit.Code, err
}

// discard removes the files of a program that has run: those of a container when
// the result is safe, for without it they are what the next agent goes on from.
func (t *Task) discard(remove func()) {
	if t.lasting && t.Later != nil {
		t.Later(remove)
		return
	}
	remove()
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
