package command_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitdag/engine/command"

	"github.com/google/go-cmp/cmp"
)

func sh(script string) command.Command {
	return command.Command{Args: []string{"sh", "-c", script}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func run(t *testing.T, c command.Command) (command.Exit, string) {
	t.Helper()
	var out bytes.Buffer
	c.Output = &out
	exit, err := command.Local{}.Run(t.Context(), c)
	if err != nil {
		t.Fatalf("run %q: %v", c.Args, err)
	}
	return exit, out.String()
}

func TestExit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		script string
		want   command.Exit
	}{
		{"exit 0", command.Exit{}},
		{"exit 3", command.Exit{Code: 3}},
		{"exit 255", command.Exit{Code: 255}},
		{"kill -TERM $$", command.Exit{Code: 143, Signal: syscall.SIGTERM}},
		{"kill -KILL $$", command.Exit{Code: 137, Signal: syscall.SIGKILL}},
		{"sh -c 'kill -KILL $$'; exit $?", command.Exit{Code: 137}}, // the shell's own word for it
	} {
		got, _ := run(t, sh(tt.script))
		if got != tt.want {
			t.Errorf("%s: got %+v, want %+v", tt.script, got, tt.want)
		}
	}
}

func TestWhatTheProgramSees(t *testing.T) {
	t.Parallel()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := sh(`read -r line && echo "input: $line"; pwd; env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort; kill -s 0 -- -$$ && echo leader`)
	c.Dir = dir
	c.Env = append(c.Env, "A=1", command.Marker("data", 7, 2))
	_, got := run(t, c)
	want := strings.Join([]string{dir, "A=1", "GITDAG_RUN=data/7/2", "PATH=" + os.Getenv("PATH"), "leader", ""}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

// A program reads all that it is told, or does not care, or leaves somebody behind
// who does not: the run ends with the program.
func TestInputAndResult(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789abcde\n", 1<<16)
	for script, want := range map[string]string{
		"wc -c | tr -d ' '; echo '{}' >&3":              "1048576\n",
		"head -c 3; echo '{}' >&3":                      "012",
		"exec <&-; echo '{}' >&3; echo end":             "end\n",
		"exec 4<&0; sleep 9 <&4 & echo '{}' >/dev/fd/3": "",
	} {
		result, err := os.Create(filepath.Join(t.TempDir(), "result"))
		if err != nil {
			t.Fatal(err)
		}
		defer result.Close()
		c := sh(script)
		c.Input, c.Result = []byte(text), result
		started := time.Now()
		exit, got := run(t, c)
		if exit != (command.Exit{}) || got != want {
			t.Errorf("%s: got %+v and %q, want success and %q", script, exit, got, want)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("%s: got %v, want the end of the program", script, took)
		}
		if got, err := os.ReadFile(result.Name()); err != nil || string(got) != "{}\n" {
			t.Errorf("%s: got result %q, %v", script, got, err)
		}
	}
	c := sh("cat; true >&3")
	c.Input = []byte{}
	if exit, got := run(t, c); exit.Code == 0 || !strings.Contains(got, "3") {
		t.Errorf("got %+v and %q, want no descriptor 3", exit, got)
	}
	c.Args = []string{"/missing"}
	if _, err := (command.Local{}).Run(t.Context(), c); err == nil {
		t.Error("got no error for a program that is missing")
	}
}

func TestNothingIsInherited(t *testing.T) {
	t.Setenv("GITDAG_TEST_LEAK", "x")
	c := command.Command{Args: []string{"/bin/sh", "-c", "echo [$GITDAG_TEST_LEAK]"}}
	if _, got := run(t, c); got != "[]\n" {
		t.Errorf("got %q, want %q", got, "[]\n")
	}
}

func TestOutputIsCompleteAndInOrder(t *testing.T) {
	t.Parallel()
	t.Run("both streams", func(t *testing.T) {
		t.Parallel()
		if _, got := run(t, sh("echo a; echo b >&2; echo c")); got != "a\nb\nc\n" {
			t.Errorf("got %q, want %q", got, "a\nb\nc\n")
		}
	})
	t.Run("10 MB", func(t *testing.T) {
		t.Parallel()
		_, got := run(t, sh("head -c 10000000 /dev/zero"))
		if len(got) != 10_000_000 || strings.Trim(got, "\x00") != "" {
			t.Errorf("got %d bytes, want 10000000 zeros", len(got))
		}
	})
	t.Run("binary", func(t *testing.T) {
		t.Parallel()
		if _, got := run(t, sh(`printf '\377\000\200\r\n'`)); got != "\xff\x00\x80\r\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		t.Parallel()
		exit, err := command.Local{}.Run(t.Context(), sh("echo lost; exit 4"))
		if err != nil || exit.Code != 4 {
			t.Errorf("got %+v, %v, want code 4", exit, err)
		}
	})
}

type withFile struct {
	io.Writer
	file *os.File
	err  error
}

func (w withFile) File() (*os.File, error) { return w.file, w.err }

func TestOutputToAFileHasNoPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, out := range []io.Writer{f, withFile{file: f}} {
		c := sh("test -f /dev/stdout || test -f /proc/self/fd/1 && echo file; exit 2")
		c.Output = out
		exit, err := command.Local{}.Run(t.Context(), c)
		if err != nil || exit.Code != 2 {
			t.Errorf("got %+v, %v, want code 2", exit, err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "file\nfile\n" {
		t.Errorf("got %q, %v, want two lines", got, err)
	}

	c := sh("true")
	c.Output = withFile{err: errors.New("no space")}
	if _, err := (command.Local{}).Run(t.Context(), c); err == nil || err.Error() != "start sh: open its output: no space" {
		t.Errorf("got error %v", err)
	}
}

func TestALogWithoutAFileGetsAPipe(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	c := sh("echo a; echo b >&2")
	c.Output = withFile{Writer: &got, err: fmt.Errorf("a masked log: %w", errors.ErrUnsupported)}
	if _, err := (command.Local{}).Run(t.Context(), c); err != nil || got.String() != "a\nb\n" {
		t.Errorf("got %q, %v, want both lines", got.String(), err)
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("sink is full")
	}
	return len(p), nil
}

func TestAFailingSinkDoesNotEndTheProgram(t *testing.T) {
	t.Parallel()
	c := sh("head -c 1000000 /dev/zero && exit 5")
	c.Output = &failing{after: 1000}
	exit, err := command.Local{}.Run(t.Context(), c)
	if exit.Code != 5 {
		t.Errorf("got exit %+v, want code 5", exit)
	}
	if err == nil || err.Error() != "keep the output of sh: sink is full" {
		t.Errorf("got error %v", err)
	}
}

// A background process that holds the pipe must neither keep Run from
// returning nor be ended, and nothing that the program wrote may be lost.
func TestDaemonsDoNotHoldTheRun(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, script string }{
		{"holding the pipe", "cat >/dev/null <" + fifo + " & echo done"},
		{"redirected", "cat <" + fifo + " >/dev/null 2>&1 & echo done"},
		{"slow sink", "cat >/dev/null <" + fifo + " & head -c 60000 /dev/zero; echo done"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// Open for both, so that cat waits in read until we close.
			f, err := os.OpenFile(fifo, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var out slowBuffer
			out.slow = tt.name == "slow sink"
			c := sh(tt.script)
			c.Output = &out
			exit, err := command.Local{}.Run(t.Context(), c)
			if err != nil || exit.Code != 0 {
				t.Errorf("got %+v, %v, want code 0", exit, err)
			}
			if got := out.buf.String(); !strings.HasSuffix(got, "done\n") {
				t.Errorf("got %d bytes that end in %q, want them to end in done", len(got), got[max(0, len(got)-10):])
			}
		})
	}
}

// slowBuffer takes its first bytes only after the deadline of the pipe.
type slowBuffer struct {
	slow bool
	once sync.Once
	buf  bytes.Buffer
}

func (s *slowBuffer) Write(p []byte) (int, error) {
	if s.slow {
		s.once.Do(func() { <-time.After(800 * time.Millisecond) })
	}
	return s.buf.Write(p)
}

// firstLine is a sink that tells when the first line has arrived.
type firstLine struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	line chan struct{}
}

func newFirstLine() *firstLine { return &firstLine{line: make(chan struct{})} }

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := bytes.IndexByte(f.buf.Bytes(), '\n') >= 0
	f.buf.Write(p)
	if !before && bytes.IndexByte(p, '\n') >= 0 {
		close(f.line)
	}
	return len(p), nil
}

// alive opens a pipe whose far end the child inherits by path; reading it to
// the end proves that every process that holds it is gone.
func alive(t *testing.T) (path string, gone func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "alive")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return path, func() string {
		if err := r.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(bufio.NewReader(r))
		if err != nil {
			t.Errorf("a process still lives: %v", err)
		}
		return string(b)
	}
}

func TestCancelEndsTheGroup(t *testing.T) {
	t.Parallel()
	stop := errors.New("attempt killed")
	for _, tt := range []struct {
		name, script string
		grace        time.Duration
		want         command.Exit
	}{
		{"obedient", "exec 9>$F; echo up; sleep 1000", time.Minute, command.Exit{Code: 143, Signal: syscall.SIGTERM}},
		{"last words", "exec 9>$F; trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done", time.Minute, command.Exit{Code: 7}},
		{"deaf", "exec 9>$F; trap '' TERM; echo up; while :; do sleep 1000; done", 100 * time.Millisecond, command.Exit{Code: 137, Signal: syscall.SIGKILL}},
		{"deaf grandchild", "exec 9>$F; (trap '' TERM; echo up; while :; do sleep 1000; done) & wait", 100 * time.Millisecond, command.Exit{Code: 143, Signal: syscall.SIGTERM}},
		{"slow grandchild", "exec 9>$F; (trap 'sleep 0.3; exit' TERM; echo up; while :; do sleep 0.05; done) & wait", time.Minute, command.Exit{Code: 143, Signal: syscall.SIGTERM}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fifo, gone := alive(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			out := newFirstLine()
			c := sh(tt.script)
			c.Env = append(c.Env, "F="+fifo)
			c.Output = out
			go func() { <-out.line; cancel(stop) }()
			got, err := command.Local{Grace: tt.grace}.Run(ctx, c)
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if !errors.Is(err, stop) || err.Error() != "end sh: attempt killed" {
				t.Errorf("got error %v, want %v", err, stop)
			}
			gone()
		})
	}
}

func TestCancelledBeforeTheStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := filepath.Join(t.TempDir(), "made")
	_, err := command.Local{}.Run(ctx, sh("touch "+file))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want %v", err, context.Canceled)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the program ran: %v", err)
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	got, err := command.Local{}.Run(ctx, sh("exec sleep 1000"))
	if got.Signal != syscall.SIGTERM || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v, want SIGTERM and %v", got, err, context.DeadlineExceeded)
	}
}

func TestWhatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("plain", "echo x\n", 0o755)
	write("closed", "#!/bin/sh\n", 0o644)
	write("orphan", "#!/no/such/interpreter -x\n", 0o755)
	long := strings.Repeat("x", 3<<20)
	path := []string{"PATH=/nowhere:" + dir}
	for _, tt := range []struct {
		name string
		c    command.Command
		want string
		is   error
	}{
		{"no program", command.Command{Label: "sh>"}, "start sh>: no program given", nil},
		{"not in PATH", command.Command{Args: []string{"teleport"}, Env: path}, `start teleport: program "teleport" not found in PATH /nowhere:` + dir + ": executable file not found in $PATH", exec.ErrNotFound},
		{"not executable in PATH", command.Command{Args: []string{"closed"}, Env: path}, `start closed: program "closed" found in PATH, but not executable: permission denied`, fs.ErrPermission},
		{"missing path", command.Command{Args: []string{"./teleport"}, Dir: dir}, "start ./teleport: program ./teleport: no such file or directory", fs.ErrNotExist},
		{"missing directory", command.Command{Args: []string{"/bin/sh"}, Dir: dir + "/gone"}, "start /bin/sh: working directory: stat " + dir + "/gone: no such file or directory", fs.ErrNotExist},
		{"missing directory and PATH", command.Command{Args: []string{"teleport"}, Dir: dir + "/gone"}, "start teleport: working directory: stat " + dir + "/gone: no such file or directory", fs.ErrNotExist},
		{"directory is a file", command.Command{Args: []string{"/bin/sh"}, Dir: dir + "/plain"}, "start /bin/sh: working directory: " + dir + "/plain: not a directory", syscall.ENOTDIR},
		{"not executable", command.Command{Args: []string{"./closed"}, Dir: dir}, "start ./closed: program ./closed: permission denied", fs.ErrPermission},
		{"a directory", command.Command{Args: []string{dir}}, "start " + dir + ": program " + dir + " is a directory", nil},
		{"no interpreter line", command.Command{Args: []string{"./plain"}, Dir: dir}, "start ./plain: program ./plain is neither a binary of this machine nor a script that begins with #!: exec format error", syscall.ENOEXEC},
		{"missing interpreter", command.Command{Args: []string{"./orphan"}, Dir: dir}, "start ./orphan: program ./orphan: its interpreter /no/such/interpreter is missing: no such file or directory", fs.ErrNotExist},
		{"too long", command.Command{Args: []string{"/bin/sh", "-c", long}}, "start /bin/sh: arguments and environment are too long for the system: argument list too long", syscall.E2BIG},
	} {
		for _, out := range []io.Writer{nil, new(bytes.Buffer)} {
			tt.c.Output = out
			_, err := command.Local{}.Run(t.Context(), tt.c)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("%s: %v is not %v", tt.name, err, tt.is)
			}
		}
	}
}

func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"here", "bin/tool"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho "+name+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		program, path, want string
	}{
		{"./here", "/bin", "here\n"},
		{"bin/tool", "/bin", "bin/tool\n"},
		{"tool", "/nowhere:" + dir + "/bin", "bin/tool\n"},
		{"tool", "bin:/bin", "bin/tool\n"},
		{"here", ":/bin", "here\n"},
	} {
		c := command.Command{Args: []string{tt.program}, Dir: dir, Env: []string{"PATH=" + tt.path}}
		if _, got := run(t, c); got != tt.want {
			t.Errorf("%s in PATH %s: got %q, want %q", tt.program, tt.path, got, tt.want)
		}
	}
}

// A program written by one goroutine while others start processes may be busy.
func TestAProgramJustWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var group sync.WaitGroup
	for i := range 40 {
		group.Go(func() {
			path := filepath.Join(dir, "p"+string(rune('A'+i)))
			if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 9\n"), 0o755); err != nil {
				t.Error(err)
			}
			exit, err := command.Local{}.Run(t.Context(), command.Command{Args: []string{path}})
			if err != nil || exit.Code != 9 {
				t.Errorf("got %+v, %v, want code 9", exit, err)
			}
		})
	}
	group.Wait()
}

func TestAllow(t *testing.T) {
	t.Parallel()
	environ := []string{"PATH=/a", "TOKEN=secret", "HOME=/h", "PATH=/b", "TZ=", "EMPTY", "LANGUAGE=x"}
	for _, tt := range []struct {
		names, want []string
	}{
		{nil, []string{"HOME=/h", "PATH=/b", "TZ="}},
		{[]string{}, []string{}},
		{[]string{"TOKEN", "EMPTY", "NONE"}, []string{"TOKEN=secret"}},
	} {
		if diff := cmp.Diff(tt.want, command.Allow(environ, tt.names)); diff != "" {
			t.Errorf("names %q (-want +got):\n%s", tt.names, diff)
		}
	}
}
