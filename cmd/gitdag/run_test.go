package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Ctrl-C ends what the tasks have started, keeps the states and exits 130.
func TestInterruptedRun(t *testing.T) {
	dir := t.TempDir()
	const text = `
+a: {sh>: "true"}
+b: {sh>: "sleep 1000 & echo pid $!; wait"}
+c: {sh>: "touch next"}
`
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t), "run", "w.dig", "--session", "2031-04-05")
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := 0
	lines := bufio.NewScanner(out)
	for child == 0 && lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			if child, err = strconv.Atoi(number); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // to the end: nobody holds it open any more
		continue
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("got %v, want exit status 130", err)
	}
	// An orphan that has ended may wait for its new parent to take note.
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(child)).Output()
	if got := strings.TrimSpace(string(state)); got != "" && got[0] != 'Z' {
		t.Errorf("process %d of the task is still there: state %s, %v", child, got, err)
	}
	for _, want := range []string{"error: interrupted\n", "hint: "} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error lacks %q: %s", want, stderr.String())
		}
	}
	states, err := os.ReadDir(filepath.Join(dir, ".digdag", "status", "20310405T000000+0000"))
	if err != nil || len(states) != 1 || states[0].Name() != "+w+a.yml" {
		t.Errorf("states: got %v, %v, want +w+a.yml", states, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "next")); err == nil {
		t.Error("the next task ran")
	}
}
