package docker

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/internal/dockertest"

	"golang.org/x/crypto/bcrypt"
)

// built lists what has been built for tasks, by a label of the test.
func built(t *testing.T, e *dockertest.Engine, mark string) []string {
	t.Helper()
	return strings.Fields(e.Run(t, "images", "--quiet", "--no-trunc", "--filter", "label="+buildLabel, "--filter", "label=mark="+mark))
}

// TestBuild: an image is built once for what it is made of (O10).
func TestBuild(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	command := func(lines ...string) command.Command {
		c := b.sh("cat /made")
		c.Container.Build = lines
		c.Container.BuildOptions = []string{"--label", "mark=" + b.id, "--network=none"}
		return c
	}
	c := command("echo one >/made\necho two >>/made", "echo three >>/made")
	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			if exit, out := b.run(c); exit.Code != 0 || !strings.HasSuffix(out, "one\ntwo\nthree\n") {
				t.Errorf("got status %d and %q, want what was built", exit.Code, out)
			}
		})
	}
	together.Wait()
	first := built(t, b.engine, b.id)
	if len(first) != 1 {
		t.Errorf("after three equal tasks: got %d images, want 1", len(first))
	}
	if _, out := b.run(c); out != "one\ntwo\nthree\n" {
		t.Errorf("once more: got %q, want no build", out)
	}
	if _, out := b.run(command("echo other >/made")); !strings.HasSuffix(out, "other\n") || !strings.Contains(out, "Step 2/") {
		t.Errorf("another recipe: got %q, want its build and its output", out)
	}
	if got := built(t, b.engine, b.id); len(got) != 2 {
		t.Errorf("after another recipe: got %d images, want 2", len(got))
	}
	c.Container.Image = "base-of-" + strings.ToLower(b.id)
	b.engine.Run(t, "tag", box, c.Container.Image)
	if _, out := b.run(c); strings.Contains(out, "Step 2/") {
		t.Errorf("another name of the same base: got a build:\n%s", out)
	}
}

func TestBuildThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := b.sh("true")
	var out bytes.Buffer
	c.Output = &out
	c.Container.Build = []string{"echo a line of the build; exit 9"}
	c.Container.BuildOptions = []string{"--network=none"}
	exit, err := b.x.Run(t.Context(), c)
	if err == nil {
		t.Fatalf("got status %d, want an error", exit.Code)
	}
	contain(t, "error", err.Error(), "build an image", "returned a non-zero code: 9")
	contain(t, "log", out.String(), "a line of the build")
	c.Container.BuildOptions = []string{"--ssh=default"}
	contain(t, "option", b.fail(c), "build_options: --ssh is not supported")
}

// registryServer is a registry on loopback that wants a login.
type registryServer struct{ address string }

const (
	registryUser     = "robot"
	registryPassword = "pass:word"
)

func startRegistry(t *testing.T) *registryServer {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		dockertest.Lack(t, fmt.Errorf("this machine has no docker-registry (`make test` installs it): %w", err))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &registryServer{address: l.Addr().String()}
	l.Close()
	hash, err := bcrypt.GenerateFromPassword([]byte(registryPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	users, config := filepath.Join(dir, "users"), filepath.Join(dir, "config.yml")
	for file, text := range map[string]string{
		users: registryUser + ":" + string(hash) + "\n",
		config: "version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: " + filepath.Join(dir, "data") + "}}\n" +
			"http: {addr: '" + r.address + "'}\nauth: {htpasswd: {realm: test, path: " + users + "}}\n",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, "serve", config)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the registry said:\n%s", said.String())
		}
	})
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			conn.Close()
			return r
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// TestPull: images come from registries, with the credentials that a login has
// left on this machine.
func TestPull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := startRegistry(t)
	name := r.address + "/team/tool:1"
	login := t.TempDir()
	docker := func(args ...string) {
		t.Helper()
		b.engine.Run(t, append([]string{"--config", login}, args...)...)
	}
	docker("login", "--username", registryUser, "--password", registryPassword, r.address)
	push := func(text string) {
		t.Helper()
		b.engine.Import(t, name, func(p *dockertest.Pack) error {
			if err := p.Base(); err != nil {
				return err
			}
			return p.Text("/version", text, 0o644)
		})
		docker("push", "--quiet", name)
	}
	push("one")
	docker("rmi", name)

	c := b.sh("cat /version")
	c.Container.Image = name
	anonymous := append(os.Environ(), "DOCKER_HOST="+b.engine.Host, "DOCKER_CONFIG="+t.TempDir())
	b.x = New(Options{Host: refusing{t}, Environ: anonymous})
	contain(t, "without a login", b.fail(c), "pull the image "+name, "no basic auth credentials")

	b.x = New(Options{Host: refusing{t}, Environ: append(anonymous, "DOCKER_CONFIG="+login)})
	never := b.sh("true", "--pull=never")
	never.Container.Image = name
	contain(t, "--pull=never", b.fail(never), "No such image")
	if _, out := b.run(c); !strings.HasSuffix(out, "one") || !strings.Contains(out, "Pulling from team/tool") {
		t.Errorf("an image that is not there: got %q, want the pull and the output", out)
	}
	push("two")
	docker("rmi", name)
	docker("pull", "--quiet", name)
	push("three") // the engine's own copy has changed with it
	b.engine.Run(t, "tag", box, name)
	if _, out := b.run(b.sh("true")); out != "" {
		t.Errorf("an image that is there: got %q, want no pull", out)
	}
	c.Container.PullAlways = true
	if _, out := b.run(c); !strings.HasSuffix(out, "three") {
		t.Errorf("pull_always: got %q, want the registry's newest", out)
	}
	push("four")
	b.engine.Run(t, "tag", box, name)
	c.Container.Build = []string{"echo built >>/version"}
	c.Container.BuildOptions = []string{"--network=none"}
	if _, out := b.run(c); !strings.HasSuffix(out, "fourbuilt\n") {
		t.Errorf("pull_always with build: got %q, want the registry's newest as the base", out)
	}
	b.engine.Run(t, "rmi", name)
	c.Container.PullAlways = false
	if _, out := b.run(c); !strings.HasSuffix(out, "fourbuilt\n") {
		t.Errorf("build on an image that is not there: got %q, want it pulled", out)
	}
}
