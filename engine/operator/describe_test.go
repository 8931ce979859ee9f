package operator_test

import (
	"testing"

	"gitdag/engine/operator"
	"gitdag/engine/params"

	"github.com/google/go-cmp/cmp"
)

func TestDescribe(t *testing.T) {
	p := newProject(t)
	for _, tt := range []struct {
		own  []any
		want string
	}{
		{nil, "nothing to do"},
		{[]any{"echo>", "hi ${x}"}, "echo>: hi ${x}"},
		{[]any{"wait>", params.Number("1e3")}, "wait>: 1000.0"},
		{[]any{"sh>", nil}, "sh>: "},
		{[]any{"_type", "py", "script", "x"}, "type: py"},
		{
			[]any{"for_each>", params.Of("x", []any{1, "a"}, "y", params.Of("z", true, "n", nil))},
			`for_each>: {x=[1,"a"], y={z=true, n=}}`,
		},
	} {
		if got := operator.Describe(p.task(tt.own...)); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.own, got, tt.want)
		}
	}
}

// Of the simplest operators all keys are known, so that any other is a mistake
// (language.md 5.9). What is inherited is none, nor what the engine reads.
func TestUnused(t *testing.T) {
	p := newProject(t)
	visible := params.Of("inherited", 1, "blocking", true)
	for _, tt := range []struct {
		own  []any
		want []string
	}{
		{[]any{"echo>", "hi"}, nil},
		{[]any{"b", 1, "echo>", "hi", "_retry", 2, "a", 1, "null", nil}, []string{"b", "_retry", "a"}},
		{[]any{"_type", "echo", "_command", "x", "_timeout", "1m", "_labels", params.Of(), "_secrets", params.Of()}, nil},
		{[]any{"fail>", "x", "message", "y"}, []string{"message"}},
		{[]any{"notify>", "x", "chanel", "y"}, []string{"chanel"}},
		{[]any{"if>", true, "_do", params.Of("a", 1), "_else_do", params.Of(), "_retry", 1, "do", 1}, []string{"do"}},
		{[]any{"wait>", "1s", "blocking", true, "poll_interval", "1s", "pol_interval", "1s"}, []string{"pol_interval"}},
		{[]any{"sh>", "true", "any", 1}, nil},
		{[]any{"py>", "m.f", "any", 1}, nil},
		{[]any{"loop>", 1, "_do", params.Of(), "any", 1}, nil},
	} {
		task := p.inherit(visible, tt.own...)
		if diff := cmp.Diff(tt.want, operator.Builtin()[task.Type].Unused(task)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.own, diff)
		}
	}
}
