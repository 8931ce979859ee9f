// Package shell delivers alerts to a command of the system's shell, which reads Digdag's
// notification with further keys of our own, one JSON object and a newline, on its
// standard input.
//
// It knows package notify only. What the command prints is kept for the error text
// alone, and only its end.
//
// Invariant: when Send returns without success, nothing of the command is running any
// more. What a successful command leaves in the background is left alone, and does
// not hold Send.
package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"gitdag/notify"
)

const (
	defaultTimeout = 30 * time.Second
	// settle is how long the output is waited for after the command has ended: a
	// background process may hold it open for ever.
	settle = 500 * time.Millisecond
	// maxOutput is kept of the output, maxReason characters of it are told.
	maxOutput = 4 << 10
	maxReason = 200
)

// Options says which command and how.
type Options struct {
	Command string        // what /bin/sh -c is given
	Dir     string        // working directory; default: the process's own
	Environ []string      // the command's whole environment, as "NAME=value"
	Timeout time.Duration // default 30s
}

// Sender is a notify.Sender for one command. It may be used concurrently.
type Sender struct{ opts Options }

// New returns a sender. It runs nothing. Its error is a *notify.SettingError.
func New(o Options) (*Sender, error) {
	switch {
	case strings.TrimSpace(o.Command) == "":
		return nil, &notify.SettingError{Name: "command", Reason: "it is required"}
	case o.Timeout < 0:
		return nil, &notify.SettingError{Name: "timeout", Reason: "it must not be negative"}
	case o.Timeout == 0:
		o.Timeout = defaultTimeout
	}
	if o.Environ == nil {
		o.Environ = []string{} // exec takes nil for the process's own
	}
	return &Sender{o}, nil
}

// Send runs the command and returns when it has ended: status 0 is success. Its error
// is a *notify.Error, or wraps that of ctx.
func (s *Sender) Send(ctx context.Context, a notify.Alert) (notify.Receipt, error) {
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	output := &tail{}
	cmd := exec.CommandContext(limited, "/bin/sh", "-c", s.opts.Command)
	cmd.Dir, cmd.Env = s.opts.Dir, s.opts.Environ
	cmd.Stdin = bytes.NewReader(append(notify.Payload(a), '\n'))
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = settle
	err := cmd.Start()
	if err == nil {
		err = cmd.Wait()
	}
	return notify.Receipt{}, s.outcome(ctx, limited, err, cmd, output)
}

// outcome classifies the end of the command.
func (s *Sender) outcome(ctx, limited context.Context, err error, cmd *exec.Cmd, output *tail) error {
	var exit *exec.ExitError
	switch {
	case cmd.ProcessState != nil && cmd.ProcessState.Success():
		return nil // whatever became of its input and output
	case ctx.Err() != nil:
		return fmt.Errorf("shell: %w", ctx.Err())
	case limited.Err() != nil:
		return &notify.Error{Reason: fmt.Sprintf("shell: the command did not end within %s", s.opts.Timeout) + output.words()}
	case errors.As(err, &exit):
		if cmd.Process != nil {
			// The leader is gone, its group may not be. The group's number is not given
			// away while it has a member, nor soon after.
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		return &notify.Error{
			Reason: "shell: the command failed, " + exit.String() + output.words(),
			// The shell's own: there is no such program, or it cannot be run.
			Permanent: exit.ExitCode() == 126 || exit.ExitCode() == 127,
		}
	default:
		return &notify.Error{Reason: "shell: " + err.Error()}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-maxOutput):]...)
	t.text = t.text[max(0, len(t.text)-maxOutput):]
	return len(p), nil
}

// words is the last line of the output that holds anything, as the end of an error.
func (t *tail) words() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.FieldsFunc(string(t.text), func(r rune) bool { return r == '\n' || r == '\r' })
	for len(lines) > 0 {
		if line := notify.Excerpt(lines[len(lines)-1], maxReason); line != "" {
			return ": " + line
		}
		lines = lines[:len(lines)-1]
	}
	return ""
}
