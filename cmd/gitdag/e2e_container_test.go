package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gitdag/bench/agenttest"
	"gitdag/internal/dockertest"
)

// containerSite is an agent of a repository whose tasks run in containers.
type containerSite struct {
	t         *testing.T
	engine    *dockertest.Engine
	repo      *agenttest.Repo
	bin, data string
	out       string // what containers may write to
}

func newContainerSite(t *testing.T) *containerSite {
	t.Helper()
	e := dockertest.Start(t)
	e.Import(t, "box", (*dockertest.Pack).Base)
	return &containerSite{
		t: t, engine: e, bin: program(t), repo: agenttest.NewRepo(t, "flows"),
		data: filepath.Join(t.TempDir(), "data"), out: t.TempDir(),
	}
}

func (s *containerSite) launch(more ...string) *agenttest.Process {
	s.t.Helper()
	return agenttest.Launch(s.t, s.bin, s.engine.Env, append([]string{
		"agent", "--repo", s.repo.Path(), "--data", s.data,
		"--poll", "1s", "--listen", "127.0.0.1:0", "--tasks-kill-grace", "1s",
	}, more...)...)
}

// push makes a workflow live whose tasks run in a container that can write to out.
func (s *containerSite) push(name, tasks string) {
	s.t.Helper()
	s.repo.Push("round", map[string]string{name + ".dig": "_export: {docker: {image: box, run_options: ['--network', none, '-v', '" +
		s.out + ":" + s.out + "']}}\n" + strings.ReplaceAll(tasks, "OUT", s.out)})
}

func (s *containerSite) audit() *agenttest.Leases {
	s.t.Helper()
	l, err := agenttest.Audit(agenttest.Events(s.t, s.bin, s.data))
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

// lines are those of a file that containers write.
func (s *containerSite) lines(name string) []string {
	text, _ := os.ReadFile(filepath.Join(s.out, name)) // not there yet: none
	return strings.Fields(string(text))
}

// containers lists what the engine has, in whatever state.
func (s *containerSite) containers() string {
	s.t.Helper()
	return s.engine.Run(s.t, "ps", "--all", "--format", `{{.State}} {{.Label "gitdag.run"}}`)
}

// log is what a task's containers have printed, without the agent's own lines.
func (s *containerSite) log(p *agenttest.Process, attempt int, task string) string {
	s.t.Helper()
	got := gitdag(s.t, []string{"GITDAG_ENDPOINT=" + p.Address()}, "log", fmt.Sprint(attempt), task)
	if got.status != 0 {
		s.t.Fatalf("log: got %+v", got)
	}
	var b strings.Builder
	for line := range strings.Lines(got.stdout) {
		if agentLine.MatchString(line) {
			continue
		}
		b.WriteString(line)
	}
	return b.String()
}

var agentLine = regexp.MustCompile(`^\d{4}-\d\d-\d\d .*(INFO|ERROR)|^Command failed`)

// containerTasks print twenty lines each, and say once that they have been run. One
// answers through a file.
const containerTasks = `
+one: {sh>: 'echo ${task_name} >>OUT/runs; for i in $(seq 20); do echo "line $i"; sleep 0.01; done'}
+side:
  _parallel: true
  +a: {sh>: 'echo ${task_name} >>OUT/runs; for i in $(seq 20); do echo "line $i"; sleep 0.02; done'}
  +b: {sh>: 'echo ${task_name} >>OUT/runs; for i in $(seq 20); do echo "line $i"; done'}
+answer:
  _env: {NAME: '${task_name}'}
  python: [sh, -c, 'echo $NAME >>OUT/runs; for i in $(seq 20); do echo "line $i"; sleep 0.005; done; echo "{\"store_params\":{\"answer\":\"$NAME\"}}" >$3']
  py>: f
+stored: {docker: null, sh>: 'echo ${answer} >>OUT/stored'}
`

// An agent that is killed at any moment leaves containers, and the next one goes on
// with them (crash, 4.4): each task is run once, and what it has printed is in the log once.
func TestContainersOfAKilledAgent(t *testing.T) {
	const kills, tasks = 16, 4
	s := newContainerSite(t)
	random := rand.New(rand.NewPCG(6, 16))
	rounds, survived := 0, 0
	for hits := 0; hits < kills; {
		l := s.audit()
		if l.Started == rounds && len(l.Settled) == rounds {
			rounds++
			s.push(fmt.Sprintf("r%d", rounds), containerTasks)
		}
		p := s.launch()
		if l.Started < rounds {
			begin(t, p, fmt.Sprintf("r%d", rounds))
		} else {
			p.Address()
		}
		select {
		case <-time.NewTimer(time.Duration(random.Int64N(int64(700 * time.Millisecond)))).C:
		case <-p.Ended():
			t.Fatalf("the agent ended by itself:\n%s", p.Log())
		}
		p.Kill()
		survived += strings.Count(p.Log(), "a container of an earlier run goes on")
		if l = s.audit(); len(l.Settled) < rounds {
			hits++
		}
	}
	p := s.launch()
	agenttest.Eventually(t, "every attempt is over", func() bool { return len(s.audit().Settled) == rounds }, p.Log)
	for attempt, success := range s.audit().Settled {
		if !success {
			t.Errorf("attempt %d has failed", attempt)
		}
	}
	var want, stored []string
	for round := 1; round <= rounds; round++ {
		for _, task := range []string{"one", "side+a", "side+b", "answer"} {
			name := fmt.Sprintf("+r%d+%s", round, task)
			want = append(want, name)
			if got := s.log(p, round, name); got != twentyLines() {
				t.Errorf("%s: got log %q, want twenty lines", name, got)
			}
		}
		stored = append(stored, fmt.Sprintf("+r%d+answer", round))
	}
	runs := s.lines("runs")
	slices.Sort(runs)
	slices.Sort(want)
	if !slices.Equal(runs, want) {
		t.Errorf("got runs %q, want each task once: %q", runs, want)
	}
	if got := s.lines("stored"); !slices.Equal(slices.Compact(got), stored) { // a task of this machine may run again
		t.Errorf("got answers %q, want %q", got, stored)
	}
	agenttest.Eventually(t, "no container is left", func() bool { return s.containers() == "" }, p.Log)
	p.Stop()
	t.Logf("%d kills within %d attempts of %d containers; %d times one went on", kills, rounds, tasks, survived)
	if survived == 0 {
		t.Error("no kill hit a running container: the test proves nothing")
	}
}

func twentyLines() string {
	var b strings.Builder
	for i := 1; i <= 20; i++ {
		fmt.Fprintln(&b, "line", i)
	}
	return b.String()
}

// A container that ends while no agent is there has its result taken, and the
// execution is not repeated.
func TestContainerThatEndsWithoutAnAgent(t *testing.T) {
	s := newContainerSite(t)
	s.push("w", "+t: {sh>: 'echo run >>OUT/runs; echo before; until [ -e OUT/go ]; do sleep 0.05; done; echo after; exit 3', _retry: 0}\n")
	p := s.launch()
	begin(t, p, "w")
	agenttest.Eventually(t, "the container runs", func() bool { return len(s.lines("runs")) == 1 }, p.Log)
	p.Kill()
	if err := os.WriteFile(filepath.Join(s.out, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "the container has ended", func() bool { return strings.HasPrefix(s.containers(), "exited") })

	p = s.launch()
	agenttest.Eventually(t, "the attempt is over", func() bool { return len(s.audit().Settled) == 1 }, p.Log)
	l := s.audit()
	for task, n := range l.Count {
		if n != 1 {
			t.Errorf("task %d was leased %d times, want once", task, n)
		}
	}
	if l.Settled[1] {
		t.Error("the attempt succeeded, want status 3 to fail it")
	}
	if got := s.lines("runs"); len(got) != 1 {
		t.Errorf("got %d runs, want 1", len(got))
	}
	if got := s.log(p, 1, "+w+t"); got != "before\nafter\n" {
		t.Errorf("got log %q, want both lines once", got)
	}
	agenttest.Eventually(t, "no container is left", func() bool { return s.containers() == "" }, p.Log)
}

// A kill stops and removes a container that has outlived its first agent.
func TestKillOfAContainerOfAnEarlierAgent(t *testing.T) {
	s := newContainerSite(t)
	s.push("w", "+t: {sh>: 'trap \"echo asked >>OUT/asked; exit 1\" TERM; echo run >>OUT/runs; while :; do sleep 0.05; done'}\n")
	p := s.launch()
	begin(t, p, "w")
	agenttest.Eventually(t, "the container runs", func() bool { return len(s.lines("runs")) == 1 }, p.Log)
	p.Kill()
	p = s.launch()
	p.Await("a container of an earlier run goes on")
	if got := gitdag(t, []string{"GITDAG_ENDPOINT=" + p.Address()}, "kill", "1"); got.status != 0 {
		t.Fatalf("kill: got %+v", got)
	}
	agenttest.Eventually(t, "the attempt is over", func() bool { return len(s.audit().Settled) == 1 }, p.Log)
	if got, runs := s.lines("asked"), s.lines("runs"); len(got) != 1 || len(runs) != 1 {
		t.Errorf("got %d runs and %q, want one that was asked to end", len(runs), got)
	}
	agenttest.Eventually(t, "no container is left", func() bool { return s.containers() == "" }, p.Log)
}

// What a container prints of a secret is masked in the logs of both agents. Where the
// secret is gone the task fails, and its container is ended.
func TestSecretsOfAContainerThatGoesOn(t *testing.T) {
	for _, gone := range []bool{false, true} {
		s := newContainerSite(t)
		dir := t.TempDir()
		file := filepath.Join(dir, "canary")
		if err := os.WriteFile(file, []byte("of-the-coal-mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.push("w", `+t: {sh>: 'echo run >>OUT/runs; echo "before ${secret:canary}"; until [ -e OUT/go ]; do sleep 0.05; done; echo "after ${secret:canary}"'}`+"\n")
		p := s.launch("--secrets-dir", dir)
		begin(t, p, "w")
		agenttest.Eventually(t, "the first line is in the log", func() bool {
			return strings.Contains(gitdag(t, []string{"GITDAG_ENDPOINT=" + p.Address()}, "log", "1").stdout, "before ***\n")
		}, p.Log)
		p.Kill()
		if gone {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(filepath.Join(s.out, "go"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		p = s.launch("--secrets-dir", dir)
		agenttest.Eventually(t, "the attempt is over", func() bool { return len(s.audit().Settled) == 1 }, p.Log)
		if got := s.audit().Settled[1]; got == gone {
			t.Errorf("secret gone %v: got success %v", gone, got)
		}
		if got := s.log(p, 1, "+w+t"); !gone && got != "before ***\nafter ***\n" {
			t.Errorf("got log %q, want both lines once, masked", got)
		}
		agenttest.Eventually(t, "no container is left", func() bool { return s.containers() == "" }, p.Log)
		if n := len(s.lines("runs")); n != 1 {
			t.Errorf("secret gone %v: got %d runs, want 1", gone, n)
		}
	}
}

// A container of a run that was killed comes to its own end, and is removed then.
func TestContainerOfAKilledRun(t *testing.T) {
	s := newContainerSite(t)
	dir := t.TempDir()
	text := strings.ReplaceAll("+t:\n  docker: {image: box, run_options: [--network, none, '-v', 'OUT:OUT']}\n"+
		"  sh>: echo run >>OUT/runs; until [ -e OUT/go ]; do sleep 0.05; done; echo ended >>OUT/ended\n", "OUT", s.out)
	if err := os.WriteFile(filepath.Join(dir, "w.dig"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := agenttest.Launch(t, s.bin, s.engine.Env, "run", "--project", dir, "w")
	agenttest.Eventually(t, "the container runs", func() bool { return len(s.lines("runs")) == 1 }, p.Log)
	p.Kill()
	if err := os.WriteFile(filepath.Join(s.out, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	agenttest.Eventually(t, "no container is left", func() bool { return s.containers() == "" }, p.Log)
	if got := s.lines("ended"); len(got) != 1 {
		t.Errorf("got %q, want it to have come to its end", got)
	}
}
