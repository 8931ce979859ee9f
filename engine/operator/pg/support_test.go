package pg_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitdag/engine/expr"
	"gitdag/engine/operator"
	"gitdag/engine/operator/pg"
	"gitdag/engine/operator/pg/pgtest"
	"gitdag/engine/params"
)

var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m, &server)) }

// project is the workspace and the log of tasks in a test.
type project struct {
	t    testing.TB
	root string
	db   *pgtest.Database

	mu  sync.Mutex
	log strings.Builder
}

func newProject(t testing.TB) *project {
	t.Helper()
	return &project{t: t, root: t.TempDir(), db: server.Database(t)}
}

func (p *project) Project(context.Context) (string, error) { return p.root, nil }
func (p *project) Dir(context.Context) (string, error)     { return p.root, nil }
func (p *project) Scratch(context.Context) (string, error) { return p.root, nil }
func (p *project) File() (*os.File, error)                 { return nil, errors.ErrUnsupported }

func (p *project) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *project) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

func (p *project) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.root, name), []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.root, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

type secrets map[string]string

func (s secrets) Secret(_ context.Context, key string) (string, error) {
	if value, ok := s[key]; ok {
		return value, nil
	}
	return "", &operator.Error{Message: "Secret not found for key: '" + key + "'", Kind: "secret not found"}
}

// task returns a task on the test's database, with a key of its own.
func (p *project) task(own ...any) *operator.Task { return p.inherit(nil, own...) }

// inherit returns a task that sees the given parameters below its own.
func (p *project) inherit(visible *params.Map, own ...any) *operator.Task {
	p.t.Helper()
	base := params.Of("pg", params.Of("host", "127.0.0.1", "port", p.db.Port, "user", pgtest.User, "database", p.db.Name))
	local := params.Of(own...)
	typ, config, local, err := operator.Select(params.Merge(params.Merge(base, visible), local), local)
	if err != nil {
		p.t.Fatal(err)
	}
	return &operator.Task{
		FullName: "+w+t", ID: 7, Execution: 1, Key: p.t.Name() + strconv.FormatInt(time.Now().UnixNano(), 10), Type: typ, Config: config, Local: local,
		Zone: time.UTC, Now: time.Now(), Log: p, Workspace: p, Evaluator: expr.New(expr.Options{}),
		Secrets: secrets{"pg.password": pgtest.Password + "\n"},
	}
}

func sql(text string) *params.Map { return params.Of("data", text) }

func run(t testing.TB, task *operator.Task) (*operator.Result, error) {
	return pg.Operator(pg.Limits{}).Operator.Run(t.Context(), task)
}

func mustRun(t testing.TB, task *operator.Task) *operator.Result {
	t.Helper()
	result, err := run(t, task)
	if err != nil {
		t.Fatalf("pg> failed: %v", err)
	}
	return result
}

// wantFailure checks the whole text of a failure, its kind included.
func wantFailure(t testing.TB, task *operator.Task, want string) {
	t.Helper()
	_, err := run(t, task)
	var failure *operator.Error
	if !errors.As(err, &failure) || failure.Error() != want {
		t.Errorf("got\n  %v\nwant\n  %s", err, want)
	}
}

func wantRows(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got rows %q, want %q", got, want)
	}
}

// files are the names in the project's root.
func (p *project) files() ([]string, error) {
	entries, err := os.ReadDir(p.root)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
