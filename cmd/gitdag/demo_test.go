package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/notify"
)

// demoProcess is a running `gitdag demo`.
type demoProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	temp  string // its temporary files
	lines chan string
	seen  []string
}

// startDemo starts the real program with nothing in its environment but the
// folder for temporary files: no PATH, so no git and no shell tools.
func startDemo(t *testing.T, args ...string) *demoProcess {
	t.Helper()
	d := &demoProcess{t: t, temp: t.TempDir(), lines: make(chan string, 1000)}
	d.cmd = exec.Command(program(t), append([]string{"demo"}, args...)...)
	d.cmd.Env = []string{"TMPDIR=" + d.temp, "PATH="}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.cmd.Process.Kill() })
	go func() {
		defer close(d.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			d.lines <- s.Text()
		}
	}()
	return d
}

// expect reads on to a line that matches and returns its groups.
func (d *demoProcess) expect(pattern string) []string {
	d.t.Helper()
	re := regexp.MustCompile(pattern)
	limit := time.After(time.Minute)
	for {
		select {
		case line, ok := <-d.lines:
			if !ok {
				d.t.Fatalf("the demo ended without a line like %q:\n%s", pattern, strings.Join(d.seen, "\n"))
			}
			d.seen = append(d.seen, line)
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		case <-limit:
			d.t.Fatalf("no line like %q for a minute:\n%s", pattern, strings.Join(d.seen, "\n"))
		}
	}
}

// interrupt is Ctrl-C; it returns when the process has ended.
func (d *demoProcess) interrupt() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGINT); err != nil {
		d.t.Fatal(err)
	}
	d.expect(`^Stopping, and removing `)
	for range d.lines { // the rest
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("got %v, want status 0", err)
	}
	left, err := os.ReadDir(d.temp)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, entry := range left {
		d.t.Errorf("left behind: %s", entry.Name())
	}
}

func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	repo := d.expect(`folder +(/.*/sample)$`)[1]
	d.expect(`commit +[0-9a-f]{8} by Ada: `)
	address := d.expect(`agent +(http://127\.0\.0\.1:\d+)$`)[1]
	d.expect(`deployed +[0-9a-f]{8} is live`)
	d.expect(`schedule +hello and report are due every two seconds`)
	d.expect(`success +(hello|report) +attempt \d+, session \d\d:\d\d:\d\d UTC`)
	broken := d.expect(`commit +([0-9a-f]{8}) by Grace: Count the visits`)[1]
	d.expect(`deployed +` + broken + ` is live`)
	attempt := d.expect(`failure +report +attempt (\d+)`)[1]
	d.expect(`^ +FAILED  sample/report  session .* UTC  \+report\+count  Command failed with code \d+`)
	d.expect(`^ +Attempt: ` + attempt + `$`)
	d.expect(`^ +Revision: ` + broken + ` by Grace: Count the visits of all shops$`)
	d.expect(`^ +\| .*all-shops\.txt`)
	d.expect(`^ +RECOVERED  sample/report `)
	last := d.expect(`commit +([0-9a-f]{8}) by Grace: Once a minute`)[1]
	d.expect(`deployed +` + last + ` is live`)
	d.expect(`schedule +hello and report are due every minute`)
	d.expect(`gitdag log ` + attempt)

	resp, err := http.Get(address + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("livez: got %s, want 200", resp.Status)
	}
	// What it says to try works.
	endpoint := strings.TrimPrefix(address, "http://")
	for _, args := range [][]string{
		{"status"}, {"attempts"}, {"log", attempt}, {"start", "sample", "nightly", "--session", "now"},
	} {
		if out, err := exec.Command(program(t), append(args, "-e", endpoint)...).CombinedOutput(); err != nil {
			t.Errorf("gitdag %v: %v\n%s", args, err, out)
		}
	}
	d.expect(`success +nightly `)
	// The repository is one that people can go on with.
	gitIn(t, repo, "status", "--porcelain")
	if err := os.WriteFile(filepath.Join(repo, "hello.dig"), []byte("+greet:\n  sh>: one\n  echo>: two\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gitIn(t, repo, "-c", "user.name=Eve", "-c", "user.email=eve@example.com", "commit", "-qam", "Greet twice")
	d.expect(`^ +REJECTED  sample `)
	d.expect(`hello\.dig:\d+:\d+: error: `)
	d.interrupt()
}

func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

// TestDemoOnAnotherPort: the port that clients look at may be taken, and a demo
// may be ended at any time.
func TestDemoOnAnotherPort(t *testing.T) {
	t.Parallel()
	if l, err := net.Listen("tcp", demoAddress); err == nil {
		defer l.Close()
	} // else somebody else has it, which is as good
	d := startDemo(t)
	address := d.expect(`agent +http://(127\.0\.0\.1:\d+)$`)[1]
	if address == demoAddress {
		t.Errorf("got %s, want another port", address)
	}
	d.expect(`deployed`)
	d.interrupt()
}

func TestNextStepsNameTheEndpoint(t *testing.T) {
	n := newNarrator(io.Discard, false, time.Now())
	n.failed = 7
	if text := nextSteps(n, "/repo", demoAddress); strings.Contains(text, " -e ") {
		t.Errorf("the default address is spelt out:\n%s", text)
	}
	text := nextSteps(n, "/repo", "127.0.0.1:99")
	for _, want := range []string{" status -e 127.0.0.1:99 ", " log 7 -e 127.0.0.1:99 ", "git -C /repo log"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestNarratorPutsTheLogIntoWords(t *testing.T) {
	var out, log bytes.Buffer
	n := newNarrator(&out, true, time.Now())
	n.log = slog.NewTextHandler(&log, nil)
	l := n.logger().With("component", "engine").WithGroup("x")
	session := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for id := uint64(1); id <= 2; id++ {
		l.Info("attempt started", "workflow", "hello", "session", session, "attempt", id, "revision", "0123456789")
		l.Info("attempt ended", "attempt", id, "success", id == 2)
	}
	l.Info("revision live", "revision", "0123456789")
	l.Info("sync", "reason", "poll")
	l.Error("project rejected", "project", "sample")
	l.Error("close data directory", "err", io.ErrUnexpectedEOF)
	l.Debug("nobody hears it")

	got := regexp.MustCompile(`(?m)^ *\d+\.\d+s  `).ReplaceAllString(out.String(), "")
	want := "\x1b[31mfailure  \x1b[0m  hello    attempt 1, session 12:00:00 UTC\n" +
		"\x1b[32msuccess  \x1b[0m  hello    attempt 2, session 12:00:00 UTC\n" +
		"deployed   01234567 is live\n" +
		"\x1b[31mproblem  \x1b[0m  close data directory: unexpected EOF\n"
	if got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	if got, want := strings.Count(log.String(), "\n"), 8; got != want {
		t.Errorf("got %d lines of log, want %d:\n%s", got, want, log.String())
	}
	if !strings.Contains(log.String(), "component=engine") {
		t.Errorf("the log has lost an attribute:\n%s", log.String())
	}
	for _, m := range []string{live, ended("hello", true), ended("hello", false)} {
		select {
		case <-n.moment("0123456789", m):
		default:
			t.Errorf("the moment %q has not come", m)
		}
	}
	if got, want := n.failedAttempt(), uint64(1); got != want {
		t.Errorf("got failed attempt %d, want %d", got, want)
	}
}

// fakeSlack takes messages, or refuses them.
type fakeSlack struct{ err error }

func (f fakeSlack) Send(context.Context, notify.Alert) (notify.Receipt, error) {
	return notify.Receipt{TS: "1.2"}, f.err
}

func TestNarratorForwardsToSlack(t *testing.T) {
	var out bytes.Buffer
	n := newNarrator(&out, false, time.Now())
	alert := notify.Alert{Kind: notify.AttemptFailed, Project: "sample", Workflow: "report", Revision: notify.Commit{ID: "abc"}}
	n.slack = fakeSlack{io.EOF}
	if _, err := n.Send(t.Context(), alert); err != io.EOF || out.Len() > 0 {
		t.Errorf("got %v and %q, want the channel's error alone", err, out.String())
	}
	n.slack = fakeSlack{}
	receipt, err := n.Send(t.Context(), alert)
	if err != nil || receipt.TS != "1.2" {
		t.Errorf("got %v, %v, want the channel's receipt", receipt, err)
	}
	if got := out.String(); !strings.Contains(got, "to Slack   FAILED  sample/report") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q, want one line", got)
	}
	select {
	case <-n.moment("abc", told("report", notify.AttemptFailed)):
	default:
		t.Error("the moment has not come")
	}
}

func TestHoldEndsWithTheAgent(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	if err := hold(t.Context(), nil, closed); err != errAgentEnded {
		t.Errorf("got %v, want %v", err, errAgentEnded)
	}
	if err := hold(t.Context(), closed, nil); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestColoured(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, test := range []struct {
		w    any
		env  []string
		want bool
	}{
		{null, nil, true}, // a device, as terminals are
		{null, []string{"TERM=dumb"}, false},
		{null, []string{"NO_COLOR=1"}, false},
		{null, []string{"NO_COLOR="}, true},
		{file, nil, false},
		{&bytes.Buffer{}, nil, false},
	} {
		if got := coloured(test.w, test.env); got != test.want {
			t.Errorf("%T, %v: got %t, want %t", test.w, test.env, got, test.want)
		}
	}
}
