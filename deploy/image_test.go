package deploy_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/internal/dockertest"
)

const (
	// imageUser is the user that the image runs as.
	imageUser = 65532
	// machine and bare are images of this machine's files: with all that the
	// Dockerfile looks for, and without some of it.
	machine = "machine"
	bare    = "bare"
	image   = "gitdag-under-test"
)

// TestImage builds the Dockerfile on images made of this machine's files and
// runs the result.
func TestImage(t *testing.T) {
	need(t, "busybox", "git", "go", "ldd", "python3", "tini")
	e := dockertest.Start(t)
	e.Import(t, machine, func(p *dockertest.Pack) error {
		return errors.Join(p.Base(), p.Found("git", "tini"), p.Python(), p.Toolchain())
	})
	source := buildContext(t)
	build := func(t *testing.T, base, tag string) {
		t.Helper()
		e.Run(t, "build", "--network", "none", "--build-arg", "GO="+machine, "--build-arg", "BASE="+base,
			"--build-arg", "VERSION=1.2.3-test", "--tag", tag, source)
	}
	build(t, machine, image)

	t.Run("says what it is", func(t *testing.T) { checkLabels(t, e) })
	t.Run("refuses to start without a token", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		out, err := e.Try(ctx, "run", "--rm", "--network", "none", image, "agent", "--repo", "https://git.example.com/team/workflows.git")
		if err == nil || !strings.Contains(out, "token") {
			t.Errorf("got %v and %q, want an error that names the token", err, out)
		}
	})
	t.Run("runs until it is stopped", func(t *testing.T) { checkRun(t, e) })
	t.Run("installs only what the base lacks", func(t *testing.T) {
		e.Import(t, bare, func(p *dockertest.Pack) error {
			return errors.Join(p.Base(), p.Found("git"), p.Text("/usr/bin/apt-get", "#!/bin/sh\necho \"$@\" >>/asked\n", 0o755))
		})
		build(t, bare, "on-bare")
		want := "update\ninstall -y --no-install-recommends python3 tini"
		if got := e.Run(t, "run", "--rm", "--network", "none", "--entrypoint", "cat", "on-bare", "/asked"); got != want {
			t.Errorf("asked of apt-get: got %q, want %q", got, want)
		}
	})
}

// buildContext is a copy of the module with its dependencies beside it, so that
// the build needs no network.
func buildContext(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (rel == ".git" || rel == ".tools" || rel == ".gitdag"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	do(t, nil, "go", "mod", "vendor", "-C", dir)
	return dir
}

func checkLabels(t *testing.T, e *dockertest.Engine) {
	var images []struct {
		Config struct {
			User        string
			Labels      map[string]string
			Volumes     map[string]struct{}
			Healthcheck struct{ Test []string }
		}
	}
	if err := json.Unmarshal([]byte(e.Run(t, "image", "inspect", image)), &images); err != nil || len(images) != 1 {
		t.Fatalf("inspect: got %d images, %v; want one", len(images), err)
	}
	c := images[0].Config
	if c.User != "65532:65532" {
		t.Errorf("user: got %q, want 65532:65532", c.User)
	}
	if got := strings.Join(c.Healthcheck.Test, " "); got != "CMD gitdag status --healthy" {
		t.Errorf("health check: got %q, want gitdag status --healthy", got)
	}
	if _, ok := c.Volumes["/var/lib/gitdag"]; !ok {
		t.Errorf("volumes: got %v, want /var/lib/gitdag", c.Volumes)
	}
	for label, want := range map[string]string{"title": "gitdag", "licenses": "Apache-2.0", "version": "1.2.3-test"} {
		if got := c.Labels["org.opencontainers.image."+label]; got != want {
			t.Errorf("label %s: got %q, want %q", label, got, want)
		}
	}
	if out := e.Run(t, "run", "--rm", "--network", "none", image, "--version"); !strings.Contains(out, "1.2.3-test") {
		t.Errorf("--version: got %q, want 1.2.3-test in it", out)
	}
}

// checkRun starts the agent as a user would, looks at it from inside (the test's
// engine has no network) and stops it.
func checkRun(t *testing.T, e *dockertest.Engine) {
	token := filepath.Join(t.TempDir(), "token")
	put(t, token, "s3cret-of-the-test\n")
	id := e.Run(t, "run", "--detach", "--network", "none", "--health-interval", "1s",
		"--volume", sampleRepository(t)+":/repository:ro",
		"--volume", token+":/run/secrets/gitdag-api-token:ro",
		image, "agent", "--repo", "/repository")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the agent said:\n%s", e.Run(t, "logs", id))
		}
	})
	eventually(t, time.Minute, "health", "healthy", func() string {
		return e.Run(t, "inspect", "--format", "{{.State.Health.Status}}", id)
	})
	inside := func(command string) string { return e.Run(t, "exec", id, "sh", "-c", command) }
	for command, want := range map[string]string{
		"id -u":            "65532",
		"cat /proc/1/comm": "tini",
		"git --version >/dev/null && python3 -c 'import json; print(json.dumps([1]))'":                     "[1]",
		"ls /var/lib/gitdag | grep -x journal":                                                             "journal",
		`python3 -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:65432/livez").status)'`: "200",
		// A listening socket on port 65432 of every address, as the kernel writes it.
		`cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == "0A" && $2 ~ /^0+:FF98$/ { print "all" }'`: "all",
		// Without its token a client is turned away.
		"GITDAG_API_TOKEN_FILE=/dev/null gitdag status >/dev/null 2>&1 || echo refused": "refused",
	} {
		if got := inside(command); got != want {
			t.Errorf("%s: got %q, want %q", command, got, want)
		}
	}
	begin := time.Now()
	e.Run(t, "stop", "--time", "60", id)
	if took := time.Since(begin); took >= drain {
		t.Errorf("stop: took %s, want less than the drain of %s", took, drain)
	}
	if got := e.Run(t, "inspect", "--format", "{{.State.ExitCode}}", id); got != "0" {
		t.Errorf("exit status: got %s, want 0", got)
	}
}
