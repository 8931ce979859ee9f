package docker

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/engine/command"

	"github.com/google/go-cmp/cmp"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for script, want := range map[string]int{"exit 0": 0, "exit 3": 3, "exit 255": 255, "sh -c 'kill -KILL $$'; exit $?": 137} {
		if got, _ := b.run(b.sh(script)); got != (command.Exit{Code: want}) {
			t.Errorf("%s: got %+v, want status %d", script, got, want)
		}
	}
}

// TestWhatACommandSees: the project under its own path, the variables of the task
// and none of ours, an empty standard input.
func TestWhatACommandSees(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("in.txt", "from outside\n")
	if err := os.Mkdir(filepath.Join(b.project, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := b.sh(`read -r line && echo "input: $line"; pwd; cat ../in.txt; echo from inside >../out.txt; id -u; env | grep -v -e ^HOSTNAME= -e ^SHLVL= -e ^PWD= -e ^OLDPWD= | sort`)
	c.Dir = filepath.Join(b.project, "below")
	c.Env = append(c.Env, "A=1", "B=two words")
	_, got := b.run(c)
	want := strings.Join([]string{
		c.Dir, "from outside", "0", "A=1", "B=two words",
		"GOTOOLCHAIN=local", "HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin", "", // of the image
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if text, err := os.ReadFile(filepath.Join(b.project, "out.txt")); err != nil || string(text) != "from inside\n" {
		t.Errorf("out.txt: got %q, %v; want what the container wrote", text, err)
	}
}

func TestOutputComesAsItIsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	out := newLineWriter()
	c := b.sh(`echo one; until [ -e go ]; do sleep 0.05; done; echo two >&2; echo three`)
	c.Output = out
	done := make(chan error, 1)
	go func() {
		_, err := b.x.Run(t.Context(), c)
		done <- err
	}()
	select {
	case <-out.first:
	case <-time.After(patience):
		t.Fatal("the first line did not come while the container ran")
	}
	b.write("go", "")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(out.String())
	slices.Sort(got) // of the two streams either may come first
	if want := []string{"one", "three", "two"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMuchOutputIsWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, options := range [][]string{nil, {"--tty"}} {
		got := strings.ReplaceAll(b.output("seq 1 200000", options...), "\r", "")
		if n := strings.Count(got, "\n") + 1; n != 200000 || !strings.HasSuffix(got, "\n200000") {
			t.Errorf("%v: got %d lines, want 200000", options, n)
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("the disk is full")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

// TestOutputThatCannotBeKept: the command goes on, and the run is an error.
func TestOutputThatCannotBeKept(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.sh("seq 1 100000; touch finished; exit 3")
	c.Output = brokenWriter{}
	exit, err := b.x.Run(t.Context(), c)
	if !errors.Is(err, errBroken) || exit.Code != 3 {
		t.Errorf("got status %d, %v; want 3 and the writer's error", exit.Code, err)
	}
	if _, err := os.Stat(filepath.Join(b.project, "finished")); err != nil {
		t.Error(err)
	}
	c = b.sh("echo nobody listens")
	if exit, err := b.x.Run(t.Context(), c); err != nil || exit.Code != 0 {
		t.Errorf("without a writer: got status %d, %v; want 0", exit.Code, err)
	}
}

// TestWhatCannotStart: the image lacks the program, or is none.
func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.sh("")
	c.Args = []string{"no-such-program"}
	_, err := b.x.Run(t.Context(), c)
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("got %v, want %v", err, exec.ErrNotFound)
	}
	c = b.sh("true", "--pull", "never")
	c.Container.Image = "no-such-image"
	contain(t, "no image", b.fail(c), "no-such-image")
	c.Container.Image = "Not An Image"
	contain(t, "no name of an image", b.fail(c), "Not An Image")
	contain(t, "no network", b.fail(b.sh("true", "--network", "no-such-network")), "no-such-network")
}

// ended cancels a run once it has printed a line, and returns what came of it.
func ended(t *testing.T, b *bench, script string) (command.Exit, string, error) {
	t.Helper()
	cause := errors.New("killed by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	out := newLineWriter()
	c := b.sh(script)
	c.Output = out
	go func() { // ends with the first line, or the test
		select {
		case <-out.first:
			cancel(cause)
		case <-t.Context().Done():
		}
	}()
	exit, err := b.x.Run(ctx, c)
	if !errors.Is(err, cause) {
		t.Errorf("got %v, want it to wrap %v", err, cause)
	}
	return exit, out.String(), err
}

func TestKillAsksFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	exit, out, _ := ended(t, b, `trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done`)
	if exit.Code != 7 || out != "ready\nasked\n" {
		t.Errorf("got status %d and %q, want 7 and what it said at the end", exit.Code, out)
	}
	if left := b.containers(); left != "" {
		t.Errorf("left: %s", left)
	}
}

func TestKillEndsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	exit, _, _ := ended(t, b, `trap '' TERM; sleep 600 & echo ready; wait; sleep 600`)
	if exit.Code != 137 {
		t.Errorf("got status %d, want 137", exit.Code)
	}
	if left := b.containers(); left != "" {
		t.Errorf("left: %s", left)
	}
}

func TestNothingStartsAfterAKill(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("killed before")
	cancel(cause)
	if _, err := b.x.Run(ctx, b.sh("touch ran")); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if _, err := os.Stat(filepath.Join(b.project, "ran")); err == nil {
		t.Error("the command ran")
	}
}

// TestNeverOnThisMachine: where no engine answers the run is an error (O7).
func TestNeverOnThisMachine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, host := range []string{"unix://" + dir + "/none.sock", "tcp://127.0.0.1:1"} {
		x := New(Options{Host: refusing{t}, Environ: []string{"DOCKER_HOST=" + host}})
		_, err := x.Run(t.Context(), command.Command{
			Args: []string{"touch", filepath.Join(dir, "ran")}, Dir: dir, Output: io.Discard,
			Container: &command.Container{Image: box, Project: dir},
		})
		if err == nil {
			t.Fatal("got no error")
		}
		contain(t, host, err.Error(), host, "DOCKER_HOST", "no Docker engine answers")
	}
	if _, err := (command.Local{}).Run(t.Context(), command.Command{Args: []string{"true"}, Container: &command.Container{Image: box}}); err == nil {
		t.Error("processes of this machine: got no error for a command that wants a container")
	}
}

func TestWithoutAContainerTheHostRuns(t *testing.T) {
	t.Parallel()
	x := New(Options{Host: command.Local{}, Environ: []string{"DOCKER_HOST=unix:///none"}})
	exit, err := x.Run(t.Context(), command.Command{Args: []string{"/bin/sh", "-c", "exit 4"}})
	if err != nil || exit.Code != 4 {
		t.Errorf("got status %d, %v; want 4", exit.Code, err)
	}
}

// TestAnEngineThatComesLater: each run looks again.
func TestAnEngineThatComesLater(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	later := filepath.Join(t.TempDir(), "later.sock")
	b.x = New(Options{Host: refusing{t}, Environ: []string{"DOCKER_HOST=unix://" + later}})
	b.fail(b.sh("true"))
	if err := os.Symlink(strings.TrimPrefix(b.engine.Host, "unix://"), later); err != nil {
		t.Fatal(err)
	}
	if got := b.output("echo there"); got != "there" {
		t.Errorf("got %q, want %q", got, "there")
	}
}
