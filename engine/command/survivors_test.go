package command_test

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/engine/command"
)

// TestMain lets the test binary play the agent that is killed.
func TestMain(m *testing.M) {
	if id := os.Getenv("GITDAG_TEST_AGENT"); id != "" {
		c := sh(os.Getenv("GITDAG_TEST_SCRIPT"))
		c.Env = append(c.Env, command.Marker(id, 42, 3), "F="+os.Getenv("F"))
		c.Output = os.Stdout
		if _, err := (command.Local{}).Run(context.Background(), c); err != nil {
			panic(err)
		}
		return
	}
	os.Exit(m.Run())
}

// crash starts a process that runs the script as a task, waits for the line
// "up" and kills the process, but not the task.
func crash(t *testing.T, id, script, fifo string) {
	t.Helper()
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), "GITDAG_TEST_AGENT="+id, "GITDAG_TEST_SCRIPT="+script, "F="+fifo)
	agent.Stderr = os.Stderr
	out, err := agent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "up\n" {
		t.Fatalf("got %q, %v, want up", line, err)
	}
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = agent.Wait() // the error is the kill
}

func TestSurvivorsOfACrash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script string
		groups       int
		grace        time.Duration
	}{
		{"obedient", "exec 9>$F; sleep 1000 & echo up; wait", 1, time.Minute},
		{"deaf", "exec 9>$F; trap '' TERM; sleep 1000 & echo up; while :; do sleep 1000; done", 1, 100 * time.Millisecond},
		{"own session", "exec 9>$F; setsid sleep 1000 & sleep 0.2; echo up; wait", 2, time.Minute},
		{"no marker in the group", "exec 9>$F; env -i /bin/sh -c 'sleep 1000 & wait' & echo up; wait", 1, time.Minute},
		{"leader gone", "exec 9>$F; (sleep 1000 & wait) & echo up", 1, time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id := "test-" + strings.ReplaceAll(tt.name, " ", "-")
			fifo, gone := alive(t)
			crash(t, id, tt.script, fifo)
			// Others of the same machine are not touched.
			if other, err := command.Survivors(id + "x"); err != nil || len(other) != 0 {
				t.Errorf("got %v, %v for another data id", other, err)
			}
			found, err := command.Survivors(id)
			if err != nil {
				t.Fatal(err)
			}
			var groups []int
			for _, s := range found {
				if s.Task != 42 || s.Execution != 3 {
					t.Errorf("got task %d execution %d, want 42 and 3", s.Task, s.Execution)
				}
				if !slices.Contains(groups, s.Group) {
					groups = append(groups, s.Group)
				}
			}
			if len(groups) != tt.groups {
				t.Errorf("got %d groups of %+v, want %d", len(groups), found, tt.groups)
			}
			if err := command.End(t.Context(), found, tt.grace); err != nil {
				t.Error(err)
			}
			gone()
			if left, err := command.Survivors(id); err != nil || len(left) != 0 {
				t.Errorf("got %v, %v after the end, want none", left, err)
			}
		})
	}
}

func TestAReusedNumberIsNotSignalled(t *testing.T) {
	t.Parallel()
	fifo, _ := alive(t)
	crash(t, "test-reused", "exec 9>$F; echo up; sleep 1000", fifo)
	found, err := command.Survivors("test-reused")
	if err != nil || len(found) == 0 {
		t.Fatalf("got %v, %v, want survivors", found, err)
	}
	stale := slices.Clone(found)
	for i := range stale {
		stale[i].Start--
	}
	if err := command.End(t.Context(), stale, 0); err != nil {
		t.Error(err)
	}
	still, err := command.Survivors("test-reused") // and what the shell has started since
	if err != nil || slices.ContainsFunc(found, func(s command.Survivor) bool { return !slices.Contains(still, s) }) {
		t.Errorf("got %v, %v, want %v untouched", still, err, found)
	}
	if err := command.End(t.Context(), found, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestEndGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	fifo, gone := alive(t)
	crash(t, "test-context", "exec 9>$F; trap '' TERM; echo up; while :; do sleep 1000; done", fifo)
	found, err := command.Survivors("test-context")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := command.End(ctx, found, time.Minute); err == nil || !strings.Contains(err.Error(), "end process groups") {
		t.Errorf("got %v, want an error that names the groups", err)
	}
	if err := command.End(t.Context(), found, 0); err != nil {
		t.Error(err)
	}
	gone()
}

func TestThisProcessIsNoSurvivor(t *testing.T) {
	t.Parallel()
	if os.Getenv("GITDAG_RUN") == "" {
		// An agent that a task of its own has started: run again as one.
		again := exec.Command(os.Args[0], "-test.run=^TestThisProcessIsNoSurvivor$", "-test.v")
		again.Env = append(os.Environ(), command.Marker("test-self", 1, 1))
		if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	found, err := command.Survivors("test-self")
	if err != nil || len(found) != 0 {
		t.Errorf("got %v, %v, want none", found, err)
	}
}
