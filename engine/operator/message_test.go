package operator_test

import (
	"strings"
	"testing"

	"gitdag/engine/params"
)

func TestEcho(t *testing.T) {
	p := newProject(t)
	for _, message := range []any{"hello wörld", 42, params.Number("1e3"), true, "", "two\nlines\n"} {
		mustRun(t, p.task("echo>", message))
	}
	if got, want := p.logged(), "hello wörld\n42\n1000.0\ntrue\n\ntwo\nlines\n\n"; got != want {
		t.Errorf("got log %q, want %q", got, want)
	}
	wantFailure(t, p.task("echo>", nil), "Parameter '_command' is required but not set (config)")
	wantFailure(t, p.task("echo>", []any{1, 2}),
		"Expected string type for key '_command' but got [1,2] (array) (config)")
	p.log.Close()
	if _, err := run(t, p.task("echo>", "x")); err == nil || !strings.HasPrefix(err.Error(), "write to the task log: ") ||
		!strings.HasSuffix(err.Error(), " (runtime)") {
		t.Errorf("got %v, want a runtime failure that names the log", err)
	}
}

func TestFail(t *testing.T) {
	p := newProject(t)
	wantFailure(t, p.task("fail>", "only 3 rows"), "only 3 rows")
	wantFailure(t, p.task("fail>", ""), "")
	wantFailure(t, p.task("fail>", nil), "")
	wantFailure(t, p.task("fail>", params.Of("a", 1)),
		`Expected string type for key '_command' but got {"a":1} (object) (config)`)
}

func TestNotify(t *testing.T) {
	p := newProject(t)
	if got := mustRun(t, p.task("notify>", "by mail")); got.Notify != "by mail" || got.Subtasks.Len() > 0 {
		t.Errorf("got %+v, want the message alone", got)
	}
	wantFailure(t, p.task("notify>", nil), "Parameter '_command' is required but not set (config)")
}
