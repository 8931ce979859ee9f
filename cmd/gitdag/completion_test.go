package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// Arguments are completed by what the agent knows.
func TestCompletion(t *testing.T) {
	a := newFakeAgent(t, "GET /api/projects", `{"projects":[`+aPushedProject+`,{"id":"13","name":"bay"}]}`, "GET /api/projects/12/workflows", aWorkflow)
	const noFiles, files = "\n:4\n", "\n:0\n"
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"start", ""}, "tide_tables\nbay" + noFiles},
		{[]string{"start", "tide_tables", ""}, "harbor_report" + noFiles},
		{[]string{"start", "tide_tables", "harbor_report", ""}, "" + noFiles[1:]},
		{[]string{"start", "tide_tables", "harbor_report", "--session", ""}, "hourly\ndaily\nnow" + noFiles},
		{[]string{"push", "ti"}, "tide_tables\nbay" + noFiles},
		{[]string{"upload", ""}, files[1:]},
		{[]string{"upload", "a.tar.gz", ""}, "tide_tables\nbay" + noFiles},
		{[]string{"workflows", "--order", ""}, "asc\ndesc" + noFiles},
		{[]string{"tasks", ""}, noFiles[1:]},
	} {
		got := a.gitdag(append([]string{"__complete"}, c.args...)...)
		if got.status != 0 || got.stdout != c.want {
			t.Errorf("%q: got %+v, want %q", c.args, got, c.want)
		}
	}
	a.expect("GET /api/projects?count=100", "GET /api/projects?name=tide_tables", "GET /api/projects/12/workflows",
		"GET /api/projects?count=100&name_pattern=ti", "GET /api/projects?count=100")
	// Nobody waits for an agent that is not there, and there is no word of it.
	got := gitdag(t, nil, "__complete", "start", "-e", "127.0.0.1:1", "")
	if got.status != 0 || got.stdout != ":1\n" || strings.Contains(got.stderr, "error") {
		t.Errorf("nobody there: got %+v", got)
	}
}

// Nor does anybody wait for an agent that is there and says nothing.
func TestCompletionOfASilentAgent(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	got := gitdag(t, nil, "__complete", "start", "-e", silent.Addr().String(), "")
	if took := time.Since(began); got.stdout != ":1\n" || took > 5*completionTime {
		t.Errorf("got %+v after %v, want an end after %v", got, took, completionTime)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := gitdag(t, nil, "completion", shell); got.status != 0 || !strings.Contains(got.stdout, "gitdag") || got.stderr != "" {
			t.Errorf("%s: got status %d and %d bytes, %q", shell, got.status, len(got.stdout), got.stderr)
		}
	}
}
