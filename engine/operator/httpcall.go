package operator

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gitdag/engine/params"
)

// HTTPCall returns the operator `http_call>` (operators.md 7.2).
func HTTPCall(client HTTPClient) Entry {
	client = client.withDefaults()
	run := func(ctx context.Context, t *Task) (*Result, error) { return runHTTPCall(ctx, t, client) }
	return Entry{Operator: operatorFunc(run), Retries: true}
}

// runHTTPCall embeds a workflow file that a server answers with.
func runHTTPCall(ctx context.Context, t *Task, client HTTPClient) (*Result, error) {
	config, err := withDefaults(t.Config, "http")
	if err != nil {
		return nil, err
	}
	kind, err := params.Optional(config, "content_type_override", params.String, "")
	if err != nil {
		return nil, err
	}
	r, err := readRequest(ctx, t, requestOptions{config: config, client: client})
	if err != nil {
		return nil, err
	}
	r.limit = client.MaxDocument
	answer, err := r.exchange(ctx, t)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		answer.kind = kind
	}
	text, ok := answer.text(client.MaxDocument)
	if !ok {
		return nil, r.failed("the document is too large: it has more than %d characters", client.MaxDocument)
	}
	if text, err = documentText(answer.kind, text); err != nil {
		return nil, r.failed("%v", err)
	}
	subtasks, err := callText(ctx, t, text)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, r.failed("the document cannot be run: %v", err)
	}
	return &Result{Subtasks: subtasks}, nil
}

// documentText returns a document as YAML.
func documentText(kind, text string) (string, error) {
	if kind == "" {
		return "", errors.New("the answer has no Content-Type: set content_type_override")
	}
	name, _, err := mime.ParseMediaType(kind)
	if err != nil {
		return "", fmt.Errorf("the answer has a Content-Type that cannot be read, %s: set content_type_override", sample(kind))
	}
	switch name {
	case "application/x-yaml", "application/yaml":
		return text, nil
	case "application/json":
		v, err := params.Parse([]byte(text))
		if err != nil {
			return "", fmt.Errorf("the document is no JSON: %w", err)
		}
		return string(params.AppendJSON(nil, v)), nil // of JSON's notations those that YAML has, too
	}
	return "", fmt.Errorf("the answer has the Content-Type %s, which is neither application/json nor application/x-yaml: "+
		"set content_type_override", name)
}

// callText embeds the text of a workflow file: as if that were in the working
// directory, from where it can include others. It is there for as long as it is
// read, under a name that no workflow has.
func callText(ctx context.Context, t *Task, text string) (*params.Map, error) {
	root, err := t.Workspace.Project(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := t.Workspace.Dir(ctx)
	if err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".http_call-*.dig")
	if err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	file, err := projectFile(root, dir, filepath.Base(f.Name()))
	if err != nil {
		return nil, err
	}
	subtasks, err := t.Files.CallFile(root, file)
	if err != nil {
		// What is wrong is told with its place, of which the file's name is no part.
		return nil, errors.New(strings.ReplaceAll(err.Error(), path.Base(file), "http_call.dig"))
	}
	return subtasks, nil
}
