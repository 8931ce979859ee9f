package deploy_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engine is a Docker engine of the test's own, without any network: it touches
// no image, container or firewall rule of this machine.
type engine struct{ env []string }

func startEngine(t *testing.T) *engine {
	t.Helper()
	need(t, "docker", "dockerd")
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		lack(t, "only root on Linux can start a Docker engine")
	}
	dir, err := os.MkdirTemp("", "engine") // sockets need short paths
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	host := "unix://" + filepath.Join(dir, "docker.sock")
	daemon := exec.Command("dockerd", "--host", host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--bridge", "none", "--iptables=false")
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the daemon, which the clean-up ends
		defer close(ended)
		_ = daemon.Wait() // its log tells more than its status
	}()
	e := &engine{env: []string{"DOCKER_HOST=" + host, "DOCKER_BUILDKIT=0", "DOCKER_CONFIG=" + filepath.Join(dir, "client"), "DOCKER_CONTEXT="}}
	t.Cleanup(func() { stopEngine(t, daemon, ended, dir, log) })
	e.await(t, ended)
	return e
}

// await returns when the engine answers.
func (e *engine) await(t *testing.T, ended <-chan struct{}) {
	t.Helper()
	deadline := time.After(time.Minute)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := try(t.Context(), e.env, "docker", "version"); err == nil {
			return
		}
		select {
		case <-ended:
			lack(t, "this machine does not let a Docker engine start")
		case <-deadline:
			t.Fatal("the Docker engine did not answer within a minute")
		case <-again.C:
		}
	}
}

func stopEngine(t *testing.T, daemon *exec.Cmd, ended <-chan struct{}, dir string, log *os.File) {
	_ = daemon.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-ended:
	case <-time.After(time.Minute):
		_ = daemon.Process.Kill() // likewise
		<-ended
	}
	if t.Failed() {
		if text, err := os.ReadFile(log.Name()); err == nil {
			t.Logf("the engine's log ends:\n%s", text[max(0, len(text)-4096):])
		}
	}
	log.Close()
	// The engine leaves its network namespace mounted.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			if out, err := exec.Command("umount", "-l", fields[4]).CombinedOutput(); err != nil {
				t.Errorf("unmount %s: %v: %s", fields[4], err, out)
			}
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// run calls the client; the call must succeed.
func (e *engine) run(t *testing.T, args ...string) string {
	t.Helper()
	return do(t, e.env, "docker", args...)
}

// try calls the client.
func (e *engine) try(ctx context.Context, args ...string) (string, error) {
	return try(ctx, e.env, "docker", args...)
}

// importImage makes an image of what fill packs.
func (e *engine) importImage(t *testing.T, name string, fill func(*pack) error) {
	t.Helper()
	r, w := io.Pipe()
	go func() { // ends when the client has read all, or closed its end
		p := newPack(w)
		err := fill(p)
		if err == nil {
			err = p.out.Close()
		}
		w.CloseWithError(err)
	}()
	cmd := exec.CommandContext(t.Context(), "docker", "import",
		"--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin", "--change", "ENV GOTOOLCHAIN=local", "-", name)
	cmd.Env = append(os.Environ(), e.env...)
	cmd.Stdin = r
	out, err := cmd.CombinedOutput()
	r.Close()
	if err != nil {
		t.Fatalf("import %s: %v\n%s", name, err, out)
	}
}
