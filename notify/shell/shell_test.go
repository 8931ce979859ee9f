package shell

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gitdag/notify"
)

func alert() notify.Alert {
	return notify.Alert{Key: "7", Kind: notify.AttemptFailed, Project: "p", Workflow: "w", Attempt: 3, Message: "no tide"}
}

func run(t *testing.T, o Options) error {
	t.Helper()
	o.Environ = append(o.Environ, "PATH="+os.Getenv("PATH"))
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Send(t.Context(), alert())
	return err
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCommandReadsTheNotification(t *testing.T) {
	dir := t.TempDir()
	err := run(t, Options{Command: `read -r line && printf '%s\n' "$line" > out; echo "$A $LEAK" > env; echo noise; echo noise >&2`, Dir: dir, Environ: []string{"A=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(notify.Payload(alert()))+"\n", read(t, filepath.Join(dir, "out"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got := read(t, filepath.Join(dir, "env")); got != "1 \n" {
		t.Errorf("got environment %q", got)
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("LEAK", "x")
	s, err := New(Options{Command: `[ -z "$LEAK" ]`})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), alert()); err != nil {
		t.Error(err)
	}
}

func TestOutcomes(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, tt := range []struct {
		command string
		want    notify.Outcome
	}{
		{"true", notify.Outcome{Class: notify.Success}},
		{"cat > /dev/null; exit 0", notify.Outcome{Class: notify.Success}},
		{"exit 3", notify.Outcome{Reason: "shell: the command failed, exit status 3"}},
		{"echo first; echo 'the \x1b[31mlast\x1b[0m line' >&2; echo; exit 1", notify.Outcome{Reason: "shell: the command failed, exit status 1: the last line"}},
		{"yes | head -c 10000000; echo " + long + "; exit 1", notify.Outcome{Reason: "shell: the command failed, exit status 1: " + long[:199] + "…"}},
		{"kill -TERM $$", notify.Outcome{Reason: "shell: the command failed, signal: terminated"}},
		{"exec no-such-program-anywhere 2>/dev/null", notify.Outcome{Class: notify.Permanent, Reason: "shell: the command failed, exit status 127"}},
		{"exit 126", notify.Outcome{Class: notify.Permanent, Reason: "shell: the command failed, exit status 126"}},
	} {
		if d := cmp.Diff(tt.want, notify.OutcomeOf(run(t, Options{Command: tt.command}))); d != "" {
			t.Errorf("%.60s (-want +got):\n%s", tt.command, d)
		}
	}
	if got := notify.OutcomeOf(run(t, Options{Command: "true", Dir: "/no/such/dir"})); got.Class != notify.Temporary || !strings.Contains(got.Reason, "no such file") {
		t.Errorf("no such directory: got %v", got)
	}
}

// child reads the number of a process that a command has left in a file.
func child(t *testing.T, dir string) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, filepath.Join(dir, "pid"))))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// gone waits until a process has ended, or is a zombie that nobody reaps here.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if syscall.Kill(pid, 0) != nil || (err == nil && strings.Contains(string(stat), ") Z ")) {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestTimeoutEndsAll(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	got := notify.OutcomeOf(run(t, Options{
		Command: `echo waiting; trap '' TERM; sleep 60 & echo $! > pid; wait`, Dir: dir, Timeout: 300 * time.Millisecond,
	}))
	want := notify.Outcome{Reason: "shell: the command did not end within 300ms: waiting"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	gone(t, child(t, dir))
}

func TestFailureEndsAll(t *testing.T) {
	dir := t.TempDir()
	if err := run(t, Options{Command: `sleep 60 & echo $! > pid; exit 1`, Dir: dir}); err == nil {
		t.Error("got success")
	}
	gone(t, child(t, dir))
}

// What a successful command leaves in the background does not hold the alert (O41).
func TestBackgroundProcessDoesNotHold(t *testing.T) {
	dir := t.TempDir()
	start := time.Now()
	if err := run(t, Options{Command: `sleep 60 & echo $! > pid`, Dir: dir}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	pid := child(t, dir)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("it was ended: %v", err)
	}
	gone(t, pid)
}

func TestSendStops(t *testing.T) {
	s, err := New(Options{Command: "exec sleep 60", Environ: os.Environ()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Send(ctx, alert()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestWrongSettings(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{}, "command: it is required"},
		{Options{Command: " \n"}, "command: it is required"},
		{Options{Command: "true", Timeout: -1}, "timeout: it must not be negative"},
	} {
		_, err := New(tt.o)
		var setting *notify.SettingError
		if !errors.As(err, &setting) || err.Error() != tt.want {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}
