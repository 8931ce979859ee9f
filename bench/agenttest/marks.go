package agenttest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Marks is a file outside of the agent's reach to which tasks append a line
// when they begin and one when they end.
type Marks struct {
	t testing.TB
	// File is its name.
	File string
}

// NewMarks makes an empty file.
func NewMarks(t testing.TB) *Marks {
	t.Helper()
	m := &Marks{t, filepath.Join(t.TempDir(), "marks")}
	if err := os.WriteFile(m.File, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// Task is a task that leaves its marks and takes the time in between.
func (m *Marks) Task(seconds float64) string {
	return fmt.Sprintf(`{sh>: 'echo "begin $GITDAG_RUN" >> %[1]s; sleep %[2]g; echo "end $GITDAG_RUN" >> %[1]s'}`, m.File, seconds)
}

// Mark is a line of the file.
type Mark struct {
	What            string // begin or end
	Task, Execution uint64
}

// Read returns the marks in the order in which they were made.
func (m *Marks) Read() []Mark {
	m.t.Helper()
	data, err := os.ReadFile(m.File)
	if err != nil {
		m.t.Fatal(err)
	}
	var list []Mark
	for line := range strings.Lines(string(data)) {
		what, run, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, run, _ = strings.Cut(run, "/")
		k := Mark{What: what}
		if _, err := fmt.Sscanf(run, "%d/%d", &k.Task, &k.Execution); err != nil {
			m.t.Fatalf("mark %q: %v", line, err)
		}
		list = append(list, k)
	}
	return list
}

// Count returns how many marks of a kind there are.
func (m *Marks) Count(what string) int {
	m.t.Helper()
	n := 0
	for _, k := range m.Read() {
		if k.What == what {
			n++
		}
	}
	return n
}

// Compare compares what tasks have done with what they were leased for: an
// execution begins once, a task no more often than it was leased, and nothing
// of an execution is left when the next one begins. The marks must have been
// read before the journal, since a running agent goes on meanwhile.
func Compare(done []Mark, l *Leases) error {
	var errs []error
	begun := map[Mark]bool{}
	count, newest := map[uint64]int{}, map[uint64]uint64{}
	for _, k := range done {
		if k.Execution < newest[k.Task] {
			errs = append(errs, fmt.Errorf("execution %d of task %d is alive after execution %d has begun", k.Execution, k.Task, newest[k.Task]))
		}
		newest[k.Task] = k.Execution
		if k.What != "begin" {
			continue
		}
		if begun[k] {
			errs = append(errs, fmt.Errorf("execution %d of task %d began twice", k.Execution, k.Task))
		}
		begun[k] = true
		count[k.Task]++
	}
	for task, n := range count {
		if n > l.Count[task] {
			errs = append(errs, fmt.Errorf("task %d began %d times, and was leased %d times", task, n, l.Count[task]))
		}
	}
	return errors.Join(errs...)
}
