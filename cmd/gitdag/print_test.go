package main

import (
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
