package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

// begin starts an attempt of a workflow once it is live. A schedule would not
// do: on a busy machine its time passes before the agent has read it.
func begin(t *testing.T, p *agenttest.Process, workflow string) {
	t.Helper()
	ask := func(args ...string) outcome {
		return gitdag(t, []string{"GITDAG_ENDPOINT=" + p.Address()}, args...)
	}
	agenttest.Eventually(t, workflow+" is live", func() bool { return ask("workflows", "flows", workflow).status == 0 }, p.Log)
	if got := ask("start", "flows", workflow, "--session", "2031-04-05"); got.status != 0 {
		t.Fatalf("start %s: got %+v", workflow, got)
	}
}

// site is a repository and the data directory of the agent that follows it.
type site struct {
	t    *testing.T
	bin  string
	repo *agenttest.Repo
	data string
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{t, program(t), agenttest.NewRepo(t, "flows"), filepath.Join(t.TempDir(), "data")}
}

func (s *site) launch(args ...string) *agenttest.Process { return s.launchWith(nil, args...) }

func (s *site) launchWith(env []string, args ...string) *agenttest.Process {
	s.t.Helper()
	base := []string{"agent", "--repo", s.repo.Path(), "--data", s.data, "--poll", "1s", "--listen", "127.0.0.1:0"}
	return agenttest.Launch(s.t, s.bin, env, append(base, args...)...)
}

func (s *site) leases() *agenttest.Leases {
	s.t.Helper()
	l, err := agenttest.Audit(agenttest.Events(s.t, s.bin, s.data))
	if err != nil {
		s.t.Error(err)
	}
	return l
}

func (s *site) stop(p *agenttest.Process) {
	s.t.Helper()
	if code := p.Stop(); code != 0 {
		s.t.Errorf("exit code %d after SIGTERM, want 0:\n%s", code, p.Log())
	}
}

// haveBegun waits until n executions have left their first mark.
func haveBegun(t *testing.T, m *agenttest.Marks, n int, p *agenttest.Process) {
	t.Helper()
	agenttest.Eventually(t, fmt.Sprintf("%d executions have begun", n), func() bool { return m.Count("begin") >= n }, p.Log)
}

// A task may end while the agent drains: its result is taken, nothing new
// begins, and the attempt goes on after the restart.
func TestStoppingAgentLetsTasksEnd(t *testing.T) {
	s, m := newSite(t), agenttest.NewMarks(t)
	s.repo.Push("slow", map[string]string{"slow.dig": "+task: " + m.Task(1) + "\n+next: " + m.Task(0) + "\n"})
	p := s.launch("--drain", "30s")
	begin(t, p, "slow")
	haveBegun(t, m, 1, p)
	s.stop(p)
	l := s.leases()
	if got := m.Count("end"); got != 1 || len(l.Accepted) != 1 || len(l.Settled) != 0 {
		t.Errorf("%d tasks have ended, %d results accepted, %d attempts over, want 1, 1, 0", got, len(l.Accepted), len(l.Settled))
	}

	p = s.launch()
	p.Await(`msg="attempt ended".* success=true`)
	s.stop(p)
	if got := m.Count("begin"); got != 2 {
		t.Errorf("%d executions, want one for each task", got)
	}
}

// A task that outlasts the drain is ended, which is no result of it and raises
// no alert; it runs again at the next start.
func TestTaskEndedByTheStopRunsAgain(t *testing.T) {
	s, m := newSite(t), agenttest.NewMarks(t)
	gate := filepath.Join(t.TempDir(), "gate")
	task := fmt.Sprintf(`{sh>: 'echo "begin $GITDAG_RUN" >> %s; while [ ! -e %s ]; do sleep 0.05; done'}`, m.File, gate)
	s.repo.Push("endless", map[string]string{"endless.dig": "+task: " + task + "\n"})
	p := s.launch("--drain", "1s", "--tasks-kill-grace", "2s")
	begin(t, p, "endless")
	haveBegun(t, m, 1, p)
	asked := time.Now()
	s.stop(p)
	if took := time.Since(asked); took < 900*time.Millisecond {
		t.Errorf("the agent stopped after %v: it has not waited for the task", took)
	}
	l := s.leases()
	if len(l.Accepted) != 0 || len(l.Settled) != 0 || len(l.Alerts) != 0 {
		t.Errorf("accepted %v, settled %v, alerts %q, want none", l.Accepted, l.Settled, l.Alerts)
	}

	p = s.launch()
	haveBegun(t, m, 2, p)
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	p.Await(`msg="attempt ended".* success=true`)
	s.stop(p)
	if l = s.leases(); len(l.Alerts) != 0 {
		t.Errorf("alerts %q, want none", l.Alerts)
	}
}

// A second signal cuts the drain short; the task's processes are ended all the
// same.
func TestSecondSignalEndsTheDrain(t *testing.T) {
	s, m := newSite(t), agenttest.NewMarks(t)
	// Nobody else sleeps for so long.
	seconds := 600 + float64(os.Getpid())/1e7
	s.repo.Push("endless", map[string]string{"endless.dig": "+task: " + m.Task(seconds) + "\n"})
	p := s.launch("--drain", "10m", "--tasks-kill-grace", "2s")
	begin(t, p, "endless")
	haveBegun(t, m, 1, p)
	agenttest.Eventually(t, "the task sleeps", func() bool { return running(fmt.Sprintf("sleep %g", seconds)) })
	p.Signal(syscall.SIGTERM)
	p.Await(`msg="agent stopping"`)
	p.Signal(syscall.SIGTERM)
	p.Wait()
	if l := s.leases(); len(l.Accepted) != 0 || len(l.Alerts) != 0 {
		t.Errorf("accepted %v, alerts %q, want none", l.Accepted, l.Alerts)
	}
	agenttest.Eventually(t, "the task's processes are gone", func() bool { return !running(fmt.Sprintf("sleep %g", seconds)) })
}

// running tells whether a process of this command line exists.
func running(command string) bool {
	want := strings.ReplaceAll(command, " ", "\x00") + "\x00"
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		if data, err := os.ReadFile(f); err == nil && string(data) == want {
			return true
		}
	}
	return false
}

// The agent tells systemd when it is ready, that it lives, and that it stops.
func TestAgentNotifiesItsSupervisor(t *testing.T) {
	s := newSite(t)
	s.repo.Push("empty", map[string]string{"w.dig": "+a: {echo>: a}\n"})
	// The path of a socket is short.
	dir, err := os.MkdirTemp("", "notify")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Now().Add(agenttest.Patience)); err != nil {
		t.Fatal(err)
	}
	next := func() string {
		buf := make([]byte, 1024)
		n, err := socket.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	p := s.launchWith([]string{"NOTIFY_SOCKET=" + filepath.Join(dir, "s"), "WATCHDOG_USEC=200000"})
	if got := next(); got != "READY=1" {
		t.Errorf("first message %q, want READY=1", got)
	}
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("message %q, want WATCHDOG=1", got)
		}
	}
	p.Signal(syscall.SIGTERM)
	got := next()
	for got == "WATCHDOG=1" {
		got = next()
	}
	if got != "STOPPING=1" {
		t.Errorf("last message %q, want STOPPING=1", got)
	}
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
