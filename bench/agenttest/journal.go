package agenttest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Event is the part of a journal record that tests look at.
type Event struct {
	Kind    string `json:"e"`
	At      int64  `json:"at"` // milliseconds since the epoch
	Attempt uint64 `json:"a"`
	Task    uint64 `json:"t"`
	By      string `json:"by"`
	To      string `json:"to"`
	Success bool   `json:"success"`
	Facts   struct {
		ID       uint64
		Workflow string
	} `json:"facts"`
	Sessions []struct{ ID uint64 } `json:"sessions"` // of a backfill
	Alert    struct {
		Kind    string
		Attempt uint64
	} `json:"alert"`

	Text string `json:"-"`
}

// Events returns what `journal dump` prints of a data directory, also while an
// agent writes there. It ends the test if the journal cannot be read.
func Events(t testing.TB, program, data string) []Event {
	t.Helper()
	out, err := dump(program, data)
	if err != nil {
		t.Fatal(err)
	}
	events, err := Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// Parse reads what `journal dump` prints.
func Parse(out []byte) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, text, ok := strings.Cut(lines.Text(), "\t")
		if !ok {
			continue // a line about the file
		}
		e := Event{Text: text}
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return nil, fmt.Errorf("record %q: %w", text, err)
		}
		events = append(events, e)
	}
	return events, lines.Err()
}

// dump runs the command. A journal that is not there yet is empty.
func dump(program, data string) ([]byte, error) {
	cmd := exec.Command(program, "journal", "dump", "--data", data)
	cmd.Env = append(os.Environ(), Quick)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if bytes.Contains(exit.Stderr, []byte("file does not exist")) {
			return nil, nil
		}
		return nil, fmt.Errorf("journal dump: %w\n%s", err, exit.Stderr)
	}
	return out, err
}

// Leases are the executions that a journal has handed out, by task.
type Leases struct {
	// Count is how often the task was leased, Accepted how often a result of
	// it was accepted.
	Count, Accepted map[uint64]int
	// Settled tells of the attempts that are over whether they succeeded.
	Settled map[uint64]bool
	// Started counts the attempts; Workflows says what each of them runs.
	Started   int
	Workflows map[uint64]string
	// Alerts are the kinds of the alerts, in order.
	Alerts []string
	// Killed are the attempts that were killed.
	Killed map[uint64]bool
	// Failures counts by attempt how often its failure was told.
	Failures map[uint64]int
}

// Audit reads the events in order. It is an error if a task that has no retries
// is leased while it is leased, or after a result of it was accepted, or if a
// result is accepted that no lease stands behind.
func Audit(events []Event) (*Leases, error) {
	l := &Leases{
		Count: map[uint64]int{}, Accepted: map[uint64]int{}, Settled: map[uint64]bool{},
		Workflows: map[uint64]string{}, Killed: map[uint64]bool{}, Failures: map[uint64]int{},
	}
	running := map[uint64]bool{}
	var errs []error
	bad := func(e *Event, why string) { errs = append(errs, fmt.Errorf("task %d: %s: %s", e.Task, why, e.Text)) }
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case "started":
			l.start(e, 1, bad)
		case "backfilled":
			l.start(e, len(e.Sessions), bad)
		case "killed":
			l.Killed[e.Attempt] = true
		case "settled":
			if _, twice := l.Settled[e.Attempt]; twice {
				bad(e, "an attempt settled twice")
			}
			l.Settled[e.Attempt] = e.Success
		case "alert":
			l.Alerts = append(l.Alerts, e.Alert.Kind)
			if e.Alert.Kind == "attempt_failed" {
				l.Failures[e.Alert.Attempt]++
			}
		case "moved":
			l.move(e, running, bad)
		}
	}
	return l, errors.Join(errs...)
}

// start notes attempts, whose ids follow each other.
func (l *Leases) start(e *Event, attempts int, bad func(*Event, string)) {
	l.Started += attempts
	for i := range uint64(attempts) {
		if _, twice := l.Workflows[e.Facts.ID+i]; twice {
			bad(e, "an attempt started twice")
		}
		l.Workflows[e.Facts.ID+i] = e.Facts.Workflow
	}
}

func (l *Leases) move(e *Event, running map[uint64]bool, bad func(*Event, string)) {
	switch e.By {
	case "leased":
		if running[e.Task] {
			bad(e, "leased while it runs")
		}
		if l.Accepted[e.Task] > 0 {
			bad(e, "leased after its result was accepted")
		}
		running[e.Task] = true
		l.Count[e.Task]++
	case "lost":
		if !running[e.Task] {
			bad(e, "lost without a lease")
		}
		running[e.Task] = false
	case "postponed": // it polls, or waits for a repetition
		if !running[e.Task] {
			bad(e, "postponed without a lease")
		}
		running[e.Task] = false
	case "succeeded", "failed":
		if !running[e.Task] {
			bad(e, "a result without a lease")
		}
		running[e.Task] = false
		l.Accepted[e.Task]++
	}
}
