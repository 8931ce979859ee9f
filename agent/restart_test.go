package agent

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"gitdag/engine/flow"
)

// states counts the tasks of live attempts by their states.
func (r *rig) states() map[flow.TaskState]int {
	count := map[flow.TaskState]int{}
	r.view(func(s *flow.State) {
		for _, a := range s.Attempts() {
			for task := range a.Tasks {
				count[task.State()]++
			}
		}
	})
	return count
}

// An attempt of a hundred thousand tasks outlives a restart: what was over
// stays so, what ran runs again, what waited waits.
func TestRestartWithAHundredThousandTasks(t *testing.T) {
	const tasks = 99_990
	r := newRig(t)
	r.config.Tasks.Max = 8
	r.config.Drain = Duration(10 * time.Millisecond)
	r.start()
	r.push("big", map[string]string{"big.dig": fmt.Sprintf(`
+few: {loop>: 5, _do: {echo>: done}}
+many:
  loop>: %d
  _parallel: true
  _do: {sh>: sleep 1000}
`, tasks)})
	id := r.begin("big", time.Unix(1_700_000_000, 0))
	r.eventually("tasks run", func() bool { return r.states()[flow.Running] == 8 })
	r.stop()

	begin := time.Now()
	r.start()
	took := time.Since(begin)
	r.eventually("tasks run again", func() bool { return r.states()[flow.Running] == 8 })
	got := r.states()
	if over := got[flow.Success]; over < 7 || got[flow.Ready] != tasks-8 {
		t.Errorf("states %v, want %d ready, 8 running, and the first ones over", got, tasks-8)
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	t.Logf("ready after %v, with %d MB in use", took, m.HeapAlloc>>20)
	if err := r.agent.engine.Kill(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r.ended(id) {
		t.Error("a killed attempt has succeeded")
	}
}
