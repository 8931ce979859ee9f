package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// twentyTasks has 20 tasks that run: in sequence, side by side, generated, and
// some that outlive a killed agent until the next one ends them.
func twentyTasks(m *agenttest.Marks) string {
	short, long := m.Task(0.03), m.Task(1.5)
	return fmt.Sprintf(`
+one: %[1]s
+side:
  _parallel: true
  +a: %[1]s
  +b: %[2]s
  +c: %[1]s
  +d: %[2]s
  +inner:
    +e: %[1]s
    +f: %[1]s
+two: %[1]s
+limited:
  _parallel: {limit: 2}
  +a: %[1]s
  +b: %[1]s
  +c: %[1]s
  +d: %[1]s
+echo: {echo>: between}
+each:
  loop>: 3
  _parallel: true
  _do: {+x: %[1]s}
+three: %[1]s
+last: {if>: true, _do: {+y: %[1]s}}
`, short, long)
}

// An agent that is killed at any moment goes on where it was: what it had
// accepted is not done again, what ran is run again after its processes have
// been ended, and every attempt succeeds.
func TestAgentKilledAtFiftyMoments(t *testing.T) {
	const kills = 50
	bin, repo, m := program(t), agenttest.NewRepo(t, "flows"), agenttest.NewMarks(t)
	data := filepath.Join(t.TempDir(), "data")
	random := rand.New(rand.NewPCG(3, 50))
	args := []string{"agent", "--repo", repo.Path(), "--data", data, "--poll", "1s", "--listen", "127.0.0.1:0"}

	audit := func() *agenttest.Leases {
		t.Helper()
		done := m.Read()
		l, err := agenttest.Audit(agenttest.Events(t, bin, data))
		if err != nil {
			t.Error(err)
		}
		if err := agenttest.Compare(done, l); err != nil {
			t.Error(err)
		}
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
			repo.Push("round", map[string]string{fmt.Sprintf("r%d.dig", rounds): twentyTasks(m)})
		}
		p := agenttest.Launch(t, bin, nil, args...)
		if l.Started < rounds {
			begin(t, p, fmt.Sprintf("r%d", rounds))
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
