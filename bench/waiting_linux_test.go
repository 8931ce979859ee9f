package bench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"gitdag/bench/agenttest"
	"gitdag/engine"
	"gitdag/engine/operator"
	"gitdag/engine/params"
)

const waiters = 10_000

// BenchmarkWaiting measures an agent of which 10,000 tasks wait: its memory,
// what it writes in half a minute, and whether another attempt finds a worker,
// of which there are four.
func BenchmarkWaiting(b *testing.B) {
	s := newSite(b, map[string]string{
		"w.dig":    fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: true\n  _do: {wait>: 1h, poll_interval: 1s}\n", waiters),
		"echo.dig": "+a: {echo>: a}\n",
	}, "--tasks-max", "4")
	s.start("w")
	s.settle()
	pid := s.process.PID()
	written, journal, used := writtenBy(b, pid), s.size("journal"), processor(b, pid)
	wait(b, 30*time.Second)
	b.ReportMetric(float64(s.size("journal")-journal), "journal-B")
	b.ReportMetric(float64(writtenBy(b, pid)-written), "written-B")
	b.ReportMetric(100*float64(processor(b, pid)-used)/float64(30*time.Second), "%core")
	b.ReportMetric(ms(s.run("echo")), "ms/other")
	most, now := memory(b, pid)
	b.ReportMetric(now, "MB-now")
	b.ReportMetric(most, "MB-most")
}

// asking is an operator that finds nothing new.
type asking struct{ asked atomic.Int64 }

// Run asks for a run in five seconds.
func (a *asking) Run(context.Context, *operator.Task) (*operator.Result, error) {
	a.asked.Add(1)
	return nil, &operator.Poll{After: 5 * time.Second, State: params.Of("job", int64(7))}
}

// BenchmarkPolls measures 10,000 tasks that ask every five seconds and find
// nothing new: what a poll costs and writes, and what is left of it in between.
func BenchmarkPolls(b *testing.B) {
	a := &asking{}
	ops := operator.Builtin()
	ops["store"] = operator.Entry{Operator: a}
	goroutines := runtime.NumGoroutine()
	d := newDurable(b, loaded(b, b.TempDir(), fmt.Sprintf("+l:\n  loop>: %d\n  _parallel: true\n  _do: {store>: last}\n", waiters)), operator.NewRegistry(ops))
	id, err := d.engine.StartAttempt(b.Context(), engine.StartRequest{Project: "p", Workflow: "w", Session: time.Unix(1_700_000_000, 0)})
	check(b, err)
	agenttest.Eventually(b, "each task has been polled", func() bool { return a.asked.Load() >= 2*waiters })
	wait(b, time.Second)
	pid := os.Getpid()
	before, written, used, begin := a.asked.Load(), writtenBy(b, pid), processor(b, pid), time.Now()
	least := runtime.NumGoroutine()
	for time.Since(begin) < 20*time.Second {
		wait(b, 100*time.Millisecond)
		least = min(least, runtime.NumGoroutine())
	}
	polls := float64(a.asked.Load() - before)
	b.ReportMetric(polls/time.Since(begin).Seconds(), "polls/s")
	b.ReportMetric(float64(writtenBy(b, pid)-written)/polls, "written-B/poll")
	b.ReportMetric(ms(processor(b, pid)-used)*1000/polls, "µs/poll")
	b.ReportMetric(float64(least-goroutines), "goroutines")
	check(b, d.engine.Kill(b.Context(), id))
	<-d.over
}
