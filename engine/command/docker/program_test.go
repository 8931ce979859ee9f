package docker

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitdag/engine/command"

	"github.com/google/go-cmp/cmp"
)

// fake stands for Docker's program: it writes each call down, a word a line, and
// lists the images in the file images.
const fake = `#!/bin/sh
{ for a in "$@"; do echo "$a"; done; echo; } >>calls.txt
case "$1" in
images) cat images 2>/dev/null; exit 0 ;;
run) echo "output of the run"; exit 5 ;;
pull) test ! -e no-pull ;;
build) echo "output of the build"; test ! -e no-build ;;
esac
`

// programBench is a project with a stand-in for Docker's program.
type programBench struct {
	t       *testing.T
	x       *Executor
	project string
}

func newProgramBench(t *testing.T) *programBench {
	t.Helper()
	b := &programBench{t: t, x: New(Options{Host: command.Local{}, Environ: []string{"DOCKER_HOST=unix:///none"}}), project: t.TempDir()}
	b.write("docker", fake)
	return b
}

func (b *programBench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.project, name), []byte(text), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *programBench) command(change func(*command.Container)) command.Command {
	c := command.Command{
		Args: []string{"sh", "script with a space"}, Dir: filepath.Join(b.project, "below"),
		Env:       []string{"A=1", command.Marker("data", 1, 2), "B=two words"},
		Container: &command.Container{Image: "img", Program: "./docker", Project: b.project, Environ: []string{"PATH=" + os.Getenv("PATH"), command.Marker("data", 1, 2)}},
	}
	if change != nil {
		change(c.Container)
	}
	return c
}

// calls returns the calls since the last time, one a line; the project is P.
func (b *programBench) calls() string {
	b.t.Helper()
	file := filepath.Join(b.project, "calls.txt")
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		b.t.Fatal(err)
	}
	var calls []string
	for _, call := range strings.Split(strings.TrimSuffix(string(text), "\n\n"), "\n\n") {
		calls = append(calls, strings.Join(strings.Split(call, "\n"), "|"))
	}
	return strings.ReplaceAll(strings.Join(calls, "\n"), b.project, "P")
}

const plainRun = "run|--rm|-v|P:P:rw|-w|P/below|-e|A=1|-e|B=two words|img|sh|script with a space"

// TestProgramArguments: they are Digdag's (operators.md 4.4).
func TestProgramArguments(t *testing.T) {
	t.Parallel()
	b := newProgramBench(t)
	for _, tt := range []struct {
		name   string
		change func(*command.Container)
		want   string
	}{
		{"plain", nil, plainRun},
		{"run_options", func(c *command.Container) { c.RunOptions = []string{"--memory 1g", "--whatever"} }, strings.Replace(plainRun, "run|", "run|--memory 1g|--whatever|", 1)},
		{"private", func(c *command.Container) { c.Private = []string{"B"} }, strings.Replace(plainRun, "B=two words", "B", 1)},
		{"selinux", func(c *command.Container) { c.SELinux = true }, strings.Replace(plainRun, ":rw|", ":rw,Z|", 1)},
		{"pull_always", func(c *command.Container) { c.PullAlways = true }, "pull|img\n" + plainRun},
		{"build", func(c *command.Container) {
			c.Build, c.BuildOptions = []string{"a\nb", "c"}, []string{"--squash"}
		}, "images\nbuild|--squash|-f|P/.digdag/tmp/docker/Dockerfile.NAME.TAG|--force-rm|-t|NAME:TAG|P\n" + strings.Replace(plainRun, "|img|", "|NAME:TAG|", 1)},
		{"build, pull_always", func(c *command.Container) { c.Build, c.PullAlways = []string{"a"}, true }, "pull|img\nimages\nbuild|-f|P/.digdag/tmp/docker/Dockerfile.NAME.TAG|--force-rm|-t|NAME:TAG|P\n" + strings.Replace(plainRun, "|img|", "|NAME:TAG|", 1)},
	} {
		var out bytes.Buffer
		c := b.command(tt.change)
		c.Output = &out
		exit, err := b.x.Run(t.Context(), c)
		if err != nil || exit.Code != 5 {
			t.Errorf("%s: got status %d, %v; want 5", tt.name, exit.Code, err)
		}
		got := regexp.MustCompile(`gitdag-build([:.])[0-9a-f]{32}`).ReplaceAllString(b.calls(), "NAME${1}TAG")
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
		if !strings.HasSuffix(out.String(), "output of the run\n") {
			t.Errorf("%s: got output %q, want the program's", tt.name, out.String())
		}
	}
}

// TestProgramBuildsOnce: what is listed is not built (O10).
func TestProgramBuildsOnce(t *testing.T) {
	t.Parallel()
	b := newProgramBench(t)
	built := func(lines ...string) int {
		t.Helper()
		if _, err := b.x.Run(t.Context(), b.command(func(c *command.Container) { c.Build = lines })); err != nil {
			t.Fatal(err)
		}
		return strings.Count(b.calls(), "build|-f")
	}
	if n := built("a"); n != 1 {
		t.Errorf("first: got %d builds, want 1", n)
	}
	files, err := filepath.Glob(filepath.Join(b.project, ".digdag/tmp/docker/Dockerfile.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v, %v; want one Dockerfile", files, err)
	}
	text, err := os.ReadFile(files[0])
	if want := "FROM img\nRUN a\n"; err != nil || string(text) != want {
		t.Errorf("Dockerfile: got %q, %v; want %q", text, err, want)
	}
	tag := strings.TrimPrefix(filepath.Base(files[0]), "Dockerfile.gitdag-build.")
	for listing, want := range map[string]int{
		"REPOSITORY TAG IMAGE ID\ngitdag-build " + tag + " 123\n":           0,
		"REPOSITORY TAG IMAGE ID\nlocalhost/gitdag-build   " + tag + " 1\n": 0,
		"IMAGE ID\ngitdag-build:" + tag + " 123\n":                          0,
		"REPOSITORY TAG IMAGE ID\ngitdag-build other 123\n":                 1,
	} {
		b.write("images", listing)
		if n := built("a"); n != want {
			t.Errorf("listed %q: got %d builds, want %d", listing, n, want)
		}
	}
	b.write("images", "gitdag-build "+tag+" 123\n")
	if n := built("a", "b"); n != 1 {
		t.Errorf("another recipe: got %d builds, want 1", n)
	}
}

func TestProgramFails(t *testing.T) {
	t.Parallel()
	b := newProgramBench(t)
	fail := func(change func(*command.Container)) string {
		t.Helper()
		c := b.command(change)
		c.Output = io.Discard
		_, err := b.x.Run(t.Context(), c)
		if err == nil {
			t.Fatal("got no error")
		}
		return err.Error()
	}
	contain(t, "no program", fail(func(c *command.Container) { c.Program = "./no-such-docker" }), "no-such-docker")
	b.write("no-pull", "")
	contain(t, "pull", fail(func(c *command.Container) { c.PullAlways = true }), "./docker pull img ended with code 1")
	b.write("no-build", "")
	contain(t, "build", fail(func(c *command.Container) { c.Build = []string{"a"} }), "./docker build img ended with code 1")
	b.write("docker", "#!/bin/sh\nexit 3\n")
	contain(t, "images", fail(func(c *command.Container) { c.Build = []string{"a"} }), "./docker images img ended with code 3")
}

// TestProgramIsKilledLikeAProcess: it is asked, and hands that on.
func TestProgramIsKilledLikeAProcess(t *testing.T) {
	t.Parallel()
	b := newProgramBench(t)
	b.write("docker", "#!/bin/sh\ntrap 'echo handed on; exit 0' TERM\necho \"$GITDAG_RUN\"\nwhile :; do sleep 0.05; done\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("killed by the test")
	out := newLineWriter()
	c := b.command(nil)
	c.Output = out
	go func() {
		select {
		case <-out.first:
		case <-time.After(patience):
		}
		cancel(cause)
	}()
	if _, err := b.x.Run(ctx, c); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
	if got := out.String(); !strings.HasPrefix(got, "data/1/2\n") || !strings.HasSuffix(got, "handed on\n") {
		t.Errorf("got %q, want the marker, and that the signal was handed on", got)
	}
}

// TestProgramOfARealEngine: Docker's own program does what the API does.
func TestProgramOfARealEngine(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.x = New(Options{Host: command.Local{}})
	c := b.sh("echo $A; cat /made; exit 3")
	c.Env = append(c.Env, "A=variable")
	c.Container.Program = "docker"
	c.Container.Environ = append(os.Environ(), b.engine.Env...)
	c.Container.RunOptions = []string{"--network", "none"}
	c.Container.Build = []string{"echo built >/made"}
	c.Container.BuildOptions = []string{"--network=none"}
	for i, last := range []string{"Successfully", ""} {
		exit, out := b.run(c)
		if exit.Code != 3 || !strings.HasSuffix(out, "variable\nbuilt\n") || strings.Contains(out, "Successfully") != (last != "") {
			t.Errorf("%d: got status %d and %q, want 3 and its output, built once", i, exit.Code, out)
		}
	}
}

// What must not be seen among the arguments is in the program's environment.
func TestProgramInheritsWhatIsPrivate(t *testing.T) {
	t.Parallel()
	b := newProgramBench(t)
	b.write("docker", "#!/bin/sh\necho \"[$B][$A][$*]\"\n")
	var out bytes.Buffer
	c := b.command(func(c *command.Container) { c.Private = []string{"B"} })
	c.Output = &out
	exit, err := b.x.Run(t.Context(), c)
	if got := out.String(); err != nil || exit.Code != 0 || !strings.HasPrefix(got, "[two words][][run ") || strings.Contains(got[10:], "two words") {
		t.Errorf("got %q, status %d, %v", got, exit.Code, err)
	}
}
