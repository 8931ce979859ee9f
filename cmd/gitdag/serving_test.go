package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gitdag/bench/agenttest"
)

// serving is a `gitdag server` that keeps everything in memory, as a process of
// its own.
type serving struct {
	address string
	stop    func()
}

var serverAddress = regexp.MustCompile(`msg="agent started" address=(\S+)`)

// startServing starts a server and waits until it listens.
func startServing(program string, environ []string, args ...string) (*serving, error) {
	ctx, cancel := context.WithTimeout(context.Background(), agenttest.Patience)
	defer cancel()
	cmd := exec.Command(program, append([]string{"server", "--memory", "--port", "0"}, args...)...)
	cmd.Env = append(environ, agenttest.Quick)
	cmd.WaitDelay = time.Second
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() {
		if ctx.Err() == context.DeadlineExceeded {
			_ = cmd.Process.Kill()
		}
	})()
	stop := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if m := serverAddress.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
			return &serving{m[1], stop}, nil
		}
	}
	stop()
	return nil, fmt.Errorf("the server did not start:\n%s", said.String())
}

// newServing starts a server that ends with the test.
func newServing(t *testing.T, args ...string) *serving {
	t.Helper()
	s, err := startServing(program(t), append(os.Environ(), "HOME="+t.TempDir()), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// serve is a command of scripts: it starts a server with the arguments, which
// the commands of the script ask from then on.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: serve [ARGUMENT...]")
	}
	program, err := exec.LookPath("gitdag")
	ts.Check(err)
	s, err := startServing(program, append(os.Environ(), "HOME="+ts.Getenv("HOME"), "TMPDIR="+ts.MkAbs(".")), args...)
	ts.Check(err)
	ts.Defer(s.stop)
	ts.Setenv("GITDAG_ENDPOINT", s.address)
}
