package agenttest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is an agent that runs as a process of its own.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  *Log
	done chan struct{} // closed when it has ended
}

// Launch starts program with the arguments; env is added to the environment.
// The process is killed at the end of the test.
func Launch(t testing.TB, program string, env []string, args ...string) *Process {
	t.Helper()
	p := &Process{t: t, cmd: exec.Command(program, args...), log: NewLog(), done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), Quick), env...)
	p.cmd.Stderr, p.cmd.Stdout = p.log, p.log
	// What a killed agent leaves behind may hold its output open.
	p.cmd.WaitDelay = time.Millisecond
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells
		p.log.close()
		close(p.done)
	}()
	t.Cleanup(p.Kill)
	return p
}

// Address waits until the agent has started, and returns where it listens.
func (p *Process) Address() string {
	p.t.Helper()
	return p.Await(`msg="agent started" address=(\S+)`)[1]
}

// Await waits for a line of the log, from the first one on, and returns the
// match.
func (p *Process) Await(pattern string) []string {
	p.t.Helper()
	return p.log.Await(p.t, pattern)
}

// Log returns all that the process has written.
func (p *Process) Log() string { return p.log.String() }

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("signal %v: %v", sig, err)
	}
}

// Kill ends the process as a crash would, and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// Stop asks the process to end, and returns its exit code.
func (p *Process) Stop() int {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	return p.Wait()
}

// Wait waits for the end of the process and returns its exit code: -1 after a
// signal.
func (p *Process) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(Patience):
		p.t.Fatalf("the process has not ended after %v:\n%s", Patience, p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// Ended is closed when the process has ended.
func (p *Process) Ended() <-chan struct{} { return p.done }

// Log is what a process, or a logger, has written so far. It may be written
// and read at the same time.
type Log struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	closed bool
	more   chan struct{} // closed, and made anew, when there is more to read
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{more: make(chan struct{})} }

// Write adds to the log.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	return l.buf.Write(p)
}

func (l *Log) wake() {
	close(l.more)
	l.more = make(chan struct{})
}

func (l *Log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake()
}

// String returns the log.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count returns how many lines match.
func (l *Log) Count(pattern string) int {
	n, re := 0, regexp.MustCompile(pattern)
	for line := range strings.Lines(l.String()) {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}

// Await waits for a match in the log and returns it.
func (l *Log) Await(t testing.TB, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		found, closed, more := re.FindStringSubmatch(l.buf.String()), l.closed, l.more
		l.mu.Unlock()
		switch {
		case found != nil:
			return found
		case closed:
			t.Fatalf("the process ended without %q in its log:\n%s", pattern, l)
		}
		select {
		case <-more:
		case <-deadline.C:
			t.Fatalf("after %v no %q in the log:\n%s", Patience, pattern, l)
		}
	}
}
