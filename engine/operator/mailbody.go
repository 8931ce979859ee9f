package operator

import (
	"context"
	"fmt"
	"io"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"gitdag/engine/params"
)

// Evaluator replaces each `${…}` of a file's text by its value.
type Evaluator interface {
	Text(ctx context.Context, text string, vars *params.Map, zone *time.Location) (string, error)
}

// maxTextFile bounds the text of a command that is read from a file.
const maxTextFile = 16 << 20

// commandText returns the text that a command stands for (operators.md 2.3): of an
// object its `data`, of a text the file of that name, which is a template, and
// without a command the parameter of another name.
func commandText(ctx context.Context, t *Task, config *params.Map, alias string) (string, error) {
	command, _ := config.Lookup("_command")
	if command == nil {
		return params.Required(config, alias, params.String)
	}
	if object, ok := command.(*params.Map); ok {
		return params.Required(object, "data", params.String)
	}
	name, err := params.Required(config, "_command", params.String)
	if err != nil {
		return "", err
	}
	return templateFile(ctx, t, config, name)
}

// templateFile returns the text of a file of the project with the values of its `${…}`.
func templateFile(ctx context.Context, t *Task, config *params.Map, name string) (string, error) {
	text, err := readText(ctx, t, name)
	if err != nil {
		return "", configError("Failed to load a template file: %s: %v", name, err)
	}
	if text, err = t.Evaluator.Text(ctx, text, config, t.Zone); err != nil {
		if ctx.Err() != nil {
			return "", err
		}
		return "", configError("Failed to evaluate the template file %s: %v", name, err)
	}
	return text, nil
}

func readText(ctx context.Context, t *Task, name string) (string, error) {
	f, err := openInProject(ctx, t, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTextFile+1))
	switch {
	case err != nil:
		return "", err
	case len(text) > maxTextFile:
		return "", fmt.Errorf("it is larger than %d bytes", maxTextFile)
	case !utf8.Valid(text):
		return "", fmt.Errorf("it is not UTF-8")
	}
	return string(text), nil
}

// inProject returns the project's root, which the caller closes, and the path below it of
// a file that is named as seen from the task's working directory.
func inProject(ctx context.Context, t *Task, name string) (root *os.Root, inside string, err error) {
	project, err := t.Workspace.Project(ctx)
	if err != nil {
		return nil, "", err
	}
	dir, err := t.Workspace.Dir(ctx)
	if err != nil {
		return nil, "", err
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	inside, err = filepath.Rel(project, name)
	if err != nil || !filepath.IsLocal(inside) {
		return nil, "", fmt.Errorf("it is outside of the project")
	}
	root, err = os.OpenRoot(project)
	return root, inside, err
}

// openInProject opens a regular file, named as seen from the task's working directory,
// which neither `..` nor a link may lead out of the project.
func openInProject(ctx context.Context, t *Task, name string) (*os.File, error) {
	root, inside, err := inProject(ctx, t, name)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(inside)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, fmt.Errorf("it is not a regular file")
	}
	return f, nil
}

// attachment is a file that goes with a mail.
type attachment struct {
	name, kind string
	file       *os.File
}

// readAttachments opens the files of `attach_files`.
func readAttachments(ctx context.Context, t *Task, config *params.Map) (files []attachment, err error) {
	list, err := params.Optional(config, "attach_files", params.Array, nil)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			closeAll(files)
		}
	}()
	for _, item := range list {
		options, ok := item.(*params.Map)
		if !ok {
			return files, configError("Expected object type for each of 'attach_files' but got %s", sample(item))
		}
		a, err := readAttachment(ctx, t, options)
		if err != nil {
			return files, err
		}
		files = append(files, a)
	}
	return files, nil
}

func readAttachment(ctx context.Context, t *Task, options *params.Map) (a attachment, err error) {
	name, err := params.Required(options, "path", params.String)
	if err != nil {
		return a, err
	}
	// The base name (O14).
	if a.name, err = params.Optional(options, "filename", params.String, path.Base(filepath.ToSlash(name))); err != nil {
		return a, err
	}
	if a.kind, err = params.Optional(options, "content_type", params.String, "application/octet-stream"); err != nil {
		return a, err
	}
	if _, _, err := mime.ParseMediaType(a.kind); err != nil || strings.ContainsAny(a.kind, "\r\n") {
		return a, configError("Parameter 'content_type' of %s is no media type: %s", name, sample(a.kind))
	}
	if a.file, err = openInProject(ctx, t, name); err != nil {
		return a, configError("Failed to attach %s: %v", name, err)
	}
	return a, nil
}

func closeAll(files []attachment) {
	for _, a := range files {
		_ = a.file.Close() // only read
	}
}

func (l *letter) close() { closeAll(l.files) }
