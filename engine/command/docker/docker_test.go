package docker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/internal/dockertest"
)

// box is an image of a shell and its commands.
const box = "box"

// patience bounds every wait for what must happen.
const patience = time.Minute

// shared is the engine of all tests of this package.
var shared = struct {
	*dockertest.Engine
	err error
	box sync.Once
}{}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	shared.Engine, shared.err = dockertest.Open()
	if shared.err != nil {
		return m.Run()
	}
	code := m.Run()
	if code != 0 {
		fmt.Fprintf(os.Stderr, "the engine's log ends:\n%s", shared.Log())
	}
	if err := shared.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// needEngine returns the engine, with the image.
func needEngine(tb testing.TB) *dockertest.Engine {
	tb.Helper()
	if shared.err != nil {
		dockertest.Lack(tb, shared.err)
	}
	shared.box.Do(func() { shared.Import(tb, box, (*dockertest.Pack).Base) })
	return shared.Engine
}

// bench is an executor with a project.
type bench struct {
	t       testing.TB
	engine  *dockertest.Engine
	x       *Executor
	project string
	// id is what its containers are labelled with.
	id string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	e := needEngine(t)
	b := &bench{t: t, engine: e, project: t.TempDir(), id: strings.ReplaceAll(t.Name(), "/", "-")}
	b.x = New(Options{Host: refusing{t}, Environ: append(os.Environ(), e.Env...), Grace: time.Second})
	t.Cleanup(func() {
		if left := b.containers(); left != "" {
			t.Errorf("containers that are left: %s", left)
		}
	})
	return b
}

// refusing fails a test that lets something run on this machine.
type refusing struct{ tb testing.TB }

func (r refusing) Run(_ context.Context, c command.Command) (command.Exit, error) {
	r.tb.Errorf("%q ran on this machine", c.Args)
	return command.Exit{}, nil
}

// containers lists those of this test.
func (b *bench) containers() string {
	out, err := b.engine.Try(context.Background(), "ps", "--all", "--no-trunc", "--filter", "label="+Label, "--format", `{{.ID}} {{.State}} {{.Label "`+Label+`"}}`)
	if err != nil {
		b.t.Fatal(err)
	}
	var mine []string
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); strings.HasPrefix(f[2], b.id+"/") {
			mine = append(mine, strings.TrimSpace(line))
		}
	}
	return strings.Join(mine, "\n")
}

// sh is a shell command in a container; options are those of `docker run`.
func (b *bench) sh(script string, options ...string) command.Command {
	return command.Command{
		Args: []string{"sh", "-c", script}, Dir: b.project, Env: []string{command.Marker(b.id, 1, 1)},
		Container: &command.Container{Image: box, RunOptions: options, Project: b.project, Environ: os.Environ()},
	}
}

// run runs a command that must not be an error.
func (b *bench) run(c command.Command) (command.Exit, string) {
	b.t.Helper()
	var out bytes.Buffer
	c.Output = &out
	exit, err := b.x.Run(b.t.Context(), c)
	if err != nil {
		b.t.Fatalf("run %q: %v\n%s", c.Args, err, out.String())
	}
	return exit, out.String()
}

// output is what a script prints that must succeed.
func (b *bench) output(script string, options ...string) string {
	b.t.Helper()
	exit, out := b.run(b.sh(script, options...))
	if exit.Code != 0 {
		b.t.Errorf("%s: got status %d, want 0; output %q", script, exit.Code, out)
	}
	return strings.TrimSuffix(out, "\n")
}

// fail runs a command that must be an error, and returns its text.
func (b *bench) fail(c command.Command) string {
	b.t.Helper()
	var out bytes.Buffer
	c.Output = &out
	exit, err := b.x.Run(b.t.Context(), c)
	if err == nil {
		b.t.Fatalf("run %q: got status %d and %q, want an error", c.Args, exit.Code, out.String())
	}
	return err.Error()
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.project, name), []byte(text), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func contain(t *testing.T, what, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q in it", what, got, want)
		}
	}
}

// lineWriter tells when the first line has come.
type lineWriter struct {
	text  bytes.Buffer // to be read when the run has ended
	first chan struct{}
	once  sync.Once
}

func newLineWriter() *lineWriter { return &lineWriter{first: make(chan struct{})} }

func (w *lineWriter) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if bytes.ContainsRune(p, '\n') {
		w.once.Do(func() { close(w.first) })
	}
	return n, err
}

func (w *lineWriter) String() string { return w.text.String() }
