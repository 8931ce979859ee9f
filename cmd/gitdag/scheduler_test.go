package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// seen is a workflow's task that writes down what it sees.
const seen = "+a:\n  sh>: echo \"$FOO ${x} ${y} ${secret:k}\" > out.part && mv out.part out\n"

func writeFile(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A schedule fires, in the project's directory, with the command's own
// environment, parameters and secrets. Nothing outlives the command but what
// tasks have written, and their logs where they are wanted.
func TestScheduler(t *testing.T) {
	dir, tmp, logs := t.TempDir(), t.TempDir(), t.TempDir()
	writeFile(t, filepath.Join(dir, "manual.dig"), "+a: {sh>: cat out}\n")
	params := filepath.Join(t.TempDir(), "p.yml")
	writeFile(t, params, "y: file\n")
	p := agenttest.Launch(t, program(t), []string{"FOO=own", "TMPDIR=" + tmp}, "scheduler", "--project", dir, "-n", "0",
		"-p", "x=arg", "-P", params, "-X", "secrets.k=s3cret", "-O", logs, "--max-task-threads", "2")
	address := p.Address()
	ask := func(args ...string) outcome {
		return gitdag(t, []string{"GITDAG_ENDPOINT=" + address}, args...)
	}
	clock, zone := agenttest.DueIn(time.Second)
	writeFile(t, filepath.Join(dir, "load.dig"), fmt.Sprintf("timezone: %s\nschedule: {daily>: %s}\n%s", zone, clock, seen))
	if got := ask("sync"); got.status != 0 {
		t.Errorf("sync: got %+v", got)
	}
	out := filepath.Join(dir, "out")
	agenttest.Eventually(t, "the scheduled task has run", func() bool {
		_, err := os.Stat(out)
		return err == nil
	}, p.Log)
	if text, err := os.ReadFile(out); err != nil || string(text) != "own arg file s3cret\n" {
		t.Errorf("got %q, %v, want what was given", text, err)
	}

	// The client's commands work with it.
	if got := ask("status"); got.status != 0 || !strings.Contains(got.stdout, "commit: 2 read from "+dir) {
		t.Errorf("status: got %+v, want the second revision", got)
	}
	if got := ask("version"); got.status != 0 || !strings.Contains(got.stdout, "Server version: ") {
		t.Errorf("version: got %+v", got)
	}
	if got := ask("start", "default", "manual", "--session", "2031-04-05"); got.status != 0 {
		t.Fatalf("start: got %+v", got)
	}
	agenttest.Eventually(t, "the attempt has a log", func() bool { return strings.Contains(ask("log", "2").stdout, "own arg file") }, p.Log)
	if code := p.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, p.Log())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	if found, err := filepath.Glob(filepath.Join(logs, "*", "*", "*")); err != nil || len(found) == 0 {
		t.Errorf("got %v, %v, want the logs of tasks", found, err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".gitdag")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no data directory in the project", err)
	}
}

// With a data directory, a killed scheduler goes on where it was; its log can go
// to a file.
func TestSchedulerWithData(t *testing.T) {
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	started := filepath.Join(dir, "started")
	writeFile(t, filepath.Join(dir, "w.dig"), "+a:\n  sh>: |\n    echo x >> started\n    while [ ! -e go ]; do sleep 0.01; done\n+b: {sh>: touch done}\n")
	log := filepath.Join(t.TempDir(), "log")
	launch := func() *agenttest.Process {
		return agenttest.Launch(t, program(t), nil, "scheduler", "--project", dir, "-n", "0", "-o", data, "-l", "trace")
	}
	p := launch()
	if got := gitdag(t, nil, "start", "-e", p.Address(), "default", "w", "--session", "2031-04-05"); got.status != 0 {
		t.Fatalf("start: got %+v\n%s", got, p.Log())
	}
	agenttest.Eventually(t, "the task runs", func() bool { return exists(started) }, p.Log)
	p.Kill()
	writeFile(t, filepath.Join(dir, "go"), "")
	p = launch()
	agenttest.Eventually(t, "the attempt goes on", func() bool { return exists(filepath.Join(dir, "done")) }, p.Log)
	if code := p.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, p.Log())
	}
	if strings.Contains(p.Log(), "revision live") {
		t.Errorf("the same files are another revision:\n%s", p.Log())
	}

	p = agenttest.Launch(t, program(t), nil, "scheduler", "--project", dir, "-n", "0", "-o", data, "-L", log)
	agenttest.Eventually(t, "the log is in its file", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && strings.Contains(string(text), "agent started")
	})
	if code := p.Stop(); code != 0 || strings.Contains(p.Log(), "agent started") {
		t.Errorf("exit code %d, want 0, and log lines nowhere else:\n%s", code, p.Log())
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
