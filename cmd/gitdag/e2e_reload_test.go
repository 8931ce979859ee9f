package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gitdag/bench/agenttest"
)

// SIGHUP reads the configuration again and polls at once. A bad file keeps the
// running configuration, and polls all the same.
func TestHangupReloadsAndPolls(t *testing.T) {
	s := newSite(t)
	other := agenttest.NewRepo(t, "others")
	first := s.repo.Push("first", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	elsewhere := other.Push("elsewhere", map[string]string{"p/w.dig": "+a: {echo>: a}\n"})
	file := filepath.Join(t.TempDir(), "agent.yaml")
	configure := func(repos string) {
		t.Helper()
		text := fmt.Sprintf("data: %s\nlisten: 127.0.0.1:0\nrepos:\n%s", s.data, repos)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one := fmt.Sprintf("- {url: %s, poll: 1h}\n", s.repo.Path())
	configure(one)
	p := agenttest.Launch(t, s.bin, nil, "agent", "--config", file)
	p.Await("commit is live.*" + first)

	second := s.repo.Push("second", map[string]string{"v.dig": "+a: {echo>: a}\n"})
	p.Signal(syscall.SIGHUP)
	p.Await("commit is live.*" + second)

	third := s.repo.Push("third", map[string]string{"u.dig": "+a: {echo>: a}\n"})
	configure("- {ulr: x}\n")
	p.Signal(syscall.SIGHUP)
	p.Await(`level=ERROR .*line 4: unknown key \\"ulr\\"; did you mean \\"url\\"`)
	p.Await("commit is live.*" + third)

	configure(one + fmt.Sprintf("- {url: %s, poll: 1h}\n", other.Path()))
	p.Signal(syscall.SIGHUP)
	p.Await("commit is live.* repo=others .*" + elsewhere)
	s.stop(p)
}

// One data directory has one agent: the second is refused and told whose it is,
// and the first goes on.
func TestSecondAgentIsRefused(t *testing.T) {
	s := newSite(t)
	s.repo.Push("first", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	p := s.launch()
	p.Address()
	second := s.launch()
	if code := second.Wait(); code != 1 {
		t.Errorf("the second agent ended with %d, want 1", code)
	}
	second.Await(fmt.Sprintf(`(?m)^error: .*\b%d\b`, p.PID()))
	commit := s.repo.Push("second", map[string]string{"v.dig": "+a: {echo>: a}\n"})
	p.Await("commit is live.*" + commit)
	s.stop(p)
}

// A crash leaves the lock to nobody: the next agent starts.
func TestLockOfAKilledAgent(t *testing.T) {
	s := newSite(t)
	s.repo.Push("first", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	p := s.launch()
	p.Address()
	p.Kill()
	p = s.launch()
	p.Address()
	s.stop(p)
}
