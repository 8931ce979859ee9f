package agenttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Repo is a bare repository, with a clone beside it to which the git program
// commits. A commit is pushed at once.
type Repo struct {
	t    testing.TB
	bare string
	work string
}

// NewRepo makes a bare repository named name.git, without a commit, whose
// default branch is main.
func NewRepo(t testing.TB, name string) *Repo {
	t.Helper()
	dir := t.TempDir()
	r := &Repo{t: t, bare: filepath.Join(dir, name+".git"), work: filepath.Join(dir, "work")}
	r.run(dir, "init", "--quiet", "--bare", "--initial-branch=main", r.bare)
	r.run(dir, "init", "--quiet", "--initial-branch=main", r.work)
	r.run(r.work, "remote", "add", "origin", r.bare)
	return r
}

// Path is the bare repository, as --repo takes it.
func (r *Repo) Path() string { return r.bare }

// Push commits the files, removing those whose content is [Removed], and
// pushes; it returns the commit. Those that begin with #! are executable.
func (r *Repo) Push(subject string, files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		file := filepath.Join(r.work, name)
		if content == Removed {
			if err := os.Remove(file); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			r.t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(content, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(content), mode); err != nil {
			r.t.Fatal(err)
		}
	}
	r.run(r.work, "add", "--all", ".")
	r.run(r.work, "commit", "--quiet", "--message", subject)
	r.run(r.work, "push", "--quiet", "origin", "main")
	return strings.TrimSpace(r.run(r.work, "rev-parse", "HEAD"))
}

// Removed is the content of a file that [Repo.Push] is to remove.
const Removed = "\x00removed"

// Author is who makes every commit.
const Author = "Ada Lovelace"

// run runs git without the machine's or the user's configuration.
func (r *Repo) run(dir string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME="+Author, "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME="+Author, "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
