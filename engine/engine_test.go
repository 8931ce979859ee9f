package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/command"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// rig is an engine on a project directory, everything else in memory.
type rig struct {
	t      *testing.T
	e      *Engine
	dir    string
	mu     sync.Mutex
	output bytes.Buffer
	past   map[uint64]*flow.Record
	done   chan *flow.Record
	alerts chan flow.Alert
}

func (r *rig) Put(_ context.Context, rec *flow.Record) error {
	r.mu.Lock()
	r.past[rec.Attempt.ID] = rec
	r.mu.Unlock()
	r.done <- rec
	return nil
}

func (r *rig) Record(_ context.Context, id uint64) (*flow.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.past[id], nil
}

func (r *rig) Past(_ context.Context, project uint64, workflow string, session time.Time) (*flow.Past, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var past *flow.Past
	for _, rec := range r.past {
		if rec.Session.Project != project || rec.Session.Workflow != workflow || !rec.Session.Time.Equal(session) {
			continue
		}
		past = past.With(rec)
	}
	return past, nil
}

func (r *rig) Make(uint64, string) (string, error) { return r.dir, nil }

func (r *rig) Scratch(_ uint64, dir string) (string, error) { return dir, os.MkdirAll(dir, 0o755) }

func (r *rig) Settled(uint64, bool) {}

func (r *rig) Begin(uint64, uint64, int, string, time.Time) TaskLog { return &rigLog{r: r} }

func (r *rig) Pack(uint64) error { return nil }

type rigLog struct {
	r *rig
	f *os.File
}

func (l *rigLog) Write(p []byte) (int, error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.r.output.Write(p)
}

func (l *rigLog) File() (*os.File, error) {
	f, err := os.CreateTemp(l.r.t.TempDir(), "log")
	l.f = f
	return f, err
}

func (l *rigLog) Close() error {
	if l.f == nil {
		return nil
	}
	data, err := os.ReadFile(l.f.Name())
	if err == nil {
		_, err = l.Write(data)
	}
	return err
}

type noSecrets struct{}

func (noSecrets) Secret(_ context.Context, key string) (string, error) {
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

// newRig starts an engine without a journal and deploys the files.
func newRig(t *testing.T, files map[string]string, adjust ...func(*Options)) *rig {
	t.Helper()
	r := startRig(t, files, adjust...)
	r.deploy()
	return r
}

// startRig starts an engine for a project of the given files.
func startRig(t *testing.T, files map[string]string, adjust ...func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), past: map[uint64]*flow.Record{}, done: make(chan *flow.Record, 100), alerts: make(chan flow.Alert, 100)}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	evaluator := expr.New(expr.Options{})
	o := Options{
		Objects: &MemoryObjects{}, History: r, Operators: operator.NewRegistry(operator.Builtin()),
		Workspaces: r, Logs: r, Commands: command.Local{}, Secrets: func(*flow.AttemptFacts) operator.Secrets { return noSecrets{} }, Evaluator: evaluator,
		Environ: []string{"PATH=" + os.Getenv("PATH")}, DataID: "test",
		Deliver: func(_ context.Context, d *flow.Deliver) Delivery {
			r.alerts <- d.Alert
			return Delivery{}
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	for _, f := range adjust {
		f(&o)
	}
	r.e = New(o)
	if err := r.e.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		r.e.Stop(ctx)
		evaluator.Close()
	})
	return r
}

func (r *rig) deploy() {
	r.t.Helper()
	p, diags := dig.Load(r.dir, dig.Options{})
	if len(diags.Errors()) > 0 {
		r.t.Fatal(diags)
	}
	err := r.e.Deploy(context.Background(), &Deployment{Repo: "r", Projects: []Project{{Name: "p", Content: p, Revision: "1"}}})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) run(workflow string, p *params.Map) *flow.Record {
	r.t.Helper()
	_, err := r.e.StartAttempt(context.Background(), StartRequest{Project: "p", Workflow: workflow, Session: time.Date(2031, 4, 5, 0, 0, 0, 0, time.UTC), Params: p})
	if err != nil {
		r.t.Fatal(err)
	}
	return <-r.done
}

func TestAttemptRunsFromFileToRecord(t *testing.T) {
	r := newRig(t, map[string]string{"w.dig": `
_export: {who: root}
+a: {echo>: "a ${who} ${only}"}
+l:
  for_each>: {x: [1, 2]}
  _do:
    +in: {sh>: "echo in $x ${x} ${session_date}"}
+f:
  fail>: boom
  _error: {echo>: "caught ${error.message}"}
`})
	rec := r.run("w", params.Of("only", params.Template("cli")))
	want := "a root cli\nin 1 1 2031-04-05\nin 2 2 2031-04-05\ncaught boom\n"
	if got := strings.ReplaceAll(r.output.String(), "cliin", "cli\nin"); rec.Succeeded || strings.ReplaceAll(got, "\n", "") != strings.ReplaceAll(want, "\n", "") {
		t.Errorf("output %q, succeeded %v, want %q, false", r.output.String(), rec.Succeeded, want)
	}
	for _, row := range rec.Tasks {
		t.Log(row.FullName, row.State, row.Error.Len())
	}
	if a := <-r.alerts; a.Task != "+w+f" || a.Message != "boom" {
		t.Errorf("alert about %s: %q", a.Task, a.Message)
	}
}

func TestResumedAttemptSkipsWhatSucceeded(t *testing.T) {
	r := newRig(t, map[string]string{"w.dig": `
+a: {echo>: "a"}
+b: {fail>: "${broken}"}
`})
	first := r.run("w", params.Of("broken", params.Template("yes")))
	id, err := r.e.StartAttempt(context.Background(), StartRequest{
		Project: "p", Workflow: "w", Session: first.Session.Time, RetryName: "again", Resume: &Resume{Attempt: first.Attempt.ID},
	})
	if err != nil {
		t.Fatal(err)
	}
	again := <-r.done
	if again.Attempt.ID != id || again.Tasks[1].Execution != 0 || again.Tasks[1].State != flow.Success {
		t.Errorf("+w+a ran %d times and is %v, want 0 and success", again.Tasks[1].Execution, again.Tasks[1].State)
	}
	_, err = r.e.StartAttempt(context.Background(), StartRequest{
		Project: "p", Workflow: "w", Session: first.Session.Time, RetryName: "third", Resume: &Resume{Attempt: first.Attempt.ID, From: "+nosuch"},
	})
	if !errors.As(err, new(*ResumeError)) {
		t.Errorf("resume from a task that does not exist: %v", err)
	}
}

func TestRequireStartsAndWaits(t *testing.T) {
	r := newRig(t, map[string]string{
		"w.dig":       "+a: {require>: other, params: {who: me}}\n+b: {echo>: after}\n",
		"other.dig":   "+x: {echo>: \"${who} ${session_date}\"}\n",
		"bad.dig":     "+x: {fail>: no}\n",
		"waits.dig":   "+a: {require>: bad}\n",
		"lenient.dig": "+a: {require>: bad, ignore_failure: true}\n",
		"again.dig":   "+a: {require>: bad, ignore_failure: true, rerun_on: failed}\n",
		"none.dig":    "+a: {require>: nosuch}\n",
	})
	if rec := r.runTo("w"); !rec.Succeeded {
		t.Errorf("the requiring attempt failed: %+v", rec.Tasks[1].Error)
	}
	if got, want := r.text(), "me 2031-04-05\nafter\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	rec := r.runTo("waits")
	if v, _ := rec.Tasks[1].Error.Lookup("message"); rec.Succeeded || !strings.HasPrefix(fmt.Sprint(v), "Dependent workflow failed. Session id: ") {
		t.Errorf("success %v, message %v", rec.Succeeded, v)
	}
	if rec := r.runTo("lenient"); !rec.Succeeded {
		t.Error("ignore_failure does not ignore the failure")
	}
	before := r.count("bad")
	if rec := r.runTo("again"); !rec.Succeeded || r.count("bad") != before+1 {
		t.Errorf("success %v after %d attempts of bad, want one more than %d", rec.Succeeded, r.count("bad"), before)
	}
	rec = r.runTo("none")
	if v, _ := rec.Tasks[1].Error.Lookup("message"); rec.Succeeded || !strings.HasPrefix(fmt.Sprint(v), "Dependent workflow does not exist") {
		t.Errorf("success %v, message %v", rec.Succeeded, v)
	}
}

// runTo runs a workflow and returns its own record, whatever else ends.
func (r *rig) runTo(workflow string) *flow.Record {
	r.t.Helper()
	rec := r.run(workflow, nil)
	for rec.Attempt.Workflow != workflow {
		rec = <-r.done
	}
	return rec
}

func (r *rig) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.String()
}

// count returns how many attempts of a workflow are over.
func (r *rig) count(workflow string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, rec := range r.past {
		if rec.Attempt.Workflow == workflow {
			n++
		}
	}
	return n
}
