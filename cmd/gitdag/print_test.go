package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// fullDisk takes so many bytes and no more.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(len(p), d.left)
	if d.left -= n; n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// Output that is lost is an error.
func TestOutputIsLost(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts", `{"attempts":[`+anAttempt+`]}`, "GET /api/schedules", `{"schedules":[]}`, "GET /api/version", `{"version":"1"}`)
	for _, args := range [][]string{{"attempts"}, {"attempts", "--json"}, {"schedules"}, {"version"}} {
		var stderr strings.Builder
		environ := []string{"GITDAG_ENDPOINT=" + a.server.URL, "XDG_CONFIG_HOME=" + t.TempDir()}
		c := &cli{stdin: strings.NewReader(""), stdout: &fullDisk{10}, stderr: &stderr, environ: func() []string { return environ }, version: "1"}
		if status := c.main(args); status != 1 || stderr.String() != "error: no space left on device\n" {
			t.Errorf("%q: got status %d, %q, want an error", args, status, &stderr)
		}
	}
}

// Who closes what it reads from a command ends it, without a word.
func TestNobodyReads(t *testing.T) {
	a := newFakeAgent(t, "GET /api/attempts", `{"attempts":[`+anAttempt+`]}`)
	for _, args := range [][]string{{"attempts"}, {"attempts", "--json"}} {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		var stderr strings.Builder
		cmd := exec.Command(program(t), args...)
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), "GITDAG_ENDPOINT="+a.server.URL, "HOME="+t.TempDir()), w, &stderr
		err = cmd.Run()
		w.Close()
		if err == nil || stderr.Len() > 0 {
			t.Errorf("%q: got %v, %q, want an end without a word", args, err, &stderr)
		}
	}
}

// Ctrl-C ends a command, without a word: one that follows a log, one that asks,
// and one whose agent says nothing.
func TestInterruptOfClientCommands(t *testing.T) {
	asked := make(chan struct{}, 100)
	a := newFakeAgent(t, "GET /api/attempts/9", stillRunning, "GET /api/logs/9/files", files(), "GET /api/projects", `{"projects":[`+aPushedProject+`]}`)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/sessions" {
			asked <- struct{}{}
			<-r.Context().Done()
			return
		}
		a.answer(w, r)
		if r.URL.Path != "/api/version/check" {
			asked <- struct{}{}
		}
	}))
	defer server.Close()
	for _, args := range [][]string{{"log", "9", "-f"}, {"delete", "tide_tables"}, {"sessions"}} {
		stdin, keyboard, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		cmd := exec.Command(program(t), args...)
		cmd.Env = append(os.Environ(), "GITDAG_ENDPOINT="+server.URL, "HOME="+t.TempDir())
		cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-asked
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		stdin.Close()
		keyboard.Close()
		if cmd.ProcessState.ExitCode() != 130 || strings.Contains(stderr.String(), "error") {
			t.Errorf("%q: got %v, %q, want exit 130", args, cmd.ProcessState, &stderr)
		}
		for len(asked) > 0 {
			<-asked
		}
	}
}
