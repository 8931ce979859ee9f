package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitdag/engine/flow"
)

// A task sees the variables of the allow-list and its own, not the agent's.
func TestTasksGetAnAllowedEnvironment(t *testing.T) {
	t.Setenv("GITDAG_CANARY", "canary")
	t.Setenv("GITDAG_ALLOWED", "allowed")
	out := filepath.Join(t.TempDir(), "env")
	r := newRig(t)
	r.config.Tasks.Env = []string{"PATH", "GITDAG_ALLOWED"}
	r.start()
	r.push("env", map[string]string{"w.dig": "+a: {sh>: env > " + out + ", word: given}\n"})
	if !r.run("w") {
		t.Fatalf("the attempt has failed\n%s", r.log)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := string(data)
	if strings.Contains(seen, "canary") || !strings.Contains(seen, "GITDAG_ALLOWED=allowed\n") || !strings.Contains(seen, "word=given\n") {
		t.Errorf("a task's environment:\n%s\nwant GITDAG_ALLOWED and word, and no canary", seen)
	}
	if strings.Contains(seen, "HOME=") {
		t.Errorf("HOME is not on the list, and visible:\n%s", seen)
	}
}

// Tasks run in a workspace of their attempt: they share it among themselves,
// and neither the checkout nor another attempt sees what they write (O32).
func TestTasksRunInAWorkspace(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := newRig(t)
	r.start()
	r.push("files", map[string]string{
		"w.dig": "+a: {sh>: 'cat data.txt >> " + out + "; pwd >> " + out + "; echo changed > data.txt; echo new > new.txt'}\n" +
			"+b: {sh>: 'cat data.txt new.txt >> " + out + "; echo ${attempt_id} >> " + out + "'}\n",
		"data.txt": "original\n",
	})
	var where []string
	for range 2 {
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
		if !r.run("w") {
			t.Fatalf("the attempt has failed\n%s", r.log)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(data), "\n")
		if len(lines) < 4 || lines[0] != "original" || lines[2] != "changed" || lines[3] != "new" {
			t.Fatalf("got %q, want the original first, and the second task to see what the first wrote", lines)
		}
		where = append(where, lines[1])
	}
	if where[0] == where[1] {
		t.Errorf("two attempts share %s", where[0])
	}
	for _, dir := range where {
		if !strings.HasPrefix(dir, filepath.Join(r.config.Data, "workspaces")+"/") {
			t.Errorf("a task ran in %s, want a workspace", dir)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the workspace %s of a success is still there: %v", dir, err)
		}
	}
	checkouts, err := filepath.Glob(filepath.Join(r.config.Data, "checkouts", "*", "project", "data.txt"))
	if err != nil || len(checkouts) != 1 {
		t.Fatalf("checkouts %q, %v, want one", checkouts, err)
	}
	if data, err := os.ReadFile(checkouts[0]); err != nil || string(data) != "original\n" {
		t.Errorf("the checkout has %q, %v, want the original", data, err)
	}
}

// An attempt keeps the revision that it began with.
func TestAttemptsPinTheirCommit(t *testing.T) {
	dir := t.TempDir()
	out, gate := filepath.Join(dir, "out"), filepath.Join(dir, "gate")
	r := newRig(t)
	r.start()
	w := "+a: {sh>: 'echo begun >> " + out + "; while [ ! -e " + gate + " ]; do sleep 0.02; done'}\n+b: {sh>: cat data.txt >> " + out + "}\n"
	r.push("old", map[string]string{"w.dig": w, "data.txt": "old\n"})
	id := r.begin("w", time.Now().Truncate(time.Second))
	r.eventually("the first task runs", func() bool { data, _ := os.ReadFile(out); return len(data) > 0 })
	r.push("new", map[string]string{"w.dig": "+a: {fail>: new}\n", "data.txt": "new\n"})
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if !r.ended(id) {
		t.Errorf("the attempt has failed\n%s", r.log)
	}
	if data, _ := os.ReadFile(out); string(data) != "begun\nold\n" {
		t.Errorf("got %q, want the data of the old commit", data)
	}
}

// A killed attempt's processes are ended, and a lease that is over takes no
// result any more (Q19).
func TestKillAndLateResults(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	r := newRig(t)
	r.config.Tasks.KillGrace = Duration(time.Second)
	r.start()
	r.push("endless", map[string]string{"w.dig": "+a: {sh>: 'trap \"echo ended >> " + out + "; exit 0\" TERM; echo begun >> " + out + "; while :; do sleep 0.02; done'}\n"})
	id := r.begin("w", time.Now().Truncate(time.Second))
	r.eventually("the task runs", func() bool { data, _ := os.ReadFile(out); return len(data) > 0 })
	var lease flow.Lease
	r.view(func(s *flow.State) {
		for task := range s.Attempt(id).Tasks {
			if task.State() == flow.Running {
				lease = flow.Lease{Attempt: id, Task: task.ID(), Execution: 1}
			}
		}
	})
	stale := lease
	stale.Execution = 0
	if _, err := r.agent.engine.Submit(t.Context(), &flow.TaskSucceeded{Lease: stale}); err == nil {
		t.Error("a result under an old lease is accepted")
	}
	if err := r.agent.engine.Kill(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if r.ended(id) {
		t.Error("a killed attempt has succeeded")
	}
	r.eventually("the process has been ended", func() bool {
		data, _ := os.ReadFile(out)
		return strings.HasSuffix(string(data), "ended\n")
	})
	if _, err := r.agent.engine.Submit(t.Context(), &flow.TaskSucceeded{Lease: lease}); err == nil {
		t.Error("a result of an attempt that is over is accepted")
	}
}
