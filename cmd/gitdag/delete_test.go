package main

import (
	"context"
	"io"
	"strings"
	"testing"
)

// A project is shown, and deleted only after a yes.
func TestDelete(t *testing.T) {
	shown := "Project:\n  id: 12\n  name: tide_tables\n  latest revision: rel-2031.04.05\n  created at: " + here("2031-01-09T03:12:44Z") +
		"\n  last updated at: " + here("2031-04-05T22:01:09Z") + "\n\n"
	const question = "Delete this project? [y/N]: "
	const done = "Project tide_tables is deleted.\n"
	for _, c := range []struct {
		input string
		args  []string
		want  outcome
	}{
		{"y\n", nil, outcome{0, shown, question + done}},
		{" YES \n", nil, outcome{0, shown, question + done}},
		{"yes", nil, outcome{0, shown, question + "\n" + done}},
		{"", []string{"--force"}, outcome{0, shown, done}},
		{"", []string{"--force", "--json"}, outcome{0, "", shown}},
		{"n\n", nil, outcome{1, shown, question + "error: canceled\n"}},
		{"\n", nil, outcome{1, shown, question + "error: canceled\n"}},
		{"yup\n", nil, outcome{1, shown, question + "error: canceled\n"}},
		{"", nil, outcome{1, shown, question + "\nerror: canceled\n"}},
	} {
		a := newFakeAgent(t, "GET /api/projects", `{"projects":[`+aPushedProject+`]}`, "DELETE /api/projects/12", aPushedProject)
		var stdout, stderr strings.Builder
		environ := []string{"GITDAG_ENDPOINT=" + a.server.URL, "XDG_CONFIG_HOME=" + t.TempDir()}
		cli := &cli{stdin: strings.NewReader(c.input), stdout: &stdout, stderr: &stderr, environ: func() []string { return environ }, version: "1.2.3"}
		got := outcome{cli.main(append([]string{"delete", "tide_tables"}, c.args...)), stdout.String(), stderr.String()}
		if strings.HasPrefix(got.stdout, "{") {
			got.stdout = ""
		}
		a.want(got, c.want)
		want := []string{"GET /api/projects?name=tide_tables"}
		if c.want.status == 0 {
			want = append(want, "DELETE /api/projects/12")
		}
		a.expect(want...)
	}
	a := newFakeAgent(t, "GET /api/projects", `{"projects":[]}`)
	a.want(a.gitdag("delete", "ghost"), outcome{1, "", "error: there is no project \"ghost\"\n"})
}

// Ctrl-C ends a command that waits for an answer.
func TestConfirmInterrupted(t *testing.T) {
	stdin, keyboard := io.Pipe()
	defer keyboard.Close()
	var stderr strings.Builder
	c := &cli{stdin: stdin, stderr: &stderr}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, ok := c.confirm(ctx, "Sure?").(*exitError); !ok || got.status != 130 {
		t.Errorf("got %v, want exit 130", got)
	}
}
