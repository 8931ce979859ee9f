package operator_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gitdag/engine/dig"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// projectFiles reads workflow files as the engine does.
type projectFiles struct{}

func (projectFiles) CallFile(root, file string) (*params.Map, error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dig.CallFile(dir, file)
}

// library is a server of one document.
type library struct {
	*web
	kind, document string
}

func newLibrary(t *testing.T) *library {
	l := &library{}
	l.web = newWeb(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if l.kind != "" {
			w.Header().Set("Content-Type", l.kind)
		}
		_, _ = io.WriteString(w, l.document)
	})
	return l
}

func (p *project) httpCall(own ...any) *operator.Task {
	p.t.Helper()
	task := p.task(own...)
	task.Files = projectFiles{}
	return task
}

func TestHTTPCall(t *testing.T) {
	l := newLibrary(t)
	p := newProject(t)
	p.write("sub/parts/tables.yml", "from: raw\n", 0o644)
	p.workdir = "sub"
	const yaml = "_export:\n  x: 1\n+a:\n  echo>: ${x}\n"
	plain := params.Of("_export", params.Of("x", 1, "_workdir", tmpl("sub")), "+a", params.Of("echo>", tmpl("${x}")))
	for _, tt := range []struct {
		kind, override, document string
		want                     *params.Map
	}{
		{"application/x-yaml", "", yaml, plain},
		{"application/yaml; charset=utf-8", "", yaml, plain},
		{"APPLICATION/JSON", "", `{"_export": {"x": 1}, "+a": {"echo>": "\u0024{x}"}}`, plain},
		{"text/plain", "application/json", `{"_export":{"x":1},` + "\t" + `"+a":{"echo>":"${x}"}}`, plain},
		{"", "application/x-yaml; charset=utf-8", yaml, plain},
		{"application/json", "", `{"+a": {"echo>": "\ud83d\ude00\/\u00e9\n: #", "n": "12", "f": true}}`, params.Of(
			"_export", params.Of("_workdir", tmpl("sub")), "+a", params.Of("echo>", tmpl("\U0001f600/é\n: #"), "n", tmpl("12"), "f", true))},
		{"application/x-yaml; charset=iso-8859-1", "", "+a:\n  echo>: gr\xfc\xdfe\n", params.Of(
			"_export", params.Of("_workdir", tmpl("sub")), "+a", params.Of("echo>", tmpl("grüße")))},
		{"application/x-yaml", "", "_export:\n  !include : parts/tables.yml\n+a:\n  echo>: ${from}\n", params.Of(
			"_export", params.Of("from", tmpl("raw"), "_workdir", tmpl("sub")), "+a", params.Of("echo>", tmpl("${from}")))},
	} {
		l.kind, l.document = tt.kind, tt.document
		task := p.httpCall("http_call>", l.URL+"/${secret:name}", "content_type_override", tt.override, "method", "post", "content", "b")
		task.Secrets = secrets{"name": "n", "http.uri": "http://127.0.0.1:1/not-used", "http.user": "joe"}
		got := mustRun(t, task)
		if encoded(got.Subtasks) != encoded(tt.want) || got.Store.Len() != 0 || len(got.Reset) != 0 {
			t.Errorf("%s: got %s, stored %s, want %s", tt.document, encoded(got.Subtasks), encoded(got.Store), encoded(tt.want))
		}
		if got, want := l.lines(), "POST /n b"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(p.root, "sub")); err != nil || len(entries) != 1 {
		t.Errorf("got files %v, %v, want only what was there", entries, err)
	}
}

func TestHTTPCallRefuses(t *testing.T) {
	l := newLibrary(t)
	p := newProject(t)
	for _, tt := range []struct{ kind, document, want string }{
		{"", "{}", "the answer has no Content-Type: set content_type_override"},
		{"text/html", "{}", "the answer has the Content-Type text/html, which is neither application/json nor application/x-yaml: set content_type_override"},
		{"a b", "{}", `the answer has a Content-Type that cannot be read, "a b": set content_type_override`},
		{"application/json", "{", "the document is no JSON: "},
		{"application/json", "[1]", "the document cannot be run: http_call.dig:1:1: "},
		{"application/json", `{"+a": {"echo>": 1, "sh>": 2}}`, ""},
		{"application/x-yaml", "+a: [", "the document cannot be run: http_call.dig:"},
		{"application/x-yaml", "+a:\n  !include : ../x\n", "the document cannot be run: http_call.dig:2:"},
		{"application/x-yaml", strings.Repeat("#", 65537), "the document is too large: it has more than 65536 characters"},
		{"application/x-yaml", strings.Repeat("#", 1<<20), "the document is too large: it has more than 65536 characters"},
	} {
		l.kind, l.document = tt.kind, tt.document
		_, err := run(t, p.httpCall("http_call>", l.URL))
		if tt.want == "" {
			continue // what is wrong with a task is seen when it is compiled
		}
		if want := "HTTP request failed: GET " + l.URL + ": " + tt.want; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s, %.30s: got %v, want %s", tt.kind, tt.document, err, want)
		}
	}
	if entries, err := os.ReadDir(p.root); err != nil || len(entries) != 0 {
		t.Errorf("got files %v, %v, want none", entries, err)
	}
	l.kind, l.document = "application/x-yaml", "+a:\n  echo>: b\n"
	small := operator.HTTPCall(operator.HTTPClient{MaxDocument: 5}).Operator
	if _, err := small.Run(t.Context(), p.httpCall("http_call>", l.URL)); err == nil || !strings.Contains(err.Error(), "more than 5 characters") {
		t.Errorf("got %v, want a failure", err)
	}
	wantFailure(t, p.httpCall("http_call>", nil), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.httpCall("http_call>", l.URL, "content_type_override", []any{}),
		"Expected string type for key 'content_type_override' but got [] (array) (config)")
	wantFailure(t, p.httpCall("http_call>", l.URL, "http", 1), "Expected object type for key 'http' but got 1 (number) (config)")
	p.workdir = "nowhere"
	if _, err := run(t, p.httpCall("http_call>", l.URL)); err == nil || !strings.Contains(err.Error(), "write the document: ") {
		t.Errorf("got %v, want a failure", err)
	}
	polled(t, p.httpCall("http_call>", newWeb(t, status(500)).URL))
}

// A workspace that ends with its attempt is no failure of the task.
func TestHTTPCallEndsWithItsContext(t *testing.T) {
	l := newLibrary(t)
	l.kind, l.document = "application/json", "{}"
	p := newProject(t)
	ctx, cancel := context.WithCancel(t.Context())
	task := p.httpCall("http_call>", l.URL)
	task.Workspace = ending{p, cancel}
	_, err := operator.HTTPCall(operator.HTTPClient{}).Operator.Run(ctx, task)
	var failure *operator.Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &failure) {
		t.Errorf("got %T %v, want the context's error", err, err)
	}
}

type ending struct {
	*project
	cancel context.CancelFunc
}

func (e ending) Project(ctx context.Context) (string, error) {
	e.cancel()
	return "", ctx.Err()
}
