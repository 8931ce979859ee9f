package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"

	"gitdag/bench/agenttest"
	"gitdag/engine/secret"
)

// terminal is one that a test types on, and a command that reads from it.
type terminal struct {
	user, tty *os.File
	cli       *cli
	stderr    strings.Builder
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	user, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		user.Close()
		tty.Close()
	})
	x := &terminal{user: user, tty: tty}
	x.cli = &cli{stdin: tty, stderr: &x.stderr}
	return x
}

// state is the mode of the terminal, to compare.
func (x *terminal) state(t *testing.T) string {
	t.Helper()
	s, err := term.GetState(int(x.tty.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", *s)
}

// The value is typed unseen: the terminal shows nothing of it, and does as
// before afterwards.
func TestPrompt(t *testing.T) {
	x := newTerminal(t)
	before := x.state(t)
	type result struct {
		value string
		err   error
	}
	got := make(chan result, 1)
	go func() {
		value, err := x.cli.prompt(t.Context(), "pg.password")
		got <- result{value, err}
	}()
	agenttest.Eventually(t, "the terminal hides what is typed", func() bool { return x.state(t) != before }, func() string { return before })
	if _, err := x.user.WriteString("s3cret\n"); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.value != "s3cret" || r.err != nil {
		t.Errorf("got %q, %v, want s3cret", r.value, r.err)
	}
	if got := x.state(t); got != before {
		t.Errorf("the terminal is left as %s, want %s", got, before)
	}
	if _, err := x.tty.WriteString("end\n"); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	for lines := bufio.NewScanner(x.user); lines.Scan() && !strings.HasPrefix(lines.Text(), "end"); {
		shown.WriteString(lines.Text())
	}
	if got := strings.TrimSpace(shown.String()); got != "" {
		t.Errorf("the terminal showed %q, want nothing", got)
	}
	if got, want := x.stderr.String(), "pg.password: \n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An interrupt ends the question, and leaves the terminal as it was.
func TestPromptIsInterrupted(t *testing.T) {
	x := newTerminal(t)
	before := x.state(t)
	ctx, interrupt := context.WithCancel(t.Context())
	got := make(chan error, 1)
	go func() {
		_, err := x.cli.prompt(ctx, "k")
		got <- err
	}()
	agenttest.Eventually(t, "the terminal hides what is typed", func() bool { return x.state(t) != before }, func() string { return before })
	interrupt()
	defer func() { _, _ = x.user.WriteString("\n") }() // ends the read that nobody waits for
	var exit *exitError
	if err := <-got; !errors.As(err, &exit) || exit.status != 130 {
		t.Errorf("got %v, want status 130", err)
	}
	if got := x.state(t); got != before {
		t.Errorf("the terminal is left as %s, want %s", got, before)
	}
}

func TestSecretsThatAreTooLongOrNoText(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"max": strings.Repeat("x", secret.MaxValue), "long": strings.Repeat("x", secret.MaxValue+1), "binary": "\xff\xfe"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{"GITDAG_CONFIG_HOME=" + filepath.Join(dir, "ours"), "DIGDAG_CONFIG_HOME=" + filepath.Join(dir, "theirs")}
	for name, want := range map[string]outcome{
		"max":    {0, "", "Secret 'k' set\n"},
		"long":   {1, "", "error: the value of secret k has 16385 bytes; 16384 are allowed\n"},
		"binary": {1, "", "error: the value of secret k is no UTF-8 text\n"},
	} {
		got := gitdag(t, environ, "secrets", "--local", "--set", "k=@"+filepath.Join(dir, name))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := gitdag(t, environ, "secrets", "--local", "--set", strings.Repeat("k", 256)+"=x"); got.status != 2 {
		t.Errorf("a key of 256 characters: got %+v, want a usage error", got)
	}
}

// A directory that cannot be written or listed is an error, not an empty list.
func TestSecretsThatCannotBeKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"GITDAG_CONFIG_HOME=" + file}
	for _, args := range [][]string{{}, {"--set", "k=v"}, {"--delete", "k"}} {
		got := gitdag(t, environ, append([]string{"secrets", "--local"}, args...)...)
		if got.status != 1 || !strings.Contains(got.stderr, "not a directory") {
			t.Errorf("%q: got %+v, want an error", args, got)
		}
	}
}
