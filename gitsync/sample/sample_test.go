package sample

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var when = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// git runs the real program, which must agree with what was made.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func commit(t *testing.T, r *Repository, c Commit) string {
	t.Helper()
	c.Author, c.Email, c.Time = "Ada", "ada@example.com", when
	id, err := r.Commit(c)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestGitAgrees(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flows")
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if r.Dir() != dir {
		t.Errorf("got folder %s, want %s", r.Dir(), dir)
	}
	first := commit(t, r, Commit{Subject: "begin", Write: map[string]string{"a.dig": "+a: {}\n", "sub/b.sql": "select 1\n"}})
	second := commit(t, r, Commit{Subject: "go on", Write: map[string]string{"a.dig": "+b: {}\n"}, Remove: []string{"sub/b.sql"}})

	for _, check := range []struct {
		args []string
		want string
	}{
		{[]string{"rev-parse", Branch}, second},
		{[]string{"rev-parse", "HEAD^"}, first},
		{[]string{"symbolic-ref", "HEAD"}, "refs/heads/main"},
		{[]string{"status", "--porcelain"}, ""},
		{[]string{"log", "--format=%an %ae %ct %s"}, "Ada ada@example.com 1772366400 go on\nAda ada@example.com 1772366400 begin"},
		{[]string{"ls-tree", "-r", "--name-only", "HEAD^"}, "a.dig\nsub/b.sql"},
		{[]string{"ls-tree", "-r", "--name-only", "HEAD"}, "a.dig"},
		{[]string{"show", "HEAD:a.dig"}, "+b: {}"},
		{[]string{"fsck", "--strict"}, ""},
	} {
		if got := git(t, dir, check.args...); got != check.want {
			t.Errorf("git %v: got %q, want %q", check.args, got, check.want)
		}
	}
}

// TestReadsNoConfiguration: a setting of the user must change nothing.
func TestReadsNoConfiguration(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	config := "[user]\n\tname = Mallory\n[commit]\n\tgpgsign = true\n[core]\n\tautocrlf = true\n[init]\n\tdefaultBranch = trunk\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "flows")
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	commit(t, r, Commit{Subject: "begin", Write: map[string]string{"a": "x\r\n"}})
	if got, want := git(t, dir, "log", "--format=%an %D"), "Ada HEAD -> main"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := git(t, dir, "cat-file", "-s", "HEAD:a"), "3"; got != want {
		t.Errorf("got a file of %s bytes, want %s: line ends were changed", got, want)
	}
}

func TestRefusals(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "flows")
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Create(dir); err == nil {
		t.Error("a second repository was made in the same folder")
	}
	for _, c := range []Commit{
		{Subject: "outside", Write: map[string]string{"../x": ""}},
		{Subject: "nothing there", Remove: []string{"x"}},
		{Subject: "Git's own", Write: map[string]string{".git/x": ""}},
		{Subject: "a file as a folder", Write: map[string]string{"a/b/c": "", "a/b": ""}},
	} {
		if id, err := r.Commit(c); err == nil {
			t.Errorf("%s: got commit %s, want an error", c.Subject, id)
		}
	}
	if got := git(t, dir, "for-each-ref"); got != "" {
		t.Errorf("got references after refusals: %s", got)
	}
}
