package bench

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/engine/dig"
	"gitdag/engine/local"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

// storing is an operator that no user has: it stores one parameter without
// starting a process, whose milliseconds would hide what a store costs. Its
// command is the key; "own" stands for one that no other task has.
type storing struct{}

// Run stores the task's id.
func (storing) Run(_ context.Context, t *operator.Task) (*operator.Result, error) {
	v, _ := t.Config.Lookup("_command")
	key, _ := params.Text(v)
	if key == "own" {
		key = fmt.Sprintf("k%d", t.ID)
	}
	return &operator.Result{Store: params.Of(key, int64(t.ID))}, nil
}

// withStores are the operators of a release and store>.
func withStores() *operator.Registry {
	ops := operator.Builtin()
	ops["store"] = operator.Entry{Operator: storing{}, Pure: true}
	return operator.NewRegistry(ops)
}

// loaded writes a workflow into a folder and loads the project.
func loaded(t testing.TB, dir, text string) *dig.Project {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, found := dig.Load(dir, dig.Options{Operators: func(name string) bool {
		_, ok := withStores().Lookup(name)
		return ok
	}})
	if errs := found.Errors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return p
}

// stored are the workflows that store: tasks that store under one key, and such
// that each have a key of their own. In a sequence the latter would see the
// keys of all before them, as the language wants it.
var stored = []struct {
	name, task string
	parallel   bool
}{
	{"sequential", "store>: last", false},
	{"parallel", "store>: last", true},
	{"parallel-own-key", "store>: own", true},
}

// BenchmarkStoresRun measures local runs in which each task stores a parameter.
// The state files lie in memory.
func BenchmarkStoresRun(b *testing.B) { stores(b, "local") }

// BenchmarkStoresAgent is BenchmarkStoresRun on the agent's engine: what stands
// below its HTTP interface and its syncs, with a real journal, history, logs
// and workspaces.
func BenchmarkStoresAgent(b *testing.B) { stores(b, "durable") }

func stores(b *testing.B, where string) {
	for _, s := range stored {
		b.Run(s.name, func(b *testing.B) {
			growth(b, sizes, func(tasks int) cost { return apart(b, where, loop(tasks, s.parallel, s.task)) })
		})
	}
}

// BenchmarkStoresSeen is a sequence on the agent's engine whose tasks each store
// a key of their own: each task sees the keys of all before it, and is given
// them. What grows here is what a task is asked to look at.
func BenchmarkStoresSeen(b *testing.B) {
	growth(b, []size{{100, 9}, {1000, 3}, {3000, 1}}, func(tasks int) cost {
		return apart(b, "durable", loop(tasks, false, "store>: own"))
	})
}

// measureVar has a process of this test measure one attempt: where, the file to
// write the cost to, and the workflow.
const measureVar = "GITDAG_BENCH_MEASURE"

// apart measures an attempt in a process of its own, which owes nothing to what
// was measured before.
func apart(b *testing.B, where, text string) cost {
	b.Helper()
	to := filepath.Join(b.TempDir(), "cost")
	cmd := exec.Command(os.Args[0], "-test.run", "^TestMeasure$")
	cmd.Env = append(os.Environ(), measureVar+"="+where+"\n"+to+"\n"+text)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(to)
	check(b, err)
	var c cost
	_, err = fmt.Sscan(string(data), &c.took, &c.written)
	check(b, err)
	return c
}

// TestMeasure is the main function of the processes that apart starts, and
// nothing otherwise. An attempt of one task goes before.
func TestMeasure(t *testing.T) {
	where, rest, ok := strings.Cut(os.Getenv(measureVar), "\n")
	if !ok {
		return
	}
	to, text, _ := strings.Cut(rest, "\n")
	measure := localRun
	if where == "durable" {
		measure = durableRun
	}
	measure(t, "+a: {store>: last}\n")
	c := measure(t, text)
	check(t, os.WriteFile(to, fmt.Appendf(nil, "%d %g", c.took, c.written), 0o600))
}

func localRun(t testing.TB, text string) cost {
	t.Helper()
	dir := inMemory(t)
	before, begin := writtenBy(t, os.Getpid()), time.Now()
	report, err := local.Run(t.Context(), local.Options{
		Dir: dir, Project: loaded(t, dir, text), Workflow: "w", TasksPerAttempt: enough,
		Operators: withStores(), Stdout: io.Discard,
		Console: local.NewConsole(io.Discard, slog.LevelInfo, false),
	})
	if err != nil || !report.Succeeded {
		t.Fatalf("got %+v, %v", report, err)
	}
	return cost{time.Since(begin), float64(writtenBy(t, os.Getpid()) - before)}
}

func durableRun(t testing.TB, text string) cost {
	t.Helper()
	d := newDurable(t, loaded(t, t.TempDir(), text), withStores())
	before := writtenBy(t, os.Getpid())
	took := d.run()
	return cost{took, float64(writtenBy(t, os.Getpid()) - before)}
}
