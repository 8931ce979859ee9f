// Package dockertest gives tests a Docker engine of their own, and images made of
// this machine's files.
//
// It knows nothing of ours. Its invariant: no image, container, network or
// firewall rule of the machine is touched, and nothing is left when the engine
// is closed.
package dockertest

import (
	"context"
	"errors"
	"fmt"
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

const (
	// patience bounds every program that is called, so that one that hangs fails
	// its test and is cleaned up after.
	patience = 10 * time.Minute
	// startWait is how long an engine may take to answer, or to end.
	startWait = time.Minute
)

// Engine is a Docker engine without any network.
type Engine struct {
	// Host is where it listens, as in DOCKER_HOST.
	Host string
	// Env lets Docker's program find it.
	Env []string

	dir    string
	log    *os.File
	daemon *exec.Cmd
	ended  chan struct{}
}

// Start returns an engine that ends with the test. Where none can be had the
// test is skipped; under CI it fails.
func Start(tb testing.TB) *Engine {
	tb.Helper()
	e, err := Open()
	if err != nil {
		Lack(tb, err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the engine's log ends:\n%s", e.Log())
		}
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// Lack ends a test that cannot run for what [Open] says.
func Lack(tb testing.TB, why error) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatal(why)
	}
	tb.Skip(why)
}

// Open starts an engine with the given further arguments.
func Open(args ...string) (*Engine, error) {
	path := os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin" // where only administrators look
	program := ""
	for _, dir := range filepath.SplitList(path) {
		if info, err := os.Stat(filepath.Join(dir, "dockerd")); err == nil && !info.IsDir() && program == "" {
			program = filepath.Join(dir, "dockerd")
		}
	}
	switch _, err := exec.LookPath("docker"); {
	case program == "" || err != nil:
		return nil, errors.New("this machine has no docker or dockerd (`make test` installs them)")
	case runtime.GOOS != "linux" || os.Getuid() != 0:
		return nil, errors.New("only root on Linux can start a Docker engine")
	}
	dir, err := os.MkdirTemp("", "engine") // sockets need short paths
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	e := &Engine{Host: "unix://" + filepath.Join(dir, "docker.sock"), dir: dir, log: log, ended: make(chan struct{})}
	e.Env = []string{"DOCKER_HOST=" + e.Host, "DOCKER_BUILDKIT=0", "DOCKER_CONFIG=" + filepath.Join(dir, "client"), "DOCKER_CONTEXT="}
	e.daemon = exec.Command(program, append([]string{
		"--host", e.Host, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--bridge", "none", "--iptables=false",
	}, args...)...)
	e.daemon.Env = append(os.Environ(), "PATH="+path)
	e.daemon.Stdout, e.daemon.Stderr = log, log
	if err := e.daemon.Start(); err != nil {
		return nil, errors.Join(err, log.Close(), os.RemoveAll(dir))
	}
	go func() { // ends with the daemon, which Close ends
		defer close(e.ended)
		_ = e.daemon.Wait() // its log tells more than its status
	}()
	if err := e.await(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; its log ends:\n%s", err, e.Log()), e.Close())
	}
	return e, nil
}

// await returns when the engine answers.
func (e *Engine) await() error {
	deadline := time.After(startWait)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := e.Try(context.Background(), "version"); err == nil {
			return nil
		}
		select {
		case <-e.ended:
			return errors.New("this machine does not let a Docker engine start")
		case <-deadline:
			return errors.New("the Docker engine did not answer within a minute")
		case <-again.C:
		}
	}
}

// Log returns the end of what the engine has said.
func (e *Engine) Log() string {
	text, err := os.ReadFile(e.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

// Close ends the engine and removes all that it had.
func (e *Engine) Close() error {
	_ = e.daemon.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-e.ended:
	case <-time.After(startWait):
		_ = e.daemon.Process.Kill() // likewise
		<-e.ended
	}
	e.log.Close()
	// The engine leaves its network namespace mounted.
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], e.dir+"/") {
			if out, umountErr := exec.Command("umount", "-l", fields[4]).CombinedOutput(); umountErr != nil {
				err = errors.Join(err, fmt.Errorf("unmount %s: %w: %s", fields[4], umountErr, out))
			}
		}
	}
	return errors.Join(err, os.RemoveAll(e.dir))
}

// Try calls Docker's program and returns all that it printed.
func (e *Engine) Try(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Env = append(os.Environ(), e.Env...)
	cmd.WaitDelay = 5 * time.Second // its own children may hold the pipe
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// Run is Try for what must succeed.
func (e *Engine) Run(tb testing.TB, args ...string) string {
	tb.Helper()
	out, err := e.Try(tb.Context(), args...)
	if err != nil {
		tb.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Import makes an image of what fill packs.
func (e *Engine) Import(tb testing.TB, name string, fill func(*Pack) error) {
	tb.Helper()
	r, w := io.Pipe()
	go func() { // ends when the client has read all, or closed its end
		p := newPack(w)
		err := fill(p)
		if err == nil {
			err = p.out.Close()
		}
		w.CloseWithError(err)
	}()
	cmd := exec.CommandContext(tb.Context(), "docker", "import",
		"--change", "ENV PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/go/bin", "--change", "ENV GOTOOLCHAIN=local", "-", name)
	cmd.Env = append(os.Environ(), e.Env...)
	cmd.Stdin = r
	out, err := cmd.CombinedOutput()
	r.Close()
	if err != nil {
		tb.Fatalf("import %s: %v\n%s", name, err, out)
	}
}
