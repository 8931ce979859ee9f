package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/container"

	"gitdag/engine/command"
)

func all(uint64, int) bool  { return true }
func none(uint64, int) bool { return false }

// TestSurvivors: the containers of a crashed agent are ended where nothing of them
// can be taken, those of others are not.
func TestSurvivors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	start := func(run string, args ...string) {
		t.Helper()
		b.engine.Run(t, append([]string{"run", "--detach", "--network", "none", "--label", Label + "=" + run, box}, args...)...)
	}
	start(b.id+"/7/1", "sh", "-c", "trap '' TERM; sleep 600 & wait; sleep 600")
	start(b.id+"/8/2", "sleep", "600")
	start(b.id+"/9/1", "true")
	start(b.id+"/odd", "true")
	start(b.id+"-other/1/1", "sleep", "600")
	if n, err := b.x.TakeOver(t.Context(), b.id, all); n != 4 || err != nil {
		t.Errorf("got %d, %v; want 4 that are ended", n, err)
	}
	if left := b.containers(); left != "" {
		t.Errorf("left: %s", left)
	}
	other := &bench{t: t, engine: b.engine, x: b.x, id: b.id + "-other"}
	if left := other.containers(); !strings.Contains(left, "running") {
		t.Errorf("of another agent: got %q, want it to run", left)
	}
	if n, err := b.x.TakeOver(t.Context(), other.id, none); n != 1 || err != nil {
		t.Errorf("the other agent's: got %d, %v; want 1", n, err)
	}
}

// agent is one of several that follow each other on the same data.
type agent struct {
	*bench
	x     *Executor
	later []func()
}

func (b *bench) agent() *agent {
	return &agent{bench: b, x: New(Options{Host: refusing{b.t}, Environ: append(os.Environ(), b.engine.Env...), Grace: time.Second})}
}

// lasting is a command whose container the next agent may go on with. printed is what
// agents before have kept of its output.
func (a *agent) lasting(script, printed string, options ...string) command.Command {
	a.t.Helper()
	c := a.sh(script, options...)
	c.Container.Files = filepath.Join(a.project, "files")
	c.Container.Prepare = func() error {
		f, err := os.OpenFile(c.Container.Files, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.WriteString("prepared\n")
		return err
	}
	c.Container.Later = func(f func()) { a.later = append(a.later, f) }
	c.Container.Printed = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(printed)), nil }
	return c
}

// begin runs a command until it has printed a line, and leaves it alone: the agent is
// gone, to the engine and to the next one. ended waits for the end of the container.
func (a *agent) begin(c command.Command) (out *lineWriter, ended func()) {
	a.t.Helper()
	out = newLineWriter()
	c.Output = out
	done := make(chan error, 1)
	go func() { // ends with the container
		_, err := a.x.Run(context.Background(), c)
		done <- err
	}()
	select {
	case <-out.first:
	case err := <-done:
		a.t.Fatalf("ended with %v before it printed a line", err)
	}
	return out, func() {
		if err := <-done; err != nil {
			a.t.Error(err)
		}
	}
}

// goOn runs a command that goes on with the container of an agent before.
func (a *agent) goOn(c command.Command) (command.Exit, string) {
	a.t.Helper()
	out := newLineWriter()
	c.Output = out
	exit, err := a.x.Run(a.t.Context(), c)
	if err != nil {
		a.t.Fatal(err)
	}
	return exit, out.String()
}

func (a *agent) takeOver(goesOn func(uint64, int) bool, ended int) {
	a.t.Helper()
	if n, err := a.x.TakeOver(a.t.Context(), a.id, goesOn); n != ended || err != nil {
		a.t.Errorf("take over: got %d, %v; want %d that are ended", n, err, ended)
	}
}

func (a *agent) settle() {
	for _, f := range a.later {
		f()
	}
}

const untilGo = "echo ran >>runs; echo one; until [ -e go ]; do sleep 0.05; done; echo two; exit 4"

// TestAContainerGoesOn: with its output, its status, and its files, for as many agents
// as it outlives.
func TestAContainerGoesOn(t *testing.T) {
	t.Parallel()
	for _, options := range [][]string{nil, {"--tty"}, {"--log-driver", "json-file"}} {
		b := newBench(t)
		first := b.agent()
		_, ended := first.begin(first.lasting(untilGo, "", options...))

		second := b.agent()
		second.takeOver(all, 0)
		second.begin(second.lasting(untilGo, "", options...))

		third := b.agent()
		third.takeOver(func(task uint64, execution int) bool { return task == 1 && execution == 1 }, 0)
		b.write("go", "")
		exit, out := third.goOn(third.lasting(untilGo, "one\n", options...))
		if out = strings.ReplaceAll(out, "\r", ""); exit.Code != 4 || out != "two\n" {
			t.Errorf("%v: got status %d and %q, want 4 and the second line", options, exit.Code, out)
		}
		ended()
		if left := b.containers(); !strings.Contains(left, "exited") {
			t.Errorf("%v: got containers %q, want it there until the result is safe", options, left)
		}
		third.settle()
		for name, want := range map[string]string{"runs": "ran\n", "files": "prepared\n"} {
			if got, err := os.ReadFile(filepath.Join(b.project, name)); err != nil || string(got) != want {
				t.Errorf("%v: %s: got %q, %v; want it once", options, name, got, err)
			}
		}
	}
}

// TestAContainerThatEndedAlone: its result is there as well.
func TestAContainerThatEndedAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.agent()
	b.write("go", "")
	_, ended := first.begin(first.lasting(untilGo, ""))
	ended()
	second := b.agent()
	second.takeOver(all, 0)
	exit, out := second.goOn(second.lasting(untilGo, "on"))
	if exit.Code != 4 || out != "e\ntwo\n" {
		t.Errorf("got status %d and %q, want 4 and the rest of its output", exit.Code, out)
	}
	second.settle()
}

// TestAContainerThatWasNotStarted: it is started, once.
func TestAContainerThatWasNotStarted(t *testing.T) {
	t.Parallel()
	for program, want := range map[string]error{"sh": nil, "no-such-program": exec.ErrNotFound} {
		b := newBench(t)
		b.write("files", "prepared\n")
		b.write("go", "")
		b.engine.Run(t, "create", "--network", "none", "--log-driver", "local", "--label", Label+"="+b.id+"/1/1", "--label", filesLabel+"="+b.project+"/files",
			"--volume", b.project+":"+b.project, "--workdir", b.project, box, program, "-c", untilGo)
		next := b.agent()
		next.takeOver(all, 0)
		out := newLineWriter()
		c := next.lasting(untilGo, "")
		c.Output = out
		exit, err := next.x.Run(t.Context(), c)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", program, err, want)
		}
		if want == nil && (exit.Code != 4 || out.String() != "one\ntwo\n") {
			t.Errorf("got status %d and %q, want 4 and all that it printed", exit.Code, out)
		}
		next.settle()
	}
}

// TestWhatCannotGoOn: such a container is ended, and another one does the work.
func TestWhatCannotGoOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(b *bench, next *agent, c *command.Command)
		ended  int
		goesOn func(uint64, int) bool
	}{
		{"an execution that the state has not", func(*bench, *agent, *command.Command) {}, 1, none},
		{"the files are gone", func(b *bench, _ *agent, _ *command.Command) { os.Remove(filepath.Join(b.project, "files")) }, 1, all},
		{"the container is gone", func(b *bench, next *agent, _ *command.Command) {
			next.takeOver(all, 0)
			b.engine.Run(t, "rm", "--force", strings.Fields(b.containers())[0])
		}, 0, all},
		{"other files", func(b *bench, _ *agent, c *command.Command) {
			c.Container.Files = filepath.Join(b.project, "other")
		}, 0, all},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t)
			first := b.agent()
			_, ended := first.begin(first.lasting(untilGo, ""))
			next := b.agent()
			c := next.lasting("echo again; exit 5", "")
			tt.change(b, next, &c)
			if next.x.survivors == nil {
				next.takeOver(tt.goesOn, tt.ended)
			}
			exit, out := next.goOn(c)
			if exit.Code != 5 || out != "again\n" {
				t.Errorf("got status %d and %q, want those of the new container", exit.Code, out)
			}
			next.settle()
			_ = ended // the first agent's call ends with an error, or a status
			if left := b.containers(); left != "" {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// TestNobodyGoesOn: a container that was kept and not used is ended.
func TestNobodyGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.agent()
	first.begin(first.lasting(untilGo, ""))
	next := b.agent()
	next.takeOver(all, 0)
	next.x.EndUnused(t.Context(), command.Run(b.id, 2, 1))
	if left := b.containers(); !strings.Contains(left, "running") {
		t.Errorf("after the end of another one: got %q, want it to run", left)
	}
	next.x.EndUnused(t.Context(), command.Run(b.id, 1, 1))
	if left := b.containers(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestKillOfAContainerThatWentOn: it is stopped and removed like any.
func TestKillOfAContainerThatWentOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const script = "trap 'echo asked; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
	first := b.agent()
	first.begin(first.lasting(script, ""))
	second := b.agent()
	second.takeOver(all, 0)
	cause := errors.New("killed by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	out := newLineWriter()
	c := second.lasting(script, "")
	c.Output = out
	go func() { // ends with the first line, or the test
		select {
		case <-out.first:
			cancel(cause)
		case <-t.Context().Done():
		}
	}()
	exit, err := second.x.Run(ctx, c)
	if !errors.Is(err, cause) || exit.Code != 7 || out.String() != "ready\nasked\n" {
		t.Errorf("got status %d, %q, %v; want 7, all that it said, and the cause", exit.Code, out, err)
	}
	if left := b.containers(); left != "" || len(second.later) > 0 {
		t.Errorf("left: %s and %d things to do", left, len(second.later))
	}
}

// TestTheEngineComesBack: what could not be asked for at the start is ended before
// anything else runs.
func TestTheEngineComesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.agent()
	first.begin(first.lasting(untilGo, ""))
	socket := filepath.Join(t.TempDir(), "later.sock")
	next := b.agent()
	next.x = New(Options{Host: refusing{t}, Environ: []string{"DOCKER_HOST=unix://" + socket}, Grace: time.Second})
	if _, err := next.x.TakeOver(t.Context(), b.id, all); !errors.Is(err, ErrNoEngine) {
		t.Errorf("without an engine: got %v, want %v", err, ErrNoEngine)
	}
	if err := os.Symlink(strings.TrimPrefix(b.engine.Host, "unix://"), socket); err != nil {
		t.Fatal(err)
	}
	if exit, out := next.goOn(next.lasting("echo again", "")); exit.Code != 0 || out != "again\n" {
		t.Errorf("got status %d and %q, want those of the new container", exit.Code, out)
	}
	next.settle()
}

// TestOutputThatTheEngineHasNot: the run goes on, and says what is missing.
func TestOutputThatTheEngineHasNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.agent()
	first.begin(first.lasting(untilGo, "", "--log-driver", "none"))
	second := b.agent()
	second.takeOver(all, 0)
	b.write("go", "")
	exit, out := second.goOn(second.lasting(untilGo, "one\n"))
	if exit.Code != 4 {
		t.Errorf("got status %d, want 4", exit.Code)
	}
	contain(t, "output", out, "what was printed while no agent was there cannot be had")
	second.settle()
}

func TestCutOff(t *testing.T) {
	t.Parallel()
	boot := time.Date(2024, 1, 2, 3, 0, 0, 0, time.UTC)
	at := func(minutes int) string {
		return boot.Add(time.Duration(minutes) * time.Minute).Format(time.RFC3339Nano)
	}
	for _, tt := range []struct {
		started, finished string
		want              bool
	}{
		{at(-2), at(-1), false},
		{at(-2), at(1), true},
		{at(1), at(2), false},
		{at(-2), "", false},
		{"", at(1), false},
	} {
		if got := cutOff(&container.State{StartedAt: tt.started, FinishedAt: tt.finished}, boot); got != tt.want {
			t.Errorf("from %q to %q: got %v, want %v", tt.started, tt.finished, got, tt.want)
		}
	}
	if got := bootTime(); got.IsZero() || time.Since(got) < 0 {
		t.Errorf("got %v, want when this machine was started", got)
	}
}

// TestRest: of a text that was kept in part, in pieces of any size.
func TestRest(t *testing.T) {
	t.Parallel()
	const text = "one\ntwo\nthree\n"
	for _, tt := range []struct {
		printed string
		before  int // lines, of something else
		want    string
	}{
		{"", 0, text},
		{"one\n", 0, "two\nthree\n"},
		{"one\nt", 0, "wo\nthree\n"},
		{"one\ntw***", 0, "\ntwo\nthree\n"},
		{"one\ntwo\nthree\n", 0, ""},
		{"one\ntwo\nthree\nmore\n", 0, ""},
		{"pulling\npulled\none\n", 2, "two\nthree\n"},
		{"pulling\n", 2, text},
		{strings.Repeat("*\n", 100_000) + "one\n", 100_000, "two\nthree\n"},
	} {
		for size := 1; size <= len(text); size++ {
			out := newLineWriter()
			c := command.Command{Output: out, Container: &command.Container{
				Printed: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(tt.printed)), nil },
			}}
			w := New(Options{}).rest(c, survivor{lines: tt.before})
			for from := 0; from < len(text); from += size {
				piece := text[from:min(from+size, len(text))]
				if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
					t.Fatalf("write %q: got %d, %v", piece, n, err)
				}
			}
			if got := out.String(); got != tt.want {
				t.Errorf("after %.20q in pieces of %d: got %q, want %q", tt.printed, size, got, tt.want)
			}
		}
	}
}

func TestRestThatIsNotKnown(t *testing.T) {
	t.Parallel()
	out := newLineWriter()
	c := command.Command{Output: out, Container: &command.Container{
		Printed: func() (io.ReadCloser, error) { return nil, errors.New("the disk is broken") },
	}}
	fmt.Fprint(New(Options{}).rest(c, survivor{}), "all\n")
	if out.String() != "all\n" {
		t.Errorf("got %q, want all", out)
	}
	w := &rest{out: brokenWriter{}, begun: []byte("x")}
	if _, err := w.Write([]byte("y")); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
	if _, err := w.Write([]byte("y")); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}
