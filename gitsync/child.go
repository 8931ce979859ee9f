package gitsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// child starts fetching children and watches over them.
type child struct {
	self   string
	memory int64
}

const (
	childArgument  = "fetch-child"
	watchInterval  = 50 * time.Millisecond
	maxStderrBytes = 4 << 10
	killGrace      = 2 * time.Second
)

// run gives one request to a fresh child and waits for its end. The child is
// killed when ctx is done, when it exceeds its memory, or when it has had its
// time and a little more.
func (c child) run(ctx context.Context, req request, phase func(string)) (answer, error) {
	req.Memory = c.memory
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, req.Total+killGrace, fmt.Errorf("it took longer than %s", req.Total))
	defer stop()

	cmd := exec.CommandContext(ctx, c.self, childArgument)
	cmd.Env = childEnv(os.Environ())
	cmd.WaitDelay = killGrace
	var stderr tailWriter
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return answer{}, fmt.Errorf("start fetching child: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return answer{}, fmt.Errorf("start fetching child: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return answer{}, fmt.Errorf("start fetching child: %w", err)
	}
	watched := make(chan struct{})
	go func() { // ends with ctx
		defer close(watched)
		c.watch(ctx, cmd.Process.Pid, cancel)
	}()
	werr := json.NewEncoder(stdin).Encode(req)
	last, res, rerr := readAnswers(stdout, phase)
	if rerr != nil {
		cancel(rerr)
	}
	_ = stdin.Close()
	waitErr := cmd.Wait()
	cause := context.Cause(ctx)
	cancel(nil)
	<-watched
	switch {
	case res.Failure != nil:
		return res, res.Failure.err()
	case res.Tip != nil || res.Fetched != nil:
		return res, nil
	case cause != nil:
		return answer{}, fmt.Errorf("%s: %w", orDefault(last, "start"), cause)
	}
	if text := strings.TrimSpace(stderr.String()); text != "" {
		waitErr = fmt.Errorf("%w: %s", orDefault(waitErr, errors.New("no answer")), text)
	}
	return answer{}, fmt.Errorf("fetching child, %s: %w", orDefault(last, "start"), orDefault(errors.Join(werr, waitErr), io.ErrUnexpectedEOF))
}

func (f *failure) err() error {
	err := errors.New(f.Message)
	if f.RetryAfter > 0 {
		return retryAfterError{err, f.RetryAfter}
	}
	return err
}

// readAnswers reads to the end of the child's output.
func readAnswers(r io.Reader, phase func(string)) (last string, res answer, err error) {
	limited := &io.LimitedReader{R: r, N: maxAnswerBytes}
	dec := json.NewDecoder(limited)
	for {
		var a answer
		if err := dec.Decode(&a); err != nil {
			if errors.Is(err, io.EOF) || limited.N > 0 {
				return last, res, nil // the way it ended says more
			}
			return last, res, fmt.Errorf("the child's answer is larger than %d bytes", maxAnswerBytes)
		}
		if a.Phase != "" {
			last = a.Phase
			if phase != nil {
				phase(last)
			}
			continue
		}
		res = a
	}
}

// watch ends the child when it holds more memory than it may.
func (c child) watch(ctx context.Context, pid int, cancel context.CancelCauseFunc) {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if rss, err := residentBytes(pid); err == nil && rss > c.memory {
			cancel(fmt.Errorf("it needs more than %d MB of memory (sync.memory)", c.memory/1_000_000))
			return
		}
	}
}

// childEnv keeps what a connection may depend on, and nothing else.
func childEnv(env []string) []string {
	keep := map[string]bool{
		"PATH": true, "HOME": true, "TMPDIR": true, "SSL_CERT_FILE": true, "SSL_CERT_DIR": true, "GORACE": true, "GOCOVERDIR": true,
		"HTTP_PROXY": true, "HTTPS_PROXY": true, "NO_PROXY": true, "http_proxy": true, "https_proxy": true, "no_proxy": true,
	}
	var kept []string
	for _, kv := range env {
		if k, _, _ := strings.Cut(kv, "="); keep[k] {
			kept = append(kept, kv)
		}
	}
	return kept
}

// tailWriter keeps the last bytes that were written.
type tailWriter struct{ buf bytes.Buffer }

func (w *tailWriter) Write(p []byte) (int, error) {
	w.buf.Write(p)
	if over := w.buf.Len() - maxStderrBytes; over > 0 {
		w.buf.Next(over)
	}
	return len(p), nil
}

func (w *tailWriter) String() string { return w.buf.String() }
