package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// marks is a file outside of the agent's reach to which tasks append a line
// when they begin and one when they end.
type marks struct {
	t    *testing.T
	file string
}

func newMarks(t *testing.T) *marks {
	t.Helper()
	m := &marks{t, filepath.Join(t.TempDir(), "marks")}
	if err := os.WriteFile(m.file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// task is a command that leaves its marks and takes the time in between.
func (m *marks) task(seconds float64) string {
	return fmt.Sprintf(`{sh>: 'echo "begin $GITDAG_RUN" >> %[1]s; sleep %[2]g; echo "end $GITDAG_RUN" >> %[1]s'}`, m.file, seconds)
}

// mark is a line of the file.
type mark struct {
	what            string
	task, execution uint64
}

func (m *marks) read() []mark {
	m.t.Helper()
	data, err := os.ReadFile(m.file)
	if err != nil {
		m.t.Fatal(err)
	}
	var list []mark
	for line := range strings.Lines(string(data)) {
		what, run, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, run, _ = strings.Cut(run, "/")
		k := mark{what: what}
		if _, err := fmt.Sscanf(run, "%d/%d", &k.task, &k.execution); err != nil {
			m.t.Fatalf("mark %q: %v", line, err)
		}
		list = append(list, k)
	}
	return list
}

// count returns how many marks of a kind there are.
func (m *marks) count(what string) int {
	n := 0
	for _, k := range m.read() {
		if k.what == what {
			n++
		}
	}
	return n
}

// audit compares what tasks have done with what they were leased for. The marks
// must have been read before the journal: a running agent goes on meanwhile.
func (m *marks) audit(done []mark, l *agenttest.Leases) {
	m.t.Helper()
	begun := map[mark]bool{}
	count, newest := map[uint64]int{}, map[uint64]uint64{}
	for _, k := range done {
		if k.execution < newest[k.task] {
			m.t.Errorf("execution %d of task %d is alive after execution %d has begun", k.execution, k.task, newest[k.task])
		}
		newest[k.task] = k.execution
		if k.what != "begin" {
			continue
		}
		if begun[k] {
			m.t.Errorf("execution %d of task %d began twice", k.execution, k.task)
		}
		begun[k] = true
		count[k.task]++
	}
	for task, n := range count {
		if n > l.Count[task] {
			m.t.Errorf("task %d began %d times, and was leased %d times", task, n, l.Count[task])
		}
	}
}

// twentyTasks has 20 tasks that run: in sequence, side by side, generated, and
// some that outlive a killed agent until the next one ends them.
func twentyTasks(m *marks, due time.Duration) string {
	clock, zone := agenttest.DueIn(due)
	short, long := m.task(0.03), m.task(0.4)
	return fmt.Sprintf(`
timezone: %[1]s
schedule: {daily>: %[2]s}
+one: %[3]s
+side:
  _parallel: true
  +a: %[3]s
  +b: %[4]s
  +c: %[3]s
  +d: %[4]s
  +inner:
    +e: %[3]s
    +f: %[3]s
+two: %[3]s
+limited:
  _parallel: {limit: 2}
  +a: %[3]s
  +b: %[3]s
  +c: %[3]s
  +d: %[3]s
+echo: {echo>: between}
+each:
  loop>: 3
  _parallel: true
  _do: {+x: %[3]s}
+three: %[3]s
+last: {if>: true, _do: {+y: %[3]s}}
`, zone, clock, short, long)
}

// An agent that is killed at any moment goes on where it was: what it had
// accepted is not done again, what ran is run again after its processes have
// been ended, and every attempt succeeds.
func TestAgentKilledAtFiftyMoments(t *testing.T) {
	const kills = 50
	bin, repo, m := program(t), agenttest.NewRepo(t, "flows"), newMarks(t)
	data := filepath.Join(t.TempDir(), "data")
	random := rand.New(rand.NewPCG(3, 50))
	args := []string{"agent", "--repo", repo.Path(), "--data", data, "--poll", "1s", "--listen", "127.0.0.1:0"}

	audit := func() *agenttest.Leases {
		t.Helper()
		done := m.read()
		l, err := agenttest.Audit(agenttest.Events(t, bin, data))
		if err != nil {
			t.Error(err)
		}
		m.audit(done, l)
		return l
	}
	rounds, hits, survivors := 0, 0, 0
	for hits < kills {
		l := audit()
		if t.Failed() {
			break
		}
		if l.Started == rounds && len(l.Settled) == rounds {
			rounds++
			repo.Push("round", map[string]string{fmt.Sprintf("r%d.dig", rounds): twentyTasks(m, time.Second)})
		}
		p := agenttest.Launch(t, bin, nil, args...)
		if l.Started < rounds {
			p.Await(`msg="attempt started".* workflow=r` + fmt.Sprint(rounds) + " ")
		} else if random.IntN(4) > 0 {
			p.Address()
		}
		moment := time.NewTimer(time.Duration(random.Int64N(int64(120 * time.Millisecond))))
		select {
		case <-moment.C:
		case <-p.Ended():
			t.Fatalf("the agent ended by itself:\n%s", p.Log())
		}
		p.Kill()
		survivors += strings.Count(p.Log(), "outlived the last agent")
		if l = audit(); len(l.Settled) < rounds {
			hits++
		}
	}
	p := agenttest.Launch(t, bin, nil, args...)
	agenttest.Eventually(t, "every attempt is over", func() bool { return len(audit().Settled) == rounds }, p.Log)
	if code := p.Stop(); code != 0 {
		t.Errorf("exit code %d, want 0:\n%s", code, p.Log())
	}
	l := audit()
	for attempt, success := range l.Settled {
		if !success {
			t.Errorf("attempt %d has failed", attempt)
		}
	}
	if len(l.Alerts) > 0 {
		t.Errorf("alerts %q, want none", l.Alerts)
	}
	again := 0
	for task, n := range l.Count {
		if l.Accepted[task] == 0 {
			t.Errorf("task %d was leased %d times and never accepted", task, n)
		}
		again += n - 1
	}
	t.Logf("%d kills within %d attempts; %d tasks, %d run again; %d times processes had survived", hits, rounds, len(l.Count), again, survivors)
	if again == 0 || survivors == 0 {
		t.Error("no kill hit a running task: the test proves nothing")
	}
}
