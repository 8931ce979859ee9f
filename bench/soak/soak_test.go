package soak

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
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
	pushed *pushed
	config string

	process *agenttest.Process
	api     *agenttest.API // nil until it is needed

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
	e.pushed = &pushed{e: e, dropped: map[uint64]bool{}}
	e.config = filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(e.config, []byte("allow_push: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
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
		case n < 7:
			e.start()
		case n < 11:
			e.pushed.random()(e.ready())
		case n < 15:
			e.crash()
		case n < 17:
			e.stop()
		case n < 18:
			e.check()
			e.pushed.look(e.ready())
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
	e.process = agenttest.Launch(e.t, e.bin, nil, "agent", "--config", e.config, "--repo", e.repo.Path(), "--data", e.data,
		"--poll", "1s", "--listen", "127.0.0.1:0", "--drain", "1s", "--tasks-kill-grace", "2s", "--tasks-max", "16")
	e.api = nil
}

// ready waits until the agent listens.
func (e *epoch) ready() *agenttest.API {
	e.t.Helper()
	if e.api == nil {
		e.api = agenttest.NewAPI(e.t, e.process.Address())
	}
	return e.api
}

// start has a session of a random workflow run. It may fail if the workflow is
// not live yet.
func (e *epoch) start() {
	e.t.Helper()
	address := e.ready().Address
	w := e.workflows[e.random.IntN(len(e.workflows))]
	session := time.Unix(1_700_000_000+int64(e.started), 0).UTC().Format(time.DateTime)
	if _, err := agenttest.Run(e.t, e.bin, "start", "-e", address, "flows", w, "--session", session); err == nil {
		e.started++
	}
}

// crash kills the agent after a while, or while it is asked for something.
func (e *epoch) crash() {
	e.t.Helper()
	if e.random.IntN(2) == 0 {
		e.pause(150)
		e.process.Kill()
	} else {
		do, api, done := e.pushed.random(), e.ready(), make(chan struct{})
		go func() {
			defer close(done)
			do(api)
		}()
		select {
		case <-time.After(time.Duration(e.random.Int64N(15_000)) * time.Microsecond):
		case <-done:
		}
		e.process.Kill()
		<-done
	}
	e.kills++
	e.launch()
	if e.random.IntN(3) == 0 {
		e.pushed.look(e.ready())
	}
}

// stop stops the agent in good order.
func (e *epoch) stop() {
	e.t.Helper()
	e.ready()
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
	agenttest.Eventually(e.t, "every attempt is archived", func() bool {
		l := e.check()
		for id := range l.Settled {
			if _, err := agenttest.ReadArchived(e.data, id); err != nil {
				return e.t.Failed()
			}
		}
		return true
	}, func() string { return e.process.Log() })
	e.pushed.finish(e.ready())
	if code := e.process.Stop(); code != 0 {
		e.t.Errorf("exit code %d after SIGTERM:\n%s", code, e.process.Log())
	}
	l := e.check()
	if l.Started < e.started {
		e.t.Errorf("%d attempts, and %d were acknowledged", l.Started, e.started)
	}
	for attempt, success := range l.Settled {
		switch w := l.Workflows[attempt]; {
		case l.Killed[attempt]:
		case success == strings.HasPrefix(w, "bad"):
			e.t.Errorf("attempt %d of %s: success %v", attempt, w, success)
		case success != (l.Failures[attempt] == 0) || l.Failures[attempt] > 1:
			e.t.Errorf("attempt %d of %s: success %v, and its failure was told %d times", attempt, w, success, l.Failures[attempt])
		}
	}
	if _, err := agenttest.Run(e.t, e.bin, "journal", "verify", "--data", e.data); err != nil {
		e.t.Errorf("journal verify: %v", err)
	}
	e.t.Logf("%d attempts, %d backfills, %d dropped, %d tasks, %d pushes, %d kills, %d stops",
		l.Started, len(e.pushed.backfills), len(e.pushed.dropped), len(l.Count), len(e.pushed.revisions), e.kills, e.stops)
}
