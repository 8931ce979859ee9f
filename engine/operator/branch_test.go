package operator_test

import (
	"errors"
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"
)

func TestIf(t *testing.T) {
	p := newProject(t)
	do := params.Of("sh>", tmpl("echo ${x}"))
	otherwise := params.Of("+z", params.Of("echo>", "no"))
	truths := []struct {
		condition any
		want      bool
	}{
		{true, true},
		{false, false},
		{"true", true},
		{"True", true},
		{" true ", true},
		{"false", false},
		{"False", false}, // 10.9
		{"", false},      // 10.9, and a missing field
		{"null", false},
		{1, true},
		{-1, true},
		{0, false},
	}
	for _, tt := range truths {
		got := mustRun(t, p.task("if>", tt.condition, "_do", do, "_else_do", otherwise)).Subtasks
		want := otherwise
		if tt.want {
			want = do
		}
		if got != want {
			t.Errorf("if>: %#v: got %s, want %s", tt.condition, encoded(got), encoded(want))
		}
	}
	for _, own := range [][]any{
		{"if>", false, "_do", do},
		{"if>", true, "_else_do", otherwise},
		{"if>", true, "_do", params.Of(), "_else_do", otherwise},
	} {
		if got := mustRun(t, p.task(own...)).Subtasks; got.Len() > 0 {
			t.Errorf("%v: got %s, want no subtasks", own, encoded(got))
		}
	}
}

func TestIfRefuses(t *testing.T) {
	p := newProject(t)
	do := params.Of("echo>", "x")
	for value, sample := range map[any]string{
		"yes": `"yes" (string)`, "1": `"1" (string)`, "0": `"0" (string)`, "TRUE": `"TRUE" (string)`,
		params.Number("1.5"): `1.5 (number)`,
	} {
		wantFailure(t, p.task("if>", value, "_do", do),
			"Expected 'true' or 'false' for key '_command' but got "+sample+" (config)")
	}
	wantFailure(t, p.task("if>", nil, "_do", do), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.task("if>", true), "Both _do and _else_do are empty (config)")
	wantFailure(t, p.task("if>", true, "_do", "x"),
		`Expected object type for key '_do' but got "x" (string) (config)`)
	wantFailure(t, p.task("if>", true, "_do", do, "_else_do", []any{}),
		`Expected object type for key '_else_do' but got [] (array) (config)`)
}

// files answers for the workflow files of a project.
type files struct {
	root  string
	files map[string]*params.Map
}

func (f files) CallFile(root, file string) (*params.Map, error) {
	if found := f.files[file]; found != nil && root == f.root {
		return found, nil
	}
	return nil, errors.New("file not found: " + file)
}

func TestCall(t *testing.T) {
	p := newProject(t)
	top := params.Of("+t", params.Of("echo>", tmpl("${x}")))
	deep := params.Of("_export", params.Of("_workdir", "sub"), "+t", params.Of("echo>", "deep"))
	loader := files{p.root, map[string]*params.Map{"top.dig": top, "sub/child.dig": deep}}
	tests := []struct {
		workdir, name string
		want          *params.Map
	}{
		{"", "top", top},
		{"", "top.dig", top},
		{"", "./sub/../top", top},
		{"", "sub/child", deep}, // 10.5
		{"sub", "child.dig", deep},
		{"sub", "../top", top},
	}
	for _, tt := range tests {
		p.workdir = tt.workdir
		task := p.task("call>", tt.name)
		task.Files = loader
		if got := mustRun(t, task).Subtasks; got != tt.want {
			t.Errorf("call>: %s in %q: got %s, want %s", tt.name, tt.workdir, encoded(got), encoded(tt.want))
		}
	}

	p.workdir = "sub"
	for name, want := range map[string]string{
		"nobody":            "file not found: sub/nobody.dig (config)",
		"../../cwd/x":       "File name must not lead out of the project: ../../cwd/x (config)",
		p.root + "/top.dig": "File name must be relative to the working directory: " + p.root + "/top.dig (config)",
	} {
		task := p.task("call>", name)
		task.Files = loader
		wantFailure(t, task, want)
	}
	wantFailure(t, p.task("call>", nil), "Parameter '_command' is required but not set (config)")
}

// What a loader reports as an operator would is not classed again.
func TestCallKeepsTheKindOfItsLoader(t *testing.T) {
	task := newProject(t).task("call>", "x")
	task.Files = refusing{&operator.Error{Message: "gone", Kind: "runtime"}}
	wantFailure(t, task, "gone (runtime)")
}

type refusing struct{ err error }

func (r refusing) CallFile(string, string) (*params.Map, error) { return nil, r.err }
