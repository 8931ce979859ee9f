package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gitdag/notify"
)

// narrator tells people what an agent does. It hears of it as the agent's log
// and as its channel for alerts.
type narrator struct {
	colour bool
	begin  time.Time
	log    slog.Handler  // gets the log too; nil: nobody does
	slack  notify.Sender // gets the alerts; nil: they are printed

	mu      sync.Mutex
	out     io.Writer
	running map[uint64]demoRun // by attempt
	failed  uint64             // the first attempt that failed
	moments map[string]chan struct{}
}

// demoRun is an attempt that goes on.
type demoRun struct {
	workflow string
	session  time.Time
	revision string
}

func newNarrator(out io.Writer, colour bool, begin time.Time) *narrator {
	return &narrator{out: out, colour: colour, begin: begin, running: map[uint64]demoRun{}, moments: map[string]chan struct{}{}}
}

// The moments that the story waits for, each under a revision.
const live = "live"

func ended(workflow string, success bool) string {
	return fmt.Sprintf("%s ended %t", workflow, success)
}

func told(workflow string, kind notify.Kind) string { return fmt.Sprintf("%s told %s", workflow, kind) }

// moment returns a channel that is closed when the moment has come under the
// revision.
func (n *narrator) moment(revision, moment string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.momentOf(revision, moment)
}

// happened lets those go on who wait for the moment. n.mu is held.
func (n *narrator) happened(revision, moment string) {
	came := n.momentOf(revision, moment)
	select {
	case <-came:
	default:
		close(came)
	}
}

func (n *narrator) momentOf(revision, moment string) chan struct{} {
	key := revision + " " + moment
	if n.moments[key] == nil {
		n.moments[key] = make(chan struct{})
	}
	return n.moments[key]
}

func (n *narrator) failedAttempt() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.failed
}

// Send takes an alert of the agent.
func (n *narrator) Send(ctx context.Context, a notify.Alert) (notify.Receipt, error) {
	var receipt notify.Receipt
	if n.slack != nil {
		var err error
		if receipt, err = n.slack.Send(ctx, a); err != nil {
			return receipt, err
		}
	}
	m := notify.Render(a)
	tone := map[notify.Tone]tone{notify.Good: good, notify.Bad: bad}[m.Tone]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.slack != nil {
		n.lineLocked(tone, "to Slack", "%s", m.Title)
	} else {
		n.lineLocked(tone, "message", "as Slack would show it, if it were configured:")
		fmt.Fprintf(n.out, "\n%s\n", indented(m.String()))
	}
	n.happened(a.Revision.ID, told(a.Workflow, a.Kind))
	return receipt, nil
}

func indented(text string) string {
	const margin = "         "
	return margin + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+margin) + "\n"
}

// logger is the log that the agent writes to.
func (n *narrator) logger() *slog.Logger { return slog.New(logListener{n, n.log}) }

// logListener hands the log's records to a narrator, and on.
type logListener struct {
	n    *narrator
	next slog.Handler // may be nil
}

func (l logListener) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (l logListener) WithAttrs(attrs []slog.Attr) slog.Handler {
	if l.next != nil {
		l.next = l.next.WithAttrs(attrs)
	}
	return l
}

func (l logListener) WithGroup(name string) slog.Handler {
	if l.next != nil {
		l.next = l.next.WithGroup(name)
	}
	return l
}

func (l logListener) Handle(ctx context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value.Resolve()
		return true
	})
	l.n.hear(r, attrs)
	if l.next == nil {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// hear puts a record of the log into friendlier words.
func (n *narrator) hear(r slog.Record, attrs map[string]slog.Value) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch r.Message {
	case "revision live":
		revision := attrs["revision"].String()
		n.lineLocked(plain, "deployed", "%s is live", shortRevision(revision))
		n.happened(revision, live)
	case "attempt started":
		session, _ := attrs["session"].Any().(time.Time)
		n.running[attrs["attempt"].Uint64()] = demoRun{attrs["workflow"].String(), session, attrs["revision"].String()}
	case "attempt ended":
		n.hearEnd(attrs["attempt"].Uint64(), attrs["success"].Bool())
	case "project rejected": // a message tells of it
	default:
		if r.Level >= slog.LevelError {
			n.lineLocked(bad, "problem", "%s: %s", r.Message, attrs["err"])
		}
	}
}

func (n *narrator) hearEnd(attempt uint64, success bool) {
	run := n.running[attempt]
	delete(n.running, attempt)
	word, tone := "success", good
	if !success {
		word, tone = "failure", bad
		if n.failed == 0 {
			n.failed = attempt
		}
	}
	n.lineLocked(tone, word, "%-8s attempt %d, session %s UTC", run.workflow, attempt, run.session.UTC().Format(time.TimeOnly))
	n.happened(run.revision, ended(run.workflow, success))
}

// tone is the colour of a line.
type tone string

const (
	plain tone = ""
	good  tone = "\x1b[32m"
	bad   tone = "\x1b[31m"
)

// line prints one line of the story: when, what, and the rest.
func (n *narrator) line(t tone, what, format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lineLocked(t, what, format, args...)
}

func (n *narrator) lineLocked(t tone, what, format string, args ...any) {
	what = fmt.Sprintf("%-9s", what)
	if n.colour && t != plain {
		what = string(t) + what + "\x1b[0m"
	}
	fmt.Fprintf(n.out, "%6.1fs  %s  %s\n", time.Since(n.begin).Seconds(), what, fmt.Sprintf(format, args...))
}

// printf prints text that is no line of the story.
func (n *narrator) printf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	fmt.Fprintf(n.out, format, args...)
}

func shortRevision(id string) string { return id[:min(len(id), 8)] }
