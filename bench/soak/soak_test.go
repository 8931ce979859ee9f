package soak

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gitdag/bench/agenttest"
)

var (
	soakFor  = flag.Duration("soak", 4*time.Second, "how long TestSoak goes on")
	soakSeed = flag.Uint64("seed", 1, "the seed that TestSoak begins with")
)

// TestSoak goes through epochs, each with a repository, a data directory and a
// seed of its own, until its time is over.
func TestSoak(t *testing.T) {
	bin := agenttest.Build(t)
	end := time.Now().Add(*soakFor)
	for seed := *soakSeed; time.Now().Before(end) && !t.Failed(); seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			newEpoch(t, bin, seed).run(min(time.Until(end), 30*time.Second))
		})
	}
}

// epoch is one agent's life, in several processes.
type epoch struct {
	t      *testing.T
	bin    string
	data   string
	random *rand.Rand
	repo   *agenttest.Repo
	marks  *agenttest.Marks
	graphs *graph

	process *agenttest.Process
	address string

	workflows []string
	started   int // sessions that the agent has acknowledged
	kills     int
	stops     int
}

func newEpoch(t *testing.T, bin string, seed uint64) *epoch {
	t.Helper()
	e := &epoch{
		t: t, bin: bin, data: filepath.Join(t.TempDir(), "data"), random: rand.New(rand.NewPCG(seed, 0)),
		repo: agenttest.NewRepo(t, "flows"), marks: agenttest.NewMarks(t),
	}
	e.graphs = &graph{random: e.random, marks: e.marks}
	e.commit()
	return e
}

// run does random things for a while, then lets all attempts end and looks.
func (e *epoch) run(span time.Duration) {
	e.launch()
	for end := time.Now().Add(span); time.Now().Before(end) && !e.t.Failed(); {
		switch n := e.random.IntN(20); {
		case n < 2:
			e.commit()
		case n < 9:
			e.start()
		case n < 15:
			e.crash()
		case n < 17:
			e.stop()
		case n < 18:
			e.check()
		default:
			e.pause(100)
		}
	}
	e.finish()
}

// commit pushes workflows that are new. Their names tell how they end.
func (e *epoch) commit() {
	files := map[string]string{}
	for range 1 + e.random.IntN(3) {
		end := "ok"
		if e.random.IntN(5) == 0 {
			end = "bad"
		}
		name := fmt.Sprintf("%s%d", end, len(e.workflows))
		e.workflows = append(e.workflows, name)
		files[name+".dig"] = e.graphs.workflow(end == "ok")
	}
	e.repo.Push("more", files)
}

func (e *epoch) launch() {
	e.t.Helper()
	e.process = agenttest.Launch(e.t, e.bin, nil, "agent", "--repo", e.repo.Path(), "--data", e.data,
		"--poll", "1s", "--listen", "127.0.0.1:0", "--drain", "1s", "--tasks-kill-grace", "2s", "--tasks-max", "16")
	e.address = ""
}

// start has a session of a random workflow run. It may fail if the workflow is
// not live yet.
func (e *epoch) start() {
	e.t.Helper()
	if e.address == "" {
		e.address = e.process.Address()
	}
	w := e.workflows[e.random.IntN(len(e.workflows))]
	session := time.Unix(1_700_000_000+int64(e.started), 0).UTC().Format(time.DateTime)
	if _, err := agenttest.Run(e.t, e.bin, "start", "-e", e.address, "flows", w, "--session", session); err == nil {
		e.started++
	}
}

// crash kills the agent after a while.
func (e *epoch) crash() {
	e.t.Helper()
	e.pause(150)
	e.process.Kill()
	e.kills++
	e.launch()
}

// stop stops the agent in good order.
func (e *epoch) stop() {
	e.t.Helper()
	if e.address == "" {
		e.address = e.process.Address()
	}
	e.process.Signal(syscall.SIGTERM)
	if code := e.process.Wait(); code != 0 {
		e.t.Errorf("exit code %d after SIGTERM:\n%s", code, e.process.Log())
	}
	e.stops++
	e.launch()
}

// pause lets the agent go on for a random time; it must not end.
func (e *epoch) pause(milliseconds int64) {
	e.t.Helper()
	select {
	case <-time.After(time.Duration(e.random.Int64N(milliseconds)) * time.Millisecond):
	case <-e.process.Ended():
		e.t.Fatalf("the agent has ended by itself:\n%s", e.process.Log())
	}
}

// check compares the journal with the marks.
func (e *epoch) check() *agenttest.Leases {
	e.t.Helper()
	done := e.marks.Read()
	l, err := agenttest.Audit(agenttest.Events(e.t, e.bin, e.data))
	if err != nil {
		e.t.Error(err)
	}
	if err := agenttest.Compare(done, l); err != nil {
		e.t.Error(err)
	}
	return l
}

// finish waits for the end of every attempt and looks at how it ended.
func (e *epoch) finish() {
	e.t.Helper()
	agenttest.Eventually(e.t, "every attempt is over", func() bool {
		l := e.check()
		return l.Started == len(l.Settled) || e.t.Failed()
	}, func() string { return e.process.Log() })
	if code := e.process.Stop(); code != 0 {
		e.t.Errorf("exit code %d after SIGTERM:\n%s", code, e.process.Log())
	}
	l := e.check()
	if l.Started < e.started {
		e.t.Errorf("%d attempts, and %d were acknowledged", l.Started, e.started)
	}
	failures := 0
	for attempt, success := range l.Settled {
		if want := strings.HasPrefix(l.Workflows[attempt], "ok"); success != want {
			e.t.Errorf("attempt %d of %s: success %v, want %v", attempt, l.Workflows[attempt], success, want)
		}
		if !success {
			failures++
		}
	}
	alerts := 0
	for _, kind := range l.Alerts {
		if kind == "attempt_failed" {
			alerts++
		}
	}
	if alerts != failures {
		e.t.Errorf("%d failures told, want %d", alerts, failures)
	}
	if _, err := agenttest.Run(e.t, e.bin, "journal", "verify", "--data", e.data); err != nil {
		e.t.Errorf("journal verify: %v", err)
	}
	e.t.Logf("%d attempts, %d tasks, %d kills, %d stops", l.Started, len(l.Count), e.kills, e.stops)
}
