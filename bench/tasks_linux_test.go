package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// size is how many tasks an attempt has, and how often that is measured: the
// median of many where one takes milliseconds.
type size struct{ tasks, times int }

// sizes are those of the budgets.
var sizes = []size{{1000, 9}, {10_000, 5}, {100_000, 1}}

// cost is what one attempt took and wrote, its task logs apart.
type cost struct {
	took    time.Duration
	written float64 // bytes
}

// growth measures attempts of all sizes and reports what a task costs in each,
// and how many times more in the largest than in the smallest.
func growth(b *testing.B, sizes []size, attempt func(tasks int) cost) {
	b.Helper()
	var first, last cost
	for i, size := range sizes {
		took, written := median(size.times, func() (time.Duration, float64) {
			c := attempt(size.tasks)
			return c.took, c.written
		})
		last = cost{took / time.Duration(size.tasks), written / float64(size.tasks)}
		if i == 0 {
			first = last
		}
		b.ReportMetric(float64(last.took)/float64(time.Microsecond), fmt.Sprintf("us/task-%d", size.tasks))
		b.ReportMetric(last.written, fmt.Sprintf("B/task-%d", size.tasks))
	}
	b.ReportMetric(float64(last.took)/float64(first.took), "x-time")
	b.ReportMetric(last.written/first.written, "x-bytes")
}

// loop is a workflow of n tasks of one kind, which a file of 1 MiB could not
// list.
func loop(n int, parallel bool, task string) string {
	return fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: %v\n  _do: {%s}\n", n, parallel, task)
}

// orders are the two ways of a loop.
var orders = []struct {
	name     string
	parallel bool
}{{"sequential", false}, {"parallel", true}}

// enough allows for 100,000 tasks beside the loop's own.
const enough = 100_100

// BenchmarkTasksAgent measures attempts of echo> tasks on an agent: the time
// from its start to its end, and all that the process wrote until the attempt
// was archived.
func BenchmarkTasksAgent(b *testing.B) {
	for _, o := range orders {
		b.Run(o.name, func(b *testing.B) {
			files := map[string]string{}
			for _, size := range sizes {
				files[fmt.Sprintf("w%d.dig", size.tasks)] = loop(size.tasks, o.parallel, "echo>: hello")
			}
			config := filepath.Join(b.TempDir(), "agent.yaml")
			if err := os.WriteFile(config, fmt.Appendf(nil, "limits: {tasks_per_attempt: %d}\n", enough), 0o600); err != nil {
				b.Fatal(err)
			}
			s := newSite(b, files, "--config", config)
			growth(b, sizes, func(tasks int) cost {
				before, logs := writtenBy(b, s.process.PID()), s.size("logs")
				took := s.run(fmt.Sprintf("w%d", tasks))
				return cost{took, float64(writtenBy(b, s.process.PID()) - before - (s.size("logs") - logs))}
			})
		})
	}
}

// BenchmarkTasksRun measures `run` of the same workflows: whole processes, less
// one that has a single task; what is written without what is printed. Each
// task leaves a state file. What a new file costs depends on the disk, and on
// one without a journal on how many were deleted lately, so that the project
// lies in memory.
func BenchmarkTasksRun(b *testing.B) {
	bin := agenttest.Build(b)
	for _, o := range orders {
		b.Run(o.name, func(b *testing.B) {
			attempt := func(tasks int) cost {
				dir := inMemory(b)
				if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(loop(tasks, o.parallel, "echo>: hello")), 0o644); err != nil {
					b.Fatal(err)
				}
				before := writtenBy(b, os.Getpid())
				c := printed(b, dir, bin, "run", "-X", fmt.Sprintf("executor.task_max_run=%d", enough), "w.dig")
				c.written += float64(writtenBy(b, os.Getpid()) - before)
				return c
			}
			alone, _ := median(9, func() (time.Duration, float64) { return attempt(1).took, 0 })
			growth(b, sizes, func(tasks int) cost {
				c := attempt(tasks)
				return cost{c.took - alone, c.written}
			})
		})
	}
}

// printed runs a program to its end. What it writes counts to this process once
// it is over, so that what it printed is subtracted.
func printed(b *testing.B, dir, program string, args ...string) cost {
	b.Helper()
	out, err := os.Create(filepath.Join(b.TempDir(), "out"))
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	took, err := runTo(out, dir, program, args...)
	if err != nil {
		text, _ := os.ReadFile(out.Name())
		b.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, text)
	}
	info, err := out.Stat()
	if err != nil {
		b.Fatal(err)
	}
	return cost{took, -float64(info.Size())}
}

// inMemory returns a folder of a file system in memory.
func inMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "gitdag-bench-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
