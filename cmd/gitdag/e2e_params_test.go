package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// What tasks of an agent keep is there after kills in the middle of it, and to be executed
// again does no harm. The agent has the operators of all packages.
func TestAgentKilledWhileItKeepsValues(t *testing.T) {
	const values, kills = 60, 5
	bin, repo := program(t), agenttest.NewRepo(t, "flows")
	data, out := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "out")
	args := []string{"agent", "--repo", repo.Path(), "--data", data, "--poll", "1s", "--listen", "127.0.0.1:0"}
	repo.Push("params", map[string]string{
		"pg.dig": "+never:\n  pg>: {data: select 1}\n",
		"keep.dig": fmt.Sprintf(`
+set:
  loop>: %d
  _do:
    +one:
      param_set>:
      first: v${i}
      second: v${i}
+get:
  param_get>:
  first: a
  second: b
+show:
  sh>: printf '%%s %%s' "$a" "$b" > %[2]s.part && mv %[2]s.part %[2]s
`, values, out),
	})
	kept := filepath.Join(data, "params", "values.json")
	for i := range kills + 1 {
		p := agenttest.Launch(t, bin, nil, args...)
		if i == 0 {
			begin(t, p, "keep")
			if strings.Contains(p.Log(), "pg.dig") {
				t.Errorf("there is something about a project without mistakes:\n%s", p.Log())
			}
		}
		if i == kills {
			agenttest.Eventually(t, "the values have been read", func() bool {
				_, err := os.Stat(out)
				return err == nil
			}, p.Log)
			p.Stop()
			break
		}
		before, _ := os.ReadFile(kept)
		agenttest.Eventually(t, "values are written", func() bool {
			now, err := os.ReadFile(kept)
			_, over := os.Stat(out)
			return err == nil && string(now) != string(before) || over == nil
		}, p.Log)
		<-time.After(time.Duration(i) * 700 * time.Microsecond)
		p.Kill()
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != fmt.Sprintf("v%d v%[1]d", values-1) {
		t.Errorf("got %q, %v, want the last values", got, err)
	}
}
