// Package deploy_test proves the packaging: the container image is built and
// run, the systemd unit is read by systemd's own checker, the agent keeps its
// word to a service manager.
//
// It knows the files of this folder, the Dockerfile and the built binary, of our
// packages only those for tests. Its invariant: a proof that cannot be given on this machine
// is a failure under CI, never a silence.
package deploy_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The agent's own defaults, which every manifest has to outlast.
const (
	drain     = 30 * time.Second
	killGrace = 10 * time.Second
)

// patience bounds every program that a test runs, so that one that hangs fails
// its test and is cleaned up after.
const patience = 10 * time.Minute

// root is the module's folder.
const root = ".."

// need looks programs up, also where only administrators look. Without one of
// them the test fails under CI and is skipped elsewhere.
func need(t *testing.T, programs ...string) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) > 0 {
		lack(t, "this machine has no "+strings.Join(missing, ", ")+" (`make test` installs them)")
	}
}

// lack ends a test that this machine cannot run.
func lack(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// try runs a program and returns all that it printed.
func try(ctx context.Context, env []string, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 5 * time.Second // its own children may hold the pipe
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// do is try for a program that must succeed.
func do(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, err := try(t.Context(), env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// sampleRepository makes a bare repository with one project and returns its
// path, readable for every user.
func sampleRepository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	work, bare := filepath.Join(dir, "work"), filepath.Join(dir, "sample.git")
	put(t, filepath.Join(work, "hello", "hello.dig"), "timezone: UTC\n\n+say:\n  sh>: echo hello\n")
	git := func(args ...string) {
		do(t, nil, "git", append([]string{"-C", work, "-c", "user.name=Mara", "-c", "user.email=mara@example.com"}, args...)...)
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "say hello")
	git("clone", "-q", "--bare", ".", bare)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bare
}

// put writes a file and the folders above it.
func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// eventually asks again until the answer is the wanted one or the time is over.
func eventually(t *testing.T, within time.Duration, what, want string, ask func() string) {
	t.Helper()
	end := time.After(within)
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		got := ask()
		if got == want {
			return
		}
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("%s after %s: got %q, want %q", what, within, got, want)
		}
	}
}
