package api_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/agent/api"
	"gitdag/agent/history"
	"gitdag/engine"
	"gitdag/engine/command"
	"gitdag/engine/dig"
	"gitdag/engine/expr"
	"gitdag/engine/flow"
	"gitdag/engine/operator"
	"gitdag/engine/tasklog"
)

// rig is an API on a real engine, a real history and real logs, with two
// projects deployed.
type rig struct {
	t       *testing.T
	e       *engine.Engine
	dir     string
	logs    *tasklog.Store
	history *history.History
	objects *engine.MemoryObjects
	repos   *repos
	vault   vault
	log     bytes.Buffer
	handler http.Handler
	admin   http.Handler

	mu       sync.Mutex
	archived map[uint64]chan struct{}
}

// The sample repository. Nothing is due before the year 2041.
var sample = map[string]map[string]string{
	"harbour": {
		"buoy.dig": "timezone: Asia/Tokyo\n_export:\n  sea: north\nschedule:\n  daily>: 07:00:00\n  start: 2041-04-06\n+tide:\n  echo>: tide of ${session_time}\n",
		"tree.dig": "_export:\n  sea: north\n+load:\n  _export:\n    knots: 7\n  +one:\n    sh>: echo one ${sea}; echo two 1>&2\n  +two:\n    echo>: <two> & ${given}\n" +
			"+many:\n  _parallel: true\n  +left:\n    echo>: l\n  +right:\n    echo>: r\n+each:\n  loop>: 2\n  _do:\n    +body:\n      echo>: pass ${i}\n",
		"fails.dig": "_error:\n  echo>: sorry ${error.message}\n+fine:\n  echo>: ok\n+group:\n  +bad:\n    fail>: engine of ${task_name} broke\n+after:\n  echo>: never\n",
		"waits.dig": "+first:\n  echo>: now\n+wait:\n  wait>: 10m\n+last:\n  echo>: later\n",
		"slow.dig":  "+say:\n  sh>: echo begin; while [ ! -f go ]; do sleep 0.02; done; echo end\n",
		"wide.dig":  "+many:\n  loop>: 2500\n  _parallel: true\n  _do:\n    +body:\n      echo>: ''\n+wait:\n  wait>: 10m\n",
		"hand.dig":  "+gull:\n  echo>: a gull cries over ${session_date}\n",
	},
	"bay/a": {
		"half.dig": "schedule:\n  cron>: '30 * * * *'\n  start: 2041-04-05\n+ebb:\n  echo>: ebb\n",
	},
}

type setting func(*api.Options)

func newRig(t *testing.T, settings ...setting) *rig {
	t.Helper()
	data := t.TempDir()
	r := &rig{t: t, dir: t.TempDir(), repos: &repos{}, objects: &engine.MemoryObjects{}, vault: vault{kept: map[uint64]map[string]string{}}, archived: map[uint64]chan struct{}{}}
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	var err error
	if r.history, _, err = history.Open(t.Context(), data, history.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	r.logs = tasklog.NewStore(tasklog.Options{Dir: filepath.Join(data, "logs"), Agent: "4242@test"})
	evaluator := expr.New(expr.Options{})
	r.e = engine.New(engine.Options{
		Objects: r.objects, History: records{r.history}, Operators: operator.NewRegistry(operator.Builtin()),
		Workspaces: r, Logs: r, Commands: command.Local{}, Secrets: func(*flow.AttemptFacts) operator.Secrets { return noSecrets{} }, Evaluator: evaluator,
		Environ: []string{"PATH=" + os.Getenv("PATH")}, DataID: "test",
		Deliver: func(_ context.Context, d *flow.Deliver) engine.Delivery {
			return engine.Delivery{Why: "the channel is down", Retry: d.Alert.At.Add(time.Hour)}
		},
		Narrate: r.narrate, Log: slog.New(slog.DiscardHandler),
	})
	if err := r.e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// An answer comes after the effects of all that was answered before.
		_, _ = r.e.Submit(context.Background(), &flow.Tick{})
		r.e.Stop(context.Background())
		evaluator.Close()
		if err := r.logs.Close(); err != nil {
			t.Error(err)
		}
		if err := r.history.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r.deploy()
	o := api.Options{
		Engine: shell{r.e}, History: past{r.history}, Logs: r.logs, Repos: r.repos, Version: "1.2.3", Log: log,
		Schedules: shell{r.e}, Projects: shop{r}, Secrets: &r.vault,
	}
	for _, set := range settings {
		set(&o)
	}
	r.handler = api.New(o)
	r.admin = api.NewAdmin(o)
	return r
}

// deploy makes the sample live, and rejects a third project.
func (r *rig) deploy() { r.deployAs("c0ffee", sample) }

// deployAs makes projects live as a revision.
func (r *rig) deployAs(revision string, projects map[string]map[string]string) {
	r.t.Helper()
	commit := flow.Commit{
		ID: revision, Author: "Ada", Email: "ada@example.com", Subject: "Add buoys",
		Time: time.Date(2031, 4, 5, 9, 30, 0, 0, time.UTC),
	}
	d := &engine.Deployment{Repo: "workflows", Commit: commit, Rejected: []flow.Rejection{{
		Project: "broken", Path: "broken", Commit: commit, Reasons: []string{"broken/w.dig:3:5: error: unknown key"},
	}}}
	for _, name := range []string{"harbour", "bay/a"} {
		if projects[name] == nil {
			continue
		}
		dir := r.t.TempDir()
		for file, text := range projects[name] {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				r.t.Fatal(err)
			}
		}
		p, found := dig.Load(dir, dig.Options{})
		if len(found.Errors()) > 0 {
			r.t.Fatal(found)
		}
		d.Projects = append(d.Projects, engine.Project{Name: name, Path: name, Revision: revision, Commit: commit, Content: p})
	}
	if err := r.e.Deploy(r.t.Context(), d); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) Make(uint64, string) (string, error)          { return r.dir, nil }
func (r *rig) Scratch(_ uint64, dir string) (string, error) { return dir, os.MkdirAll(dir, 0o755) }
func (r *rig) Settled(uint64, bool)                         {}
func (r *rig) Pack(attempt uint64) error                    { return r.logs.Pack(attempt) }
func (r *rig) Begin(attempt, task uint64, execution int, fullName string, at time.Time) engine.TaskLog {
	return r.logs.Begin(tasklog.Run{Attempt: attempt, Task: task, Execution: execution, FullName: fullName, Time: at})
}

type noSecrets struct{}

func (noSecrets) Secret(_ context.Context, key string) (string, error) {
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'"}
}

// repos is one repository whose syncs a test decides.
type repos struct {
	mu     sync.Mutex
	state  []api.Syncing
	synced []string
}

func (r *repos) Syncing() []api.Syncing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state
}

func (r *repos) Sync(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.synced = append(r.synced, name)
	return true
}

// narrate notes which attempts have left the state.
func (r *rig) narrate(_ *flow.State, events []flow.Event) {
	for _, e := range events {
		if a, ok := e.(*flow.AttemptArchived); ok {
			close(r.gone(a.Attempt))
		}
	}
}

// gone is closed when an attempt is found in the history only.
func (r *rig) gone(attempt uint64) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.archived[attempt] == nil {
		r.archived[attempt] = make(chan struct{})
	}
	return r.archived[attempt]
}

func (r *rig) await(attempt uint64) {
	r.t.Helper()
	select {
	case <-r.gone(attempt):
	case <-time.After(30 * time.Second):
		r.t.Fatalf("attempt %d is not over", attempt)
	}
}

// definition returns the id of a workflow definition.
func (r *rig) definition(project, workflow string) (id uint64) {
	r.t.Helper()
	r.e.View(func(s *flow.State) { id = s.ProjectNamed(project).Workflow(workflow).ID })
	return id
}

// start begins an attempt of a workflow of harbour over the API, for the day of
// April 2031.
func (r *rig) start(workflow string, day int, retry string) uint64 {
	r.t.Helper()
	body := fmt.Sprintf(`{"workflowId":"%d","sessionTime":"2031-04-%02dT00:00:00Z","params":{"given":"${session_date}"}`, r.definition("harbour", workflow), day)
	if retry != "" {
		body += fmt.Sprintf(`,"retryAttemptName":%q`, retry)
	}
	answer := r.do(http.MethodPut, "/api/attempts", body+"}")
	if answer.Code != http.StatusOK {
		r.t.Fatalf("start %s: got %d %s", workflow, answer.Code, answer.Body)
	}
	var a api.Attempt
	if err := json.Unmarshal(answer.Body.Bytes(), &a); err != nil {
		r.t.Fatal(err)
	}
	return uint64(a.ID)
}

// run starts an attempt and waits until it is archived.
func (r *rig) run(workflow string, day int, retry string) uint64 {
	r.t.Helper()
	id := r.start(workflow, day, retry)
	r.await(id)
	return id
}

// waiting starts an attempt that stays live and waits until it waits.
func (r *rig) waiting(day int, retry string) uint64 {
	r.t.Helper()
	id := r.start("waits", day, retry)
	r.until(func(s *flow.State) bool {
		for t := range s.Attempt(id).Tasks {
			if t.Row().State == flow.RetryWaiting {
				return true
			}
		}
		return false
	})
	return id
}

// until waits for something in the state.
func (r *rig) until(there func(*flow.State) bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for ok := false; ; {
		r.e.View(func(s *flow.State) { ok = there(s) })
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			r.t.Fatal("the state never got there")
		}
	}
}

// do asks the API. A body is JSON; headers are key, value, ….
func (r *rig) do(method, target, body string, headers ...string) *httptest.ResponseRecorder {
	var from io.Reader
	if body != "" {
		from = strings.NewReader(body)
	}
	in := httptest.NewRequest(method, target, from)
	if body != "" {
		in.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		in.Header.Set(headers[i], headers[i+1])
	}
	out := httptest.NewRecorder()
	r.handler.ServeHTTP(out, in)
	return out
}

// get asks for JSON and decodes it.
func get[T any](r *rig, target string) T {
	r.t.Helper()
	answer := r.do(http.MethodGet, target, "")
	var v T
	if answer.Code != http.StatusOK {
		r.t.Fatalf("GET %s: got %d %s", target, answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &v); err != nil {
		r.t.Fatalf("GET %s: %v", target, err)
	}
	return v
}

func gunzip(t *testing.T, data []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
