package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gitdag/bench/agenttest"
)

// serving is a `gitdag server` as a process of its own.
type serving struct {
	address string
	command *exec.Cmd
	log     *growing
	read    chan struct{} // closed when the log is at its end
}

// growing is a text that is written and read at the same time.
type growing struct {
	mu   sync.Mutex
	text strings.Builder
}

func (g *growing) add(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintln(&g.text, line)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

var serverAddress = regexp.MustCompile(`msg="agent started" address=(\S+)`)

// startServing starts a server and waits until it listens, on a port that is
// free. It keeps everything in memory unless the arguments say otherwise.
func startServing(cmd *exec.Cmd, args ...string) (*serving, error) {
	ctx, cancel := context.WithTimeout(context.Background(), agenttest.Patience)
	defer cancel()
	cmd.Args = append(cmd.Args, "server", "--port", "0")
	if !slices.ContainsFunc(args, func(a string) bool { return slices.Contains([]string{"-o", "--database", "-c", "--config"}, a) }) {
		cmd.Args = append(cmd.Args, "--memory")
	}
	cmd.Args = append(cmd.Args, args...)
	cmd.Env = append(cmd.Env, agenttest.Quick)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &serving{command: cmd, log: &growing{}, read: make(chan struct{})}
	defer context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			_ = cmd.Process.Kill()
		}
	})()
	started := make(chan string)
	go func() {
		defer close(s.read)
		defer close(started)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			s.log.add(lines.Text())
			if m := serverAddress.FindStringSubmatch(lines.Text()); m != nil {
				started <- m[1]
			}
		}
	}()
	if s.address = <-started; s.address == "" {
		_ = s.stop(syscall.SIGKILL)
		return nil, fmt.Errorf("the server did not start:\n%s", s.log)
	}
	return s, nil
}

// stop sends a signal and waits for the end.
func (s *serving) stop(signal os.Signal) error {
	_ = s.command.Process.Signal(signal)
	<-s.read
	return s.command.Wait()
}

// newServing starts a server that ends with the test.
func newServing(t *testing.T, args ...string) *serving {
	t.Helper()
	cmd := exec.Command(program(t))
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir)
	s, err := startServing(cmd, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.stop(syscall.SIGKILL) })
	return s
}

// last is the server that a script has started last.
type last struct{ server *serving }

// lastKey is where a script has it.
const lastKey = "last server"

// serve is a command of scripts: it starts a server with the arguments, which
// the commands of the script ask from then on.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve [ARGUMENT...]")
	}
	program, err := exec.LookPath("gitdag")
	ts.Check(err)
	cmd := exec.Command(program)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+cmd.Dir)
	s, err := startServing(cmd, args...)
	ts.Check(err)
	ts.Defer(func() { _ = s.stop(syscall.SIGKILL) })
	ts.Value(lastKey).(*last).server = s
	ts.Setenv("GITDAG_ENDPOINT", s.address)
}

// stop is a command of scripts: it sends the server that was started last the
// signal TERM, or KILL, waits for its end and prints its log. With TERM it must
// have succeeded.
func stop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: stop [TERM|KILL]")
	}
	signal := syscall.SIGTERM
	if len(args) == 1 && args[0] == "KILL" {
		signal = syscall.SIGKILL
	}
	s := ts.Value(lastKey).(*last).server
	if err := s.stop(signal); err != nil && signal == syscall.SIGTERM {
		ts.Fatalf("stop: %v\n%s", err, s.log)
	}
	fmt.Fprint(ts.Stdout(), s.log)
}

// hangup is a command of scripts: it has the server that was started last read
// its configuration again, and waits until its log has a text.
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hangup TEXT")
	}
	s := ts.Value(lastKey).(*last).server
	ts.Check(s.command.Process.Signal(syscall.SIGHUP))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(agenttest.Patience); !strings.Contains(s.log.String(), args[0]); <-tick.C {
		if time.Now().After(deadline) {
			ts.Fatalf("no %q in\n%s", args[0], s.log)
		}
	}
}
